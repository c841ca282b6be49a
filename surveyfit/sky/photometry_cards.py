"""What a header tells about light: filter, exposure time, magnitude of one unit of the pixels."""

import math
import re

from astropy import units
from astropy.io import fits

from surveyfit.sky.cards import number, positive, text

FILTER_CARDS = ("FILTER", "BAND", "FILTNAM", "FILTNAM1", "ESO INS FILT1 NAME")
"""Cards that name the filter; the first that does counts."""

FILTER_WHEELS = ("FILTER1", "FILTER2", "FILTER3")
"""A filter a wheel: those that are not clear, joined by ``+``."""

EXPOSURE_CARDS = ("EXPTIME", "XPOSURE", "EXPOSURE", "EXP_TIME", "EFFEXPTM", "TEXPTIME")
"""Seconds where the comment says nothing else."""

ZEROPOINT_CARDS = ("MAGZERO", "PHOTZP", "MAGZP")
"""Magnitude of a source of one unit of the pixels as they are: of the pipelines of NOAO and DES; of
ESO's products and MegaPipe; of ZTF, 2MASS and WISE."""

ZEROPOINT_PER_SECOND = "MAGZPT"
"""Magnitude of a source of one unit a second: of DECam, VISTA and UKIRT. What their headers say
apart (aperture corrections, extinction) is not applied."""

FLUX_OF_MAGNITUDE_0 = "FLUXMAG0"
"""Flux of a source of magnitude 0, units of the pixels: of LSST and HSC."""

UNKNOWN = re.compile("_*(unknown|none|null|n/?a)?_*$", re.IGNORECASE)
CLEAR = re.compile("(clear|open|empty|blank).*$", re.IGNORECASE)

SECONDS_OF = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
"""By the first letter of a unit of time."""

UNIT_OF_TIME = re.compile(
    r"[\[(]\s*(s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|d|days?)\s*[\])]", re.IGNORECASE
)
SECOND = re.compile(r"\bs(ec(ond)?s?)?\b", re.IGNORECASE)
MINUTE = re.compile(r"\bmin(ute)?s?\b", re.IGNORECASE)


def filter_name(header: fits.Header) -> str:
    """Return the name of the filter as it is written; empty if unknown."""
    for keyword in FILTER_CARDS:
        if name := _known(header, keyword):
            return name
    wheels = (_known(header, keyword) for keyword in FILTER_WHEELS)
    return "+".join(name for name in wheels if name and not CLEAR.match(name))


def _known(header: fits.Header, keyword: str) -> str:
    name = text(header, keyword)
    return "" if UNKNOWN.match(name) else name


def exposure(header: fits.Header) -> float | None:
    """Return the exposure time in seconds."""
    for keyword in EXPOSURE_CARDS:
        if (value := positive(header, keyword)) is not None:
            return value * _seconds(header.comments[keyword])
    return None


def _seconds(comment: str) -> float:
    """Return the unit that the comment of an exposure time names: in brackets, or as a word.

    Only minutes count as a word: ``EXPOSURE`` of digitised plates.
    """
    if bracketed := UNIT_OF_TIME.search(comment):
        return SECONDS_OF[bracketed[1][0].lower()]
    return SECONDS_OF["m" if MINUTE.search(comment) and not SECOND.search(comment) else "s"]


def zero_point(header: fits.Header, unit: str) -> float | None:
    """Return the magnitude of a source of one unit of the pixels.

    Parameters
    ----------
    header : Header
    unit : str
        VOUnit of the pixels, empty if unknown. Maggies have a zero point of 0 by their definition;
        other physical units (Jy) are left as they are.
    """
    maggies = _maggies(unit)
    if maggies is not None:
        return -2.5 * math.log10(maggies)
    for keyword in ZEROPOINT_CARDS:
        if (value := number(header, keyword)) is not None:
            return value
    if (flux := positive(header, FLUX_OF_MAGNITUDE_0)) is not None:
        return 2.5 * math.log10(flux)
    return _from_rate(header, unit)


def _from_rate(header: fits.Header, unit: str) -> float | None:
    """Turn the zero point of one unit a second into that of one unit of the pixels."""
    value, seconds = number(header, ZEROPOINT_PER_SECOND), exposure(header)
    if value is None or unit.endswith("/s"):
        return value
    return None if seconds is None else value + 2.5 * math.log10(seconds)


def _maggies(unit: str) -> float | None:
    """Return how many maggies (3631 Jy of the AB system) a unit is."""
    parsed = units.Unit(unit, parse_strict="silent")
    return float(parsed.to(units.mgy)) if parsed.is_equivalent(units.mgy) else None
