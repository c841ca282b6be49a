"""Facts about an image that its header tells, in one spelling."""

import re
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

from astropy import units
from astropy.io import fits

from surveyfit.sky.cards import number, positive, text
from surveyfit.sky.hdu import card
from surveyfit.sky.photometry_cards import exposure, filter_name, zero_point
from surveyfit.sky.time_cards import middle_mjd, start_mjd
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
    "nanomaggy": "nmgy",
    "nanomaggies": "nmgy",
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
        Magnitude of a source of one image unit, whatever the exposure.
    exposure : float or None
        Seconds.
    epoch_mjd, epoch_mid_mjd : float or None
        Start and middle of the observation, UTC.
    telescope, instrument, object : str
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
    epoch_mid_mjd: float | None
    telescope: str
    instrument: str
    object: str
    filter: str
    frequency: float | None
    pixel_scale: float

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Facts":
        """Inverse of `dataclasses.asdict`, also after a passage through JSON."""
        beam = record["beam"]
        return cls(**record | {"beam": None if beam is None else Beam(**beam)})


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
        saturate=positive(header, "SATURATE"),
        zeropoint=zeropoint if zeropoint is not None else zero_point(header, unit),
        exposure=(seconds := exposure(header)),
        epoch_mjd=start_mjd(header),
        epoch_mid_mjd=middle_mjd(header, seconds),
        telescope=text(header, "TELESCOP"),
        instrument=text(header, "INSTRUME"),
        object=text(header, "OBJECT"),
        filter=filter_name(header),
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


def _unit(header: fits.Header) -> str:
    written = card(header, "BUNIT")
    if not isinstance(written, str):
        return ""
    known = re.sub("[A-Za-z]+-?", lambda word: UNIT_WORDS.get(word[0].lower(), word[0]), written)
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
    major, minor = positive(header, "BMAJ"), positive(header, "BMIN")
    if major is None or minor is None:
        return None
    return Beam(major * 3600, minor * 3600, (number(header, "BPA") or 0.0) % 180)


def _gain(header: fits.Header, unit: str) -> float | None:
    """EGAIN before GAIN: amateur cameras write a setting of the electronics into GAIN."""
    if unit == "electron":
        return 1.0
    if "Jy" in unit or "electron" in unit:
        return None
    return positive(header, "EGAIN") or positive(header, "GAIN")


def _frequency(header: fits.Header, plane: tuple[int, ...]) -> float | None:
    """From the FREQ axis; RESTFRQ only where there is none, as it is often that of hydrogen."""
    for axis in range(1, 10):
        if str(card(header, f"CTYPE{axis}")).startswith("FREQ"):
            value = positive(header, f"CRVAL{axis}")
            position = len(plane) + 2 - axis
            pixel = plane[position] if 0 <= position < len(plane) else 0
            step, reference = number(header, f"CDELT{axis}"), number(header, f"CRPIX{axis}")
            if value is not None:
                return value + (pixel + 1 - (1 if reference is None else reference)) * (step or 0)
    return positive(header, "RESTFRQ") or positive(header, "RESTFREQ")
