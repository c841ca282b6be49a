"""Where the fit of a cutout starts: a source near its centre, found in spite of hot pixels."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from surveyfit.schema import PARAMETERS

X0, Y0, SIGMA = (PARAMETERS.index(name) for name in ("x0", "y0", "sigma"))

SEARCH_SHARE = 6
"""The source's peak lies within one part in so many of the side from the centre ..."""

SEARCH_RADIUS = 3.0
"""... or within so many pixels of it, if that is more."""

GIVEN_RADIUS = 1.0
"""Pixels, from a place that is given."""

SMOOTHING_SIGMA = 1.0
"""Pixels. Wide enough that noise makes no peaks at S/N 5."""

ADDED_VARIANCE = 1.5
"""Pixels^2 that medians and smoothing add to those of a source. Sizes then start at 0.98 to 1.05 of
the truth in the median, for sigmas of 1 to 6 pixels; one by one at 0.7 to 1.5."""

SMALLEST_SIGMA = 0.7
"""Pixels, of a start."""

LARGEST_SIGMA_SHARE = 4
"""A start is no larger than one part in so many of the side."""

WITHIN_CUTOUT = np.zeros((3, 3, 3), bool)
WITHIN_CUTOUT[1] = True
"""What touches a pixel in a stack of cutouts: the eight around it in its own cutout."""


def find_starts(
    pixels: NDArray[np.floating],
    level: NDArray[np.float64],
    noise: NDArray[np.float64],
    given: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return linear parameters (n, 7) of a round source in each cutout, as far as not given.

    Its peak is that of the cutout after medians of three pixels along both axes, which take hot
    pixels out, and a smoothing. Centre and size are those of the pixels above half of it: a
    Gaussian covers an area 2 pi sigma^2 ln 2 there.

    Parameters
    ----------
    pixels : array (n, side, side)
        NaN where not usable.
    level, noise : array (n,)
        Of the sky. The amplitude is at least one noise, unless it is clearly negative.
    given : array (n, 7)
        NaN where to be found; the source is then looked for near the centre of the cutout.
    """
    n, side = pixels.shape[:2]
    smooth = _smoothed(np.where(np.isfinite(pixels), pixels - level[:, None, None], 0.0))
    near = np.where(_searched(given, side), smooth, -np.inf).reshape(n, side * side)
    at = (np.arange(n), *np.unravel_index(np.argmax(near, axis=1), (side, side)))
    peak = smooth[at]
    area, x0, y0 = _region(smooth >= (peak - 0.5 * np.abs(peak))[:, None, None], at)
    covered = area / (2 * np.pi * np.log(2))
    largest = (side / LARGEST_SIGMA_SHARE) ** 2
    variance = np.clip(covered - ADDED_VARIANCE, SMALLEST_SIGMA**2, largest)
    variance = np.where(np.isnan(given[:, SIGMA]), variance, given[:, SIGMA] ** 2)
    # What medians and smoothing have added to the area they have taken from the peak.
    amp = peak * (1 + ADDED_VARIANCE / variance)
    amp = np.where(amp < -noise, amp, np.fmax(amp, noise))
    zero = np.zeros(n)
    found = np.stack([x0, y0, amp, np.sqrt(variance), zero, zero, np.nan_to_num(level)], axis=1)
    return np.where(np.isnan(given), found, given)


def _searched(given: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    """Return where the peak is looked for, (n, side, side): at the given place, or centrally."""
    middle = (side - 1) / 2
    known = ~np.isnan(given[:, X0] + given[:, Y0])
    x0, y0 = (np.where(known, given[:, k], middle)[:, None, None] for k in (X0, Y0))
    reach = np.where(known, GIVEN_RADIUS, max(SEARCH_RADIUS, side / SEARCH_SHARE))
    y, x = np.indices((side, side))
    return np.asarray(np.hypot(x - x0, y - y0) <= reach[:, None, None])


def _smoothed(values: NDArray[np.floating]) -> NDArray[np.floating]:
    calm = _median_of_three(_median_of_three(values, axis=1), axis=2)
    return np.asarray(ndimage.gaussian_filter(calm, SMOOTHING_SIGMA, axes=(1, 2)))


def _median_of_three(values: NDArray[np.floating], axis: int) -> NDArray[np.floating]:
    """Return the median of each pixel and its two neighbours along an axis.

    Beyond an edge stands the other edge: of that there is no more than of any sky.
    """
    before, after = np.roll(values, 1, axis), np.roll(values, -1, axis)
    return np.clip(values, np.minimum(before, after), np.maximum(before, after))


def _region(
    above: NDArray[np.bool_], at: tuple[NDArray[np.int_], ...]
) -> tuple[NDArray[np.float64], ...]:
    """Return area, mean column and mean row (n,) of the connected pixels around each peak."""
    labels, count = ndimage.label(above, WITHIN_CUTOUT)
    _, y, x = np.nonzero(labels)
    label = labels[labels > 0]
    sums = [np.bincount(label, w, count + 1)[labels[at]] for w in (np.ones(len(x)), x, y)]
    return sums[0], sums[1] / sums[0], sums[2] / sums[0]
