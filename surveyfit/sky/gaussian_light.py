"""The light of Gaussian sources on pixels, drawn by code that shares nothing with the fits.

A source is given by the covariance matrix C of its light, in pixels squared:
``amp * exp(-d' C^-1 d / 2)``, sampled at pixel centres.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surveyfit.sky.box import Box

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))

STAMP_SIGMAS = 6.5
"""Half width of a drawn source in sigmas; beyond, the light is below 1e-9 of the peak."""


def covariances(major: ArrayLike, minor: ArrayLike, degrees: ArrayLike) -> NDArray[np.float64]:
    """Covariance matrices (n, 2, 2) of ellipses: sigmas along the axes and angle, each (n,).

    The angle is that of the major axis from +x to +y; the order of a matrix is x, y.
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[cos, -sin], [sin, cos]])
    variances = np.array([np.square(major), np.square(minor)])
    return np.einsum("ikn,kn,jkn->nij", rotation, variances, rotation)


def stamp_box(x: float, y: float, covariance: NDArray[np.float64]) -> Box:
    """Return the pixels on which a source is drawn; some may lie outside of the image."""
    reach = STAMP_SIGMAS * np.sqrt(np.linalg.eigvalsh(covariance)[1])
    (y0, x0), (y1, x1) = np.floor([[y - reach, x - reach], [y + reach, x + reach]]).astype(int)
    return Box(int(y0), int(y1) + 1, int(x0), int(x1) + 1)


def draw_stamp(
    box: Box, x: float, y: float, amp: float, covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the light of a source on the pixels of a box, in the unit of ``amp``."""
    inverse = np.linalg.inv(covariance)
    dx = np.arange(box.x0, box.x1) - x
    dy = np.arange(box.y0, box.y1)[:, None] - y
    distance2 = inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2
    light: NDArray[np.float64] = amp * np.exp(-distance2 / 2)
    return light
