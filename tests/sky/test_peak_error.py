"""The error that is expected of a peak, against a closed form and against a sum over all pairs."""

import numpy as np
import pytest

from surveyfit.sky.gaussian_light import covariances
from surveyfit.sky.peak_error import peak_variance


@pytest.mark.parametrize(("major", "minor"), [(1.5, 1.5), (3.0, 1.2)])
def test_in_independent_noise_it_is_condons(major: float, minor: float) -> None:
    (shape,) = covariances([major], [minor], [70.0])
    # Pixels sample a Gaussian of sigma 1.2 as its integral to 1e-6.
    condon = 2 / (np.pi * major * minor)
    assert peak_variance(shape, np.ones((1, 1))).sky == pytest.approx(condon, rel=1e-5)


def test_correlated_noise_counts_every_pair_of_pixels() -> None:
    (shape,) = covariances([2.0], [1.7], [20.0])
    lag = np.arange(-3, 4.0)
    correlation = np.exp(-(lag**2 + lag[:, None] ** 2) / 4)
    y, x = (axis.ravel() for axis in np.mgrid[-16:17, -16:17].astype(float))
    pairs = np.exp(-((x - x[:, None]) ** 2 + (y - y[:, None]) ** 2) / 4)
    pairs[(abs(x - x[:, None]) > 3) | (abs(y - y[:, None]) > 3)] = 0
    step = 1e-4

    def model(peak: float, x0: float, y0: float, xx: float, xy: float, yy: float) -> np.ndarray:
        d = np.stack([x - x0, y - y0])
        inverse = np.linalg.inv(shape + np.array([[xx, xy], [xy, yy]]))
        return peak * np.exp(-np.einsum("ik,ij,jk->k", d, inverse, d) / 2)

    at = np.array([1.0, 0, 0, 0, 0, 0])
    slopes = [(model(*(at + e)) - model(*(at - e))) / (2 * step) for e in step * np.eye(6)]
    design = np.stack([*slopes, np.ones_like(x)], axis=1)
    fit = np.linalg.pinv(design)
    expected = (fit @ pairs @ fit.T)[0, 0]
    photons = (fit @ np.diag(model(*at)) @ fit.T)[0, 0]
    found = peak_variance(shape, correlation)
    assert found.sky == pytest.approx(expected, rel=1e-5)  # of the numerical slopes
    assert found.photons == pytest.approx(photons, rel=1e-5)
