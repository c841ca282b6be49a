"""The error of the peak of a source, known before it is measured.

It says how faint an artificial source is, so it shares nothing with the errors of the fits.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

REACH_SIGMAS = 5.0
LEAST_REACH = 16
"""Pixels to either side of the source that a fit uses: as many sigmas, and at least so many."""


class PeakVariance(NamedTuple):
    """Variance of a peak: ``sky * rms**2 + photons * peak / gain``.

    Attributes
    ----------
    sky : float
        In units of the variance of a pixel of the sky.
    photons : float
        In units of the variance that the source's photons give to the pixel at its peak.
    """

    sky: float
    photons: float


def peak_variance(
    covariance: NDArray[np.float64], correlation: NDArray[np.float64]
) -> PeakVariance:
    """Return what the variance of the peak of a Gaussian source will be.

    That of a least-squares fit of peak, position, shape and level to the first order,
    ``(D'D)^-1 D'VD (D'D)^-1`` with the derivatives D of the model and the covariances V of the
    pixels. In independent noise without photons of the source it is 2 / (pi sigma_major
    sigma_minor) times the variance of a pixel (Condon 1997, PASP 109, 166).

    Parameters
    ----------
    covariance : array (2, 2)
        Of the light, pixels squared.
    correlation : array (2 L + 1, 2 L + 1)
        Of the noise of the sky, as in `background.NoiseGrid`.
    """
    sigma = np.sqrt(np.linalg.eigvalsh(covariance)[1])
    reach = max(LEAST_REACH, int(np.ceil(REACH_SIGMAS * sigma)))
    dx = np.arange(-reach, reach + 1.0)
    dy = dx[:, None]
    inverse = np.linalg.inv(covariance)
    light = np.exp(
        -(inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2) / 2
    )
    # Every derivative of the model is a sum of these, that of the peak is the first alone.
    terms = (1, dx, dy, dx**2, dx * dy, dy**2)
    maps = np.stack([light * term for term in terms] + [np.ones_like(light)])
    correlated = fftconvolve(maps, correlation[None], mode="same", axes=(1, 2))
    derivatives = maps.reshape(len(maps), -1)
    curvature = np.linalg.inv(derivatives @ derivatives.T)
    of_peak = curvature[0]
    sky = of_peak @ derivatives @ correlated.reshape(len(maps), -1).T @ of_peak
    photons = light.ravel() @ (of_peak @ derivatives) ** 2
    return PeakVariance(float(sky), float(photons))
