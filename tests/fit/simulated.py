"""Sources with known truth, made without the code under test.

A source is drawn from its axes and angle: the exponent is a quadratic form with the inverse of a
covariance matrix, and the parameters of the catalogue follow from that matrix.
"""

from typing import NamedTuple

import numpy as np

from surveyfit.fit.cutouts import Cutouts

SIDE = 24
"""One side for most tests: each new side is a compile of seconds."""


class Truth(NamedTuple):
    """Centre, peak, sigmas along the axes, angle from +x to +y (radians), background; each (n,)."""

    x0: np.ndarray
    y0: np.ndarray
    amp: np.ndarray
    major: np.ndarray
    minor: np.ndarray
    angle: np.ndarray
    bkg: np.ndarray

    def covariance(self) -> np.ndarray:
        """Return the covariance (n, 2, 2) of the source as a distribution in x, y."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
        squares = np.stack([self.major**2, self.minor**2], -1)[:, None, :]
        return (turn * squares) @ turn.swapaxes(1, 2)

    def params(self) -> np.ndarray:
        """Return the parameters (n, 7) of the catalogue."""
        precision = np.linalg.inv(self.covariance())
        sigma2 = 2 / (precision[:, 0, 0] + precision[:, 1, 1])
        rho = 2 * precision[:, 0, 1] * sigma2
        diff = 0.5 * (precision[:, 0, 0] - precision[:, 1, 1]) * sigma2
        return np.stack([self.x0, self.y0, self.amp, np.sqrt(sigma2), rho, diff, self.bkg], 1)

    def images(self, side: int = SIDE) -> np.ndarray:
        """Return noiseless cutouts (n, side, side)."""
        y, x = np.mgrid[:side, :side]
        d = np.stack([x - self.x0[:, None, None], y - self.y0[:, None, None]], -1)
        form = np.einsum("nyxi,nij,nyxj->nyx", d, np.linalg.inv(self.covariance()), d)
        return self.amp[:, None, None] * np.exp(-0.5 * form) + self.bkg[:, None, None]


def random_truth(n: int, seed: int, snr: tuple[float, float] = (10.0, 100.0)) -> Truth:
    """Draw sources near the centre, of 3 to 6 pixels FWHM, with noise 1 in mind."""
    rng = np.random.default_rng(seed)
    middle = (SIDE - 1) / 2
    minor = rng.uniform(1.3, 1.9, n)
    return Truth(
        x0=middle + rng.uniform(-0.5, 0.5, n),
        y0=middle + rng.uniform(-0.5, 0.5, n),
        amp=np.exp(rng.uniform(*np.log(snr), n)),
        major=minor * rng.uniform(1.15, 1.5, n),
        minor=minor,
        angle=rng.uniform(0, np.pi, n),
        bkg=rng.normal(0, 1, n),
    )


def rough_start(truth: Truth, seed: int) -> np.ndarray:
    """Return round starting parameters (n, 7), as far off as detection leaves them."""
    rng = np.random.default_rng(seed)
    n = len(truth.amp)
    start = truth.params()
    start[:, :2] += rng.normal(0, 0.4, (n, 2))
    start[:, 2] *= rng.uniform(0.7, 1.2, n)
    start[:, 3] *= np.exp(rng.normal(0, 0.2, n))
    start[:, 4:6] = 0.0
    start[:, 6] += rng.normal(0, 0.5, n)
    return start


def cutouts_of(pixels: np.ndarray, start: np.ndarray, noise: float = 1.0) -> Cutouts:
    """Return cutouts of one scalar noise and no known gain."""
    n = len(pixels)
    return Cutouts(pixels, np.full(n, noise), start, np.full(n, np.nan))


def noisy_cutouts(truth: Truth, seed: int) -> Cutouts:
    """Return cutouts with white Gaussian noise of 1."""
    images = truth.images()
    noise = np.random.default_rng(seed).normal(size=images.shape)
    return cutouts_of(images + noise, rough_start(truth, seed + 1))


def errors_of(covariance: np.ndarray) -> np.ndarray:
    """Return the 1-sigma errors (n, p) of covariances (n, p, p)."""
    return np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))


def small_covariance(n: int, seed: int) -> np.ndarray:
    """Return random covariances (n, 7, 7) with correlations, errors of about a percent."""
    rng = np.random.default_rng(seed)
    scale = np.array([0.02, 0.02, 0.5, 0.01, 0.01, 0.01, 0.1])
    root = rng.normal(size=(n, 7, 7)) * 0.3 + np.eye(7)
    return scale[:, None] * (root @ root.swapaxes(1, 2)) * scale


def angle_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a - b for angles of axes, degrees in [-90, 90)."""
    return (a - b + 90.0) % 180.0 - 90.0
