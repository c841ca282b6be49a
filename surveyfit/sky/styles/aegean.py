"""The table of components that Aegean writes (AegeanTools 2: ``*_comp.fits``, ``*_comp.csv``)."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
from astropy.coordinates import Angle
from numpy.typing import NDArray

from surveyfit.schema import Flag
from surveyfit.sky.styles.column import (
    FLUX,
    PEAK,
    Sources,
    Style,
    StyleColumn,
    about_zero,
    column,
    flag_bits,
    in_degrees,
)

UNKNOWN = -1.0
"""What stands for an error that is not known."""

SMALL_ISLAND, FIT_FAILED, WCS_FAILED, PRIORIZED = 1, 2, 32, 64
"""AegeanTools.flags: FITERRSMALL, FITERR, WCSERR, PRIORIZED."""

FLAG_BITS = {
    Flag.FEW_PIXELS: SMALL_ISLAND,
    Flag.NO_WCS: WCS_FAILED,
    Flag.FORCED: PRIORIZED,
}


def _or_unknown(
    values: Callable[[Sources], NDArray[Any]],
) -> Callable[[Sources], NDArray[Any]]:
    """Put -1 where an error is not known."""

    def known(sources: Sources) -> NDArray[Any]:
        errors = values(sources)
        return np.where(np.isfinite(errors), errors, UNKNOWN)

    return known


def _error(name: str) -> Callable[[Sources], NDArray[Any]]:
    return _or_unknown(column(name))


def _sexagesimal(name: str, unit: str) -> Callable[[Sources], NDArray[Any]]:
    """Spell an angle as 18:19:29.74, a declination with its sign."""

    def spelled(sources: Sources) -> NDArray[Any]:
        angles = Angle(sources[name], "deg")
        signed = name == "dec"
        text = angles.to_string(unit, sep=":", precision=2, pad=True, alwayssign=signed)
        return np.asarray(text, str)

    return spelled


def _unknown(sources: Sources) -> NDArray[Any]:
    return np.full(len(sources["x"]), np.nan)


def _uuids(sources: Sources) -> NDArray[Any]:
    return np.array([str(UUID(int=number)) for number in sources["source_id"].tolist()], "U36")


def _flags(sources: Sources) -> NDArray[Any]:
    return flag_bits(sources["flags"], FLAG_BITS, FIT_FAILED)


# fmt: off
COLUMNS = tuple(StyleColumn(*row) for row in (
    ("island", "", "number of the island, from 0", column("island")),
    ("source", "", "number within the island, the brightest is 0", column("component")),
    ("background", PEAK, "background at the peak", column("local_bkg")),
    ("local_rms", PEAK, "noise of a pixel at the peak", column("local_rms")),
    ("ra_str", "", "right ascension, hours", _sexagesimal("ra", "hourangle")),
    ("dec_str", "", "declination, degrees", _sexagesimal("dec", "deg")),
    ("ra", "deg", "right ascension", column("ra")),
    ("err_ra", "deg", "error of ra, a length on the sky", _or_unknown(in_degrees("ra_err"))),
    ("dec", "deg", "declination", column("dec")),
    ("err_dec", "deg", "error of dec", _or_unknown(in_degrees("dec_err"))),
    ("peak_flux", PEAK, "peak", column("flux_peak")),
    ("err_peak_flux", PEAK, "its error", _error("flux_peak_err")),
    ("int_flux", FLUX, "integrated flux", column("flux_int")),
    ("err_int_flux", FLUX, "its error", _error("flux_int_err")),
    ("a", "arcsec", "major axis, FWHM, the beam not removed", column("maj_axis")),
    ("err_a", "arcsec", "its error", _error("maj_axis_err")),
    ("b", "arcsec", "minor axis, FWHM, the beam not removed", column("min_axis")),
    ("err_b", "arcsec", "its error", _error("min_axis_err")),
    ("pa", "deg", "position angle east of north, (-90, 90]", lambda s: about_zero(s["pos_ang"])),
    ("err_pa", "deg", "its error", _error("pos_ang_err")),
    ("flags", "", "0 good, 1 few pixels, 2 fit not to be trusted, 64 forced", _flags),
    ("residual_mean", PEAK, "not measured: NaN", _unknown),
    ("residual_std", PEAK, "not measured: NaN", _unknown),
    ("uuid", "", "source_id as the number of a UUID", _uuids),
    ("psf_a", "arcsec", "beam major axis, FWHM", column("psf_maj")),
    ("psf_b", "arcsec", "beam minor axis, FWHM", column("psf_min")),
    ("psf_pa", "deg", "beam position angle, (-90, 90]", lambda s: about_zero(s["psf_pa"])),
))
# fmt: on

AEGEAN = Style("Aegean", COLUMNS, needs_sky=True, only_good=False, writers={})
