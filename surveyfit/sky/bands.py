"""Which images show the same light, and how deep each is: what it takes to compare their noise."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy import units as u

from surveyfit.sky.header import Facts

SAME_FREQUENCY = 1.01
"""Radio images whose frequencies differ by no larger factor show the same light."""

COUNTS = ("adu", "electron", "count")
"""Units that grow with the exposure time."""

NO_BAND = ""
"""Band of an image that is compared with no other."""


class Depth(NamedTuple):
    """Noise in a unit that other images share.

    Attributes
    ----------
    unit : str
    noise : float
        1 sigma: of Jy/beam images in a beam; of others in an area of 1 arcsec2 of white noise,
        whatever the size of the pixels.
    """

    unit: str
    noise: float


def depth(facts: Facts, pixel_noise: float) -> Depth | None:
    """Return the noise of an image as it compares with that of others.

    Parameters
    ----------
    facts : Facts
    pixel_noise : float
        Of one pixel, in units of the image.

    Returns
    -------
    Depth or None
        None if it compares with nothing: no unit and no zero point, or no sky positions.
    """
    if not pixel_noise > 0 or not facts.pixel_scale > 0:
        return None
    unit = u.Unit(facts.unit, parse_strict="silent")
    if unit.is_equivalent(u.Jy / u.beam):
        return Depth("Jy/beam", pixel_noise * float(unit.to(u.Jy / u.beam)))
    if unit.is_equivalent(u.Jy / u.sr):
        # The flux in an area grows with it, its noise with the root of the number of pixels.
        return Depth("Jy/sr", pixel_noise * float(unit.to(u.Jy / u.sr)) * facts.pixel_scale)
    noise = pixel_noise / facts.pixel_scale
    if facts.zeropoint is not None:
        return Depth("flux of magnitude 0", noise * float(10 ** (-0.4 * facts.zeropoint)))
    if unit.is_equivalent(u.Jy):
        return Depth("Jy", noise * float(unit.to(u.Jy)))
    if facts.unit in COUNTS and facts.exposure is not None:
        return Depth(f"{facts.unit}/s", noise / facts.exposure)
    return Depth(facts.unit, noise) if facts.unit else None


def bands(facts: Sequence[Facts], depths: Sequence[Depth | None]) -> list[str]:
    """Name the band of each image; images of the same band compete for the sky that they share.

    A band is a filter, or radio frequencies of which each is within 1 % of the next, with the unit
    of the noise. An image without filter and frequency, or without `Depth`, has `NO_BAND`.
    """
    frequencies = _frequency_names([f.frequency for f in facts if not f.filter and f.frequency])
    names = []
    for known, measured in zip(facts, depths, strict=True):
        light = known.filter.casefold() or frequencies.get(known.frequency or 0.0, "")
        names.append(f"{light} ({measured.unit})" if light and measured else NO_BAND)
    return names


def _frequency_names(frequencies: Sequence[float]) -> dict[float, str]:
    """Call each frequency by the lowest of those to which it is linked."""
    ordered = np.unique(np.array(frequencies, float))
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] > SAME_FREQUENCY * ordered[:-1]
    lowest = ordered[first][np.cumsum(first) - 1]
    return {float(f): f"{low / 1e9:.6g} GHz" for f, low in zip(ordered, lowest, strict=True)}
