"""Isolated outliers (cosmic rays, hot and cold pixels): sharper than any source.

They are part of the noise that a fit meets, so they must not be left out with the sources.
"""

import numpy as np
from numpy.typing import NDArray

HIGHEST_ORDINARY = 6.0
"""Sigmas beyond which a pixel is looked at: Gaussian noise passes them once in 5e8 pixels."""

SHARPEST_SOURCE = 0.25
"""Two of the eight pixels around the peak of a source hold at least this share of it. A Gaussian
of sigma 0.6 pixels leaves them exp(-1 / (2 sigma**2)) = 0.25, one of 0.8 pixels 0.46. One bright
neighbour does not count, since a seventh of the outliers of a 2 % contamination have one."""

_DOWN, _RIGHT = np.array(
    [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
).T[..., None]


def find_spikes(scaled: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark pixels that stand out alone, upwards or downwards.

    Parameters
    ----------
    scaled : array (..., height, width)
        (pixel - background) / noise; any value where masked.
    mask : bool array (..., height, width)
        True where a pixel is unusable. It may hide a source, so it counts as a bright neighbour.

    Returns
    -------
    bool array (..., height, width)
        False where masked.
    """
    spikes = ~mask & (np.abs(scaled) > HIGHEST_ORDINARY)
    if not spikes.any():
        return spikes
    *cell, y, x = at = np.nonzero(spikes)
    height, width = scaled.shape[-2:]
    # Beyond the edge, the edge itself stands for what is not known.
    around = (*cell, np.clip(y + _DOWN, 0, height - 1), np.clip(x + _RIGHT, 0, width - 1))
    neighbours = np.where(mask[around], np.inf, scaled[around] * np.sign(scaled[at]))
    second_brightest = np.sort(neighbours, axis=0)[-2]
    spikes[at] = second_brightest < SHARPEST_SOURCE * np.abs(scaled[at])
    return spikes
