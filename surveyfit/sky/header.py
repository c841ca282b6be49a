"""Facts about an image that its header tells, in one spelling."""

import math
import re
import warnings
from dataclasses import dataclass
from functools import cache

from astropy import units
from astropy.io import fits
from astropy.time import Time

from surveyfit.sky.hdu import card
from surveyfit.sky.world import World

NOT_INHERITED = re.compile(
    "SIMPLE|XTENSION|BITPIX|NAXIS|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|BUNIT|INHERIT"
    "|CHECKSUM|DATASUM|COMMENT|HISTORY|EXT(NAME|VER|LEVEL|TYPE)|WCS|C(TYPE|RVAL|RPIX|DELT|UNIT|ROTA)"
    r"|CD\d|PC\d|P[VS]\d|[AB]P?_\d|[AB]P?_ORDER|L(ON|AT)POLE|$"
)
"""Keywords of a primary header that say nothing about the pixels of an extension."""

UNIT_WORDS = {
    "jy": "Jy",
    "beam": "beam",
    "pixel": "pixel",
    "pix": "pixel",
    "adu": "adu",
    "dn": "adu",
    "e-": "electron",
    "electron": "electron",
    "electrons": "electron",
    "count": "count",
    "counts": "count",
    "cts": "count",
    "s": "s",
    "sec": "s",
    "second": "s",
}
"""Words seen in BUNIT, in lower case. Prefixes are left out: MJY may be mega or milli."""


@dataclass(frozen=True)
class Beam:
    """Restoring beam: full widths at half maximum, arcsec; angle east of north, degrees."""

    major: float
    minor: float
    pa: float


@dataclass(frozen=True)
class Facts:
    """What is known about an image besides its pixels; None where the header does not say.

    Attributes
    ----------
    unit : str
        VOUnit of the pixels, empty if unknown.
    beam : Beam or None
    gain : float or None
        Electrons for one image unit.
    saturate : float or None
        Pixel value from which on a pixel is saturated, image units.
    zeropoint : float or None
        Magnitude of a source of one image unit.
    exposure : float or None
        Seconds.
    epoch_mjd : float or None
        Start of the observation.
    filter : str
    frequency : float or None
        Hz.
    pixel_scale : float
        Arcsec, at the reference pixel; NaN without world coordinates.
    """

    unit: str
    beam: Beam | None
    gain: float | None
    saturate: float | None
    zeropoint: float | None
    exposure: float | None
    epoch_mjd: float | None
    filter: str
    frequency: float | None
    pixel_scale: float


def read_facts(
    header: fits.Header,
    *,
    gain: float | None = None,
    zeropoint: float | None = None,
    beam: Beam | None = None,
    plane: tuple[int, ...] = (),
) -> Facts:
    """Read the facts of an image from its (merged) header.

    Parameters
    ----------
    header : Header
    gain, zeropoint, beam : optional
        What the user knows better.
    plane : tuple of int
        Index on the axes before the last two, for the frequency of a plane of a cube.
    """
    unit = _unit(header)
    return Facts(
        unit=unit,
        beam=beam or _beam(header),
        gain=gain if gain is not None else _gain(header, unit),
        saturate=_positive(header, "SATURATE"),
        zeropoint=zeropoint if zeropoint is not None else _number(header, "MAGZERO"),
        exposure=_positive(header, "EXPTIME"),
        epoch_mjd=_epoch(header),
        filter=_filter(header),
        frequency=_frequency(header, plane),
        pixel_scale=World(header).pixel_scale,
    )


def merge_headers(primary: fits.Header, extension: fits.Header) -> fits.Header:
    """Add to an extension's header what the primary one says about the whole file.

    FITS asks for INHERIT = T; most multi-CCD files mean it without saying it, so it is done unless
    INHERIT = F or the primary HDU has an image of its own.
    """
    merged = extension.copy()
    inherit = card(extension, "INHERIT")
    if inherit is False or (primary.get("NAXIS", 0) > 0 and inherit is not True):
        return merged
    for line in primary.cards:
        if not NOT_INHERITED.match(line.keyword) and line.keyword not in merged:
            merged.append(line)
    return merged


def _number(header: fits.Header, keyword: str) -> float | None:
    """Value as a finite number, also where it was written as a string."""
    value = card(header, keyword)
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _positive(header: fits.Header, keyword: str) -> float | None:
    number = _number(header, keyword)
    return number if number is not None and number > 0 else None


def _unit(header: fits.Header) -> str:
    text = card(header, "BUNIT")
    if not isinstance(text, str):
        return ""
    known = re.sub("[A-Za-z]+-?", lambda word: UNIT_WORDS.get(word[0].lower(), word[0]), text)
    try:
        return _vounit(known)
    except ValueError:
        return ""


@cache
def _vounit(text: str) -> str:
    """Spell a unit as VOUnit; those that it lacks (electron) as astropy writes them.

    Cached, since astropy looks for a like name whenever it knows none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", units.UnitsWarning)
        unit = units.Unit(text)
        try:
            return str(unit.to_string("vounit", fraction="inline"))
        except ValueError:
            return str(unit.to_string(fraction="inline")).replace(" ", "")


def _beam(header: fits.Header) -> Beam | None:
    major, minor = _positive(header, "BMAJ"), _positive(header, "BMIN")
    if major is None or minor is None:
        return None
    return Beam(major * 3600, minor * 3600, (_number(header, "BPA") or 0.0) % 180)


def _gain(header: fits.Header, unit: str) -> float | None:
    """EGAIN before GAIN: amateur cameras write a setting of the electronics into GAIN."""
    if unit == "electron":
        return 1.0
    if "Jy" in unit or "electron" in unit:
        return None
    return _positive(header, "EGAIN") or _positive(header, "GAIN")


def _epoch(header: fits.Header) -> float | None:
    """MJD-OBS, else DATE-OBS (with TIME-OBS where it has no time), also as 29/11/51."""
    mjd = _positive(header, "MJD-OBS")
    date = card(header, "DATE-OBS")
    if mjd is not None or not isinstance(date, str):
        return mjd
    date = date.strip()
    if old := re.fullmatch(r"(\d\d)/(\d\d)/(\d\d)", date):
        date = f"19{old[3]}-{old[2]}-{old[1]}"
    clock = card(header, "TIME-OBS")
    if "T" not in date and isinstance(clock, str):
        date = f"{date}T{clock.strip()}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ERFA: "dubious year" before 1960
            return float(Time(date, format="fits", scale="utc").mjd)
    except ValueError:
        return None


def _filter(header: fits.Header) -> str:
    value = card(header, "FILTER")
    text = str(value).strip() if isinstance(value, str | int) else ""
    return "" if text.strip("_").lower() in ("unknown", "none") else text


def _frequency(header: fits.Header, plane: tuple[int, ...]) -> float | None:
    """From the FREQ axis; RESTFRQ only where there is none, as it is often that of hydrogen."""
    for axis in range(1, 10):
        if str(card(header, f"CTYPE{axis}")).startswith("FREQ"):
            value = _positive(header, f"CRVAL{axis}")
            position = len(plane) + 2 - axis
            pixel = plane[position] if 0 <= position < len(plane) else 0
            step, reference = _number(header, f"CDELT{axis}"), _number(header, f"CRPIX{axis}")
            if value is not None:
                return value + (pixel + 1 - (1 if reference is None else reference)) * (step or 0)
    return _positive(header, "RESTFRQ") or _positive(header, "RESTFREQ")
