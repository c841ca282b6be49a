"""The one table of what a catalogue holds: parameters, columns, units, UCDs, flags and their words.

Code, catalogue files and documentation all read it. Standard library only, so that
``surveyfit columns`` and ``surveyfit flags`` answer at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

SCHEMA_VERSION = 2
"""Part of every content key: a catalogue of another schema is never mixed with this one."""

PARAMETERS = ("x0", "y0", "amp", "sigma", "rho", "diff", "bkg")
"""Order of the model parameters, of every parameter vector and of every covariance matrix."""

MODEL = "amp exp(-(r**2 + rho dx dy + diff (dx**2 - dy**2)) / (2 sigma**2)) + bkg"
"""What is fitted; dx = x - x0, dy = y - y0, r**2 = dx**2 + dy**2."""

N_PARAMETERS = len(PARAMETERS)

PACKED = tuple((i, j) for i in range(N_PARAMETERS) for j in range(i, N_PARAMETERS))
"""Row and column of each element of a packed upper triangle (row by row)."""

IMAGE_UNIT = "image"
"""Stands for the unit of the image's pixels (BUNIT) in the table below."""

FLUX_UNIT = "flux"
"""Stands for the unit of an integrated flux: Jy for Jy/beam images, else the image's unit."""


class Flag(IntFlag):
    """What a user should know about a row; zero is a checked success."""

    EDGE_TRUNCATED = 1 << 0
    MASKED_PIXELS = 1 << 1
    FEW_PIXELS = 1 << 2
    MAX_ITERATIONS = 1 << 3
    HESSIAN_NOT_PD = 1 << 4
    ILL_CONDITIONED = 1 << 5
    POSITION_DRIFT = 1 << 6
    NEGATIVE_AMP = 1 << 7
    SHAPE_AT_BOUND = 1 << 8
    SIZE_AT_BOUND = 1 << 9
    PA_UNDEFINED = 1 << 10
    OUTLIER_HEAVY = 1 << 11
    MODEL_MISMATCH = 1 << 12
    NEIGHBOUR_IN_CUTOUT = 1 << 13
    JOINT_FIT = 1 << 14
    FORCED = 1 << 15
    NO_WCS = 1 << 16
    DECONV_POINT = 1 << 17
    SATURATED = 1 << 18
    NO_DATA = 1 << 19


FLAG_WORDS: dict[Flag, str] = {
    Flag.EDGE_TRUNCATED: "the source or its island is cut by the edge of the image",
    Flag.MASKED_PIXELS: "bad pixels (mask, NaN) inside the source's ellipse were left out",
    Flag.FEW_PIXELS: "too few good pixels to trust seven parameters",
    Flag.MAX_ITERATIONS: "the fit had not converged when its iterations ran out",
    Flag.HESSIAN_NOT_PD: "the Hessian at the end is not positive definite: no Cramer-Rao errors",
    Flag.ILL_CONDITIONED: "two or more parameters cannot be told apart by these pixels",
    Flag.POSITION_DRIFT: "the fitted centre left the detected source",
    Flag.NEGATIVE_AMP: "the fitted amplitude is negative or zero",
    Flag.SHAPE_AT_BOUND: "the fitted ellipse is as thin as is allowed: a streak, not a source",
    Flag.SIZE_AT_BOUND: "the fitted size is at its bound: a cosmic ray, or larger than the cutout",
    Flag.PA_UNDEFINED: "round within its errors: the position angle means nothing",
    Flag.OUTLIER_HEAVY: "more than a fifth of the pixels are outliers",
    Flag.MODEL_MISMATCH: "the residuals say that this is not an elliptical Gaussian",
    Flag.NEIGHBOUR_IN_CUTOUT: "another source in the cutout; its pixels were masked",
    Flag.JOINT_FIT: "fitted together with its neighbours",
    Flag.FORCED: "some parameters were held fixed",
    Flag.NO_WCS: "no sky position: the image has no usable world coordinates here",
    Flag.DECONV_POINT: "not larger than the beam: deconvolved sizes are limits",
    Flag.SATURATED: "saturated pixels in the source were left out",
    Flag.NO_DATA: "no fit: nothing to fit, or the fit ended in numbers that are not finite",
}

GOOD = int(
    Flag.EDGE_TRUNCATED
    | Flag.FEW_PIXELS
    | Flag.MAX_ITERATIONS
    | Flag.HESSIAN_NOT_PD
    | Flag.ILL_CONDITIONED
    | Flag.POSITION_DRIFT
    | Flag.NEGATIVE_AMP
    | Flag.SHAPE_AT_BOUND
    | Flag.SIZE_AT_BOUND
    | Flag.OUTLIER_HEAVY
    | Flag.MODEL_MISMATCH
    | Flag.SATURATED
    | Flag.NO_DATA
)
"""The mask of good rows: take those with ``flags & GOOD == 0`` without reading further."""


class FitStatus(IntEnum):
    """How a fit ended; written as the integer column ``fit_status``."""

    CONVERGED = 0
    MAX_ITERATIONS = 1
    AT_BOUND = 2
    STALLED = 3
    NOT_FINITE = 4
    NO_DATA = 5


FIT_STATUS_WORDS: dict[FitStatus, str] = {
    FitStatus.CONVERGED: "converged",
    FitStatus.MAX_ITERATIONS: "iterations ran out before it converged",
    FitStatus.AT_BOUND: "ended at a bound of size, shape or position",
    FitStatus.STALLED: "no step lowers the likelihood, though its slope says one should",
    FitStatus.NOT_FINITE: "numbers that are not finite; nothing is reported",
    FitStatus.NO_DATA: "too few good pixels to start",
}


@dataclass(frozen=True)
class Column:
    """One catalogue column.

    Attributes
    ----------
    name : str
    dtype : str
        ``str``, ``bool``, ``int32``, ``int64`` or ``float64``; ``float64[n]`` for a vector of n.
    unit : str
        VOUnit; empty if dimensionless; `IMAGE_UNIT` and `FLUX_UNIT` depend on the image.
    ucd : str
        IVOA UCD1+.
    meaning : str
        One sentence.
    group : str
        Heading under which ``surveyfit columns`` lists it.
    """

    name: str
    dtype: str
    unit: str
    ucd: str
    meaning: str
    group: str

    @property
    def length(self) -> int:
        """Number of elements of a vector column; 0 for a plain one."""
        return int(self.dtype.split("[")[1].rstrip("]")) if "[" in self.dtype else 0

    @property
    def base(self) -> str:
        """The element type without the length."""
        return self.dtype.split("[")[0]


def _columns(group: str, rows: tuple[tuple[str, str, str, str, str], ...]) -> Iterator[Column]:
    """Yield the columns of a group; a name that ends in ``(+_err)`` also gives its error."""
    for name, dtype, unit, ucd, meaning in rows:
        plain = name.removesuffix(" (+_err)")
        yield Column(plain, dtype, unit, ucd, meaning, group)
        if plain != name:
            error_ucd = f"stat.error;{ucd.split(';')[0]}"
            yield Column(f"{plain}_err", dtype, unit, error_ucd, f"1-sigma error of {plain}", group)


def _model_columns() -> Iterator[Column]:
    for name, (unit, ucd, meaning) in _FITTED.items():
        group, error_ucd = "the model as fitted", f"stat.error;{ucd.split(';')[0]}"
        published = f"1-sigma error of {name} (published: sandwich covariance)"
        bound = f"Cramer-Rao error of {name} if the noise is Cauchy of this gamma (inverse Hessian)"
        yield Column(
            f"fit_{name}", "float64", unit, ucd, f"model parameter {name}: {meaning}", group
        )
        yield Column(f"fit_{name}_err", "float64", unit, error_ucd, published, group)
        yield Column(f"fit_{name}_crb", "float64", unit, error_ucd, bound, group)


# fmt: off
_IDENTITY = (
    ("source_id", "int64", "", "meta.id;meta.main", "stable id: hash of the image's content digest and the peak pixel"),
    ("name", "str", "", "meta.id", "IAU-style name from the truncated ICRS position"),
    ("image", "str", "", "meta.id;obs.image", "the image: file, or file[EXTNAME] where a file holds several"),
    ("tile", "str", "", "meta.id;obs.image", "the tile whose core holds the peak pixel"),
    ("island_id", "int64", "", "meta.id.parent", "source_id of the brightest source of the island of touching sources"),
    ("n_components", "int32", "", "meta.number", "number of sources in the island"),
    ("is_primary", "bool", "", "meta.code;obs.image", "false where a better image of the run shows the same sky"),
)
_POSITION = (
    ("ra", "float64", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS"),
    ("dec", "float64", "deg", "pos.eq.dec;meta.main", "declination, ICRS"),
    ("ra_err", "float64", "arcsec", "stat.error;pos.eq.ra", "1-sigma error along right ascension on the sky (cos dec applied)"),
    ("dec_err", "float64", "arcsec", "stat.error;pos.eq.dec", "1-sigma error of dec"),
    ("ra_dec_corr", "float64", "", "stat.correlation;pos.eq.ra;pos.eq.dec", "correlation of the errors of ra and dec"),
    ("x (+_err)", "float64", "pixel", "pos.cartesian.x;instr.det", "fitted column, zero-based, pixel centres on integers"),
    ("y (+_err)", "float64", "pixel", "pos.cartesian.y;instr.det", "fitted row, zero-based, pixel centres on integers"),
)
_FLUX = (
    ("flux_peak (+_err)", "float64", IMAGE_UNIT, "phot.flux.density;stat.max", "fitted peak above the background"),
    ("flux_int (+_err)", "float64", FLUX_UNIT, "phot.flux.density", "integral of the fitted Gaussian (Jy/beam: divided by the beam area)"),
    ("snr", "float64", "", "stat.snr", "flux_peak / flux_peak_err"),
    ("flux_aper", "float64", FLUX_UNIT, "phot.flux.density;phot.calib", "sum in a circular aperture on the detection; owes nothing to the model"),
    ("flux_unit", "str", "", "meta.unit", "unit of flux_peak in this row's image (BUNIT)"),
    ("mag (+_err)", "float64", "mag", "phot.mag", "zero point - 2.5 log10(flux_int); NaN where no zero point is known"),
)
_SHAPE = (
    ("maj_axis (+_err)", "float64", "arcsec", "phys.angSize.smajAxis", "full width at half maximum along the major axis, on the sky"),
    ("min_axis (+_err)", "float64", "arcsec", "phys.angSize.sminAxis", "full width at half maximum along the minor axis, on the sky"),
    ("pos_ang (+_err)", "float64", "deg", "pos.posAng", "position angle of the major axis, east of north, in [0, 180)"),
    ("maj_axis_deconv (+_err)", "float64", "arcsec", "phys.angSize.smajAxis;meta.modelled", "major axis with the beam removed; where deconv_code is 2, its upper limit at 95 % confidence and no error"),
    ("min_axis_deconv (+_err)", "float64", "arcsec", "phys.angSize.sminAxis;meta.modelled", "minor axis with the beam removed; where deconv_code is 1 or 2, its upper limit at 95 % confidence and no error"),
    ("pos_ang_deconv (+_err)", "float64", "deg", "pos.posAng;meta.modelled", "position angle of the deconvolved major axis; NaN where deconv_code is 2"),
    ("deconv_code", "float64", "", "meta.code", "0 resolved, 1 along the major axis only, 2 unresolved; NaN where no beam is known"),
    ("compactness (+_err)", "float64", "", "phot.flux.density;arith.ratio", "flux of a point source of this peak over flux_int: area of the beam over fitted area; 1 for a point source, less for an extended one"),
    ("maj_pix (+_err)", "float64", "pixel", "phys.angSize.smajAxis;instr.det", "full width at half maximum along the major axis, in pixels"),
    ("min_pix (+_err)", "float64", "pixel", "phys.angSize.sminAxis;instr.det", "full width at half maximum along the minor axis, in pixels"),
    ("pa_pix (+_err)", "float64", "deg", "pos.posAng;instr.det", "angle of the major axis from +x to +y, in [0, 180)"),
)
_FITTED = {
    "x0": ("pixel", "pos.cartesian.x;instr.det", "centre column"),
    "y0": ("pixel", "pos.cartesian.y;instr.det", "centre row"),
    "amp": (IMAGE_UNIT, "phot.flux.density;stat.max", "amplitude"),
    "sigma": ("pixel", "phys.angSize;instr.det", "size"),
    "rho": ("", "stat.fit.param", "coefficient of dx*dy"),
    "diff": ("", "stat.fit.param", "coefficient of dx**2 - dy**2"),
    "bkg": (IMAGE_UNIT, "instr.skyLevel", "level under the source"),
}
_MATRIX = f"upper triangle, row by row, of {', '.join(PARAMETERS)}"
_COVARIANCE = (
    ("fit_cov", f"float64[{len(PACKED)}]", "", "stat.covariance", f"published covariance: {_MATRIX}"),
    ("fit_cov_crb", f"float64[{len(PACKED)}]", "", "stat.covariance", f"inverse of the Hessian: {_MATRIX}"),
)
_NOISE = (
    ("local_rms", "float64", IMAGE_UNIT, "stat.stdev;instr.background", "noise of a pixel here"),
    ("local_bkg", "float64", IMAGE_UNIT, "instr.skyLevel", "background map here"),
    ("gamma", "float64", IMAGE_UNIT, "stat.fit.param", "scale of the Cauchy likelihood, with its model term"),
    ("corr_noise_factor", "float64", "", "stat.fit.param", "published amplitude error over the one for independent pixels; 1 where the noise is not correlated"),
)
_QUALITY = (
    ("nll", "float64", "", "stat.likelihood", "negative log-likelihood: sum of log(1 + z**2) + log(pi gamma), z = residual / gamma, in image units"),
    ("gof", "float64", "", "stat.fit.goodness", "1.4826 median |residual| / expected noise over the pixels of the source; 1 is a perfect fit"),
    ("n_pix", "int32", "", "meta.number", "pixels used in the fit"),
    ("n_outlier", "int32", "", "meta.number", "used pixels more than 5 sigma off the model"),
    ("resid_max", "float64", "", "stat.fit.residual;stat.max", "largest |residual| / expected noise of the used pixels"),
    ("n_iter", "int32", "", "meta.number", "Newton steps taken"),
    ("grad_norm", "float64", "", "stat.fit", "sqrt(2 x Newton decrement) at the end: distance to the optimum in sigmas"),
    ("hess_cond", "float64", "", "stat.fit", "condition number (1-norm) of the Hessian scaled to unit diagonal"),
    ("fit_status", "int32", "", "meta.code.status", "how the fit ended: " + ", ".join(f"{s.value} {w}" for s, w in FIT_STATUS_WORDS.items())),
    ("flags", "int32", "", "meta.code.qual", "bits in words: surveyfit flags; zero is a checked success"),
)
# fmt: on

COLUMNS: tuple[Column, ...] = (
    *_columns("identity", _IDENTITY),
    *_columns("position", _POSITION),
    *_columns("flux", _FLUX),
    *_columns("shape", _SHAPE),
    *_model_columns(),
    *_columns("covariance", _COVARIANCE),
    *_columns("noise", _NOISE),
    *_columns("quality", _QUALITY),
)
"""Every catalogue column, in the order of the files."""
