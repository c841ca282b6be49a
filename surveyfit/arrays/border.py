"""Level and noise of cutouts, from the pixels along their borders, away from the source."""

import numpy as np
from numpy.typing import NDArray

BORDER_SHARE = 5
"""The border is one part in so many of the side wide, on all four sides: 6 pixels of 32."""

FEWEST_PIXELS = 20
"""A border with fewer usable pixels (at the edge of an image) gives way to the whole cutout."""

SIGMA_PER_MEDIAN = 1.4826
"""Standard deviation over the median of |x| for Gaussian x."""

CLIP = 3.0
"""Sigmas, by the median of |x|, beyond which a pixel counts as an outlier."""

CLIPPED_WIDTH = 0.98658
"""Standard deviation of a Gaussian of unit width within 3 sigmas:
sqrt(1 - 2 k phi(k) / (2 Phi(k) - 1)), k = 3, with its density and distribution."""


def border_pixels(pixels: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the pixels (n, side * side) of cutouts (n, side, side), NaN but along the border."""
    n, side = pixels.shape[:2]
    width = max(1, side // BORDER_SHARE)
    outside = np.ones((side, side), bool)
    outside[width : side - width, width : side - width] = False
    finite = np.isfinite(pixels)
    few = np.count_nonzero(finite & outside, axis=(1, 2)) < FEWEST_PIXELS
    chosen = finite & (outside | few[:, None, None])
    return np.where(chosen, pixels, np.nan).astype(float).reshape(n, side * side)


def level_and_noise(
    pixels: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the border pixels that are no outliers.

    Outliers are 3 robust sigmas from the median; the standard deviation is brought to that of a
    Gaussian that was not clipped.

    Parameters
    ----------
    pixels : array (n, side, side)
        NaN where not usable.

    Returns
    -------
    level, noise : array (n,)
        NaN for a cutout without any pixel.
    """
    values = border_pixels(pixels)
    middle = _median(values)
    off = values - middle[:, None]
    spread = SIGMA_PER_MEDIAN * _median(np.abs(off))
    kept = np.abs(off) <= CLIP * spread[:, None]
    number = np.maximum(np.count_nonzero(kept, axis=1), 1)
    calm = np.where(kept, off, 0.0)
    mean = np.sum(calm, axis=1) / number
    variance = np.maximum(np.sum(calm**2, axis=1) / number - mean**2, 0.0)
    noise = np.where(np.isnan(middle), np.nan, np.sqrt(variance) / CLIPPED_WIDTH)
    return middle + mean, noise


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median (n,) of each row (n, k) without its NaN; NaN for a row of NaN.

    Five times faster than numpy's nanmedian, which goes through the rows one by one.
    """
    number = np.count_nonzero(~np.isnan(values), axis=1)
    places = np.maximum(np.stack([(number - 1) // 2, number // 2], axis=1), 0)
    return np.take_along_axis(np.sort(values, axis=1), places, axis=1).mean(axis=1)
