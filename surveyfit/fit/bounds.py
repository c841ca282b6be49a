"""What a fitted source may be: the bounds of the parameters inside the fit."""

import numpy as np

LARGEST_ELLIPTICITY = 0.98
"""Axis ratio 10: thinner than any source, the shape of a track or a bad column."""

SMALLEST_SIGMA = 0.3
"""Pixels. A narrower Gaussian falls between the pixels: only its centre pixel carries signal."""

SMALLEST_AMP = 0.01
"""Of the local noise. The amplitude is positive inside (its logarithm is fitted); this is zero."""


def largest_sigma(side: int) -> float:
    """Return the largest sigma in a cutout of ``side`` pixels; wider is background."""
    return side / 2


def box(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper bounds (7,) of the internal parameters, but for the amplitude.

    The centre, counted from the first pixel, stays within the pixels.
    """
    free = np.inf
    lower = [-0.5, -0.5, -free, np.log(SMALLEST_SIGMA), -free, -free, -free]
    upper = [side - 0.5, side - 0.5, free, np.log(largest_sigma(side)), free, free, free]
    return np.array(lower), np.array(upper)
