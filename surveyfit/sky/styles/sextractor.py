"""The catalogue that SExtractor writes: its columns, and its own text format (ASCII_HEAD)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from surveyfit.schema import PACKED, Flag
from surveyfit.sky.described import unit_text
from surveyfit.sky.styles.column import (
    FLUX,
    PEAK,
    Observed,
    Sources,
    Style,
    StyleColumn,
    about_zero,
    column,
    flag_bits,
)

FIRST_PIXEL = 1.0
"""SExtractor's coordinate of the centre of the first pixel."""

NO_MAGNITUDE = 99.0
"""What SExtractor writes where there is none."""

NEIGHBOURS, BLENDED, SATURATED, TRUNCATED, CORRUPTED = 1, 2, 4, 8, 16
"""Bits of FLAGS. Below 4 a row is good here too."""

FLAG_BITS = {
    Flag.NEIGHBOUR_IN_CUTOUT: NEIGHBOURS,
    Flag.MASKED_PIXELS: NEIGHBOURS,
    Flag.SATURATED: SATURATED,
    Flag.EDGE_TRUNCATED: TRUNCATED,
}
FWHM_PER_SIGMA = np.sqrt(8 * np.log(2))


def _number(sources: Sources) -> NDArray[Any]:
    return np.arange(1, len(sources["x"]) + 1, dtype=np.int32)


def _covariance(sources: Sources) -> NDArray[Any]:
    return sources["fit_cov"][:, PACKED.index((0, 1))]


def _sigma(name: str) -> Callable[[Sources], NDArray[Any]]:
    return lambda sources: sources[name] / FWHM_PER_SIGMA


def _magnitude(name: str) -> Callable[[Sources], NDArray[Any]]:
    return lambda sources: np.where(np.isfinite(sources[name]), sources[name], NO_MAGNITUDE)


def _mean_fwhm(sources: Sources) -> NDArray[Any]:
    return np.sqrt(sources["maj_pix"] * sources["min_pix"])


def _flags(sources: Sources) -> NDArray[Any]:
    blended = np.where(sources["n_components"] > 1, BLENDED, 0).astype(np.int32)
    return blended | flag_bits(sources["flags"], FLAG_BITS, CORRUPTED)


# fmt: off
COLUMNS = tuple(StyleColumn(*row) for row in (
    ("NUMBER", "", "Running object number", _number),
    ("X_IMAGE", "pixel", "Object position along x", lambda s: s["x"] + FIRST_PIXEL),
    ("Y_IMAGE", "pixel", "Object position along y", lambda s: s["y"] + FIRST_PIXEL),
    ("XWIN_IMAGE", "pixel", "Position along x, as X_IMAGE", lambda s: s["x"] + FIRST_PIXEL),
    ("YWIN_IMAGE", "pixel", "Position along y, as Y_IMAGE", lambda s: s["y"] + FIRST_PIXEL),
    ("ERRX2WIN_IMAGE", "pixel2", "Variance of position along x", lambda s: s["x_err"] ** 2),
    ("ERRY2WIN_IMAGE", "pixel2", "Variance of position along y", lambda s: s["y_err"] ** 2),
    ("ERRXYWIN_IMAGE", "pixel2", "Covariance of position between x and y", _covariance),
    ("ALPHA_J2000", "deg", "Right ascension of barycenter (ICRS)", column("ra")),
    ("DELTA_J2000", "deg", "Declination of barycenter (ICRS)", column("dec")),
    ("A_IMAGE", "pixel", "Profile RMS along major axis", _sigma("maj_pix")),
    ("B_IMAGE", "pixel", "Profile RMS along minor axis", _sigma("min_pix")),
    ("THETA_IMAGE", "deg", "Position angle (CCW/x)", lambda s: about_zero(s["pa_pix"])),
    ("ELONGATION", "", "A_IMAGE/B_IMAGE", lambda s: s["maj_pix"] / s["min_pix"]),
    ("ELLIPTICITY", "", "1 - B_IMAGE/A_IMAGE", lambda s: 1 - s["min_pix"] / s["maj_pix"]),
    ("FWHM_IMAGE", "pixel", "FWHM, mean of both axes", _mean_fwhm),
    ("FLUX_AUTO", FLUX, "Flux of the fitted Gaussian", column("flux_int")),
    ("FLUXERR_AUTO", FLUX, "RMS error for AUTO flux", column("flux_int_err")),
    ("MAG_AUTO", "mag", "Magnitude of the fitted Gaussian", _magnitude("mag")),
    ("MAGERR_AUTO", "mag", "RMS error for AUTO magnitude", _magnitude("mag_err")),
    ("FLUX_APER", FLUX, "Flux in a circular aperture on the detection", column("flux_aper")),
    ("FLUX_MAX", PEAK, "Peak flux above background, fitted", column("flux_peak")),
    ("FLUX_RADIUS", "pixel", "Half-light radius of the Gaussian", lambda s: _mean_fwhm(s) / 2),
    ("BACKGROUND", PEAK, "Background at the peak", column("local_bkg")),
    ("FLAGS", "", "Extraction flags", _flags),
))
# fmt: on


def write_ascii_head(table: Table, images: Mapping[str, Observed], path: Path) -> None:
    """Write text as SExtractor's ASCII_HEAD: a comment for each column, then numbers in columns."""
    lines = [
        f"# {number:3d} {c.name:22s} {c.description:58s} {_bracketed(unit_text(c))}".rstrip()
        for number, c in enumerate(table.itercols(), start=1)
    ]
    rows = zip(*(map(_word, column.tolist()) for column in table.itercols()), strict=True)
    lines += [" ".join(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _bracketed(unit: str) -> str:
    """Spell a unit as SExtractor does: ``[pixel**2]``."""
    words = unit.replace("pixel", "pix").replace("pix2", "pix**2").replace("pix", "pixel")
    return f"[{words}]" if words else ""


def _word(value: float | str) -> str:
    """Spell a value; blanks, which would end a text, as underscores."""
    if isinstance(value, str):
        return "_".join(value.split())
    return f"{value:>10d}" if isinstance(value, int) else f"{value:>18.10g}"


SEXTRACTOR = Style(
    "SExtractor",
    COLUMNS,
    needs_sky=False,
    only_good=False,
    writers={".txt": write_ascii_head, ".cat": write_ascii_head},
)
