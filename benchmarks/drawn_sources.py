"""Sources with known truth, drawn without the code under test, and what spoils their pixels.

A source is drawn from its axes and its angle: the exponent is a quadratic form with the inverse of
a covariance matrix, and the parameters of the catalogue follow from that matrix. The noise of a
pixel is 1 unless said otherwise, so that amplitudes are peak S/N.
"""

from typing import NamedTuple

import numpy as np

SIZES = (1.5, 2.2)
"""Pixels, range of sigma: well sampled, FWHM 3.5 to 5.2."""

LARGEST_E = 0.4
"""Axis ratio 1.5."""

OUTLIERS = (20.0, 50.0)
"""Range of a cosmic ray or a bad pixel, in noises, of either sign."""


class Truth(NamedTuple):
    """Centre, peak, sigmas along the axes, angle from +x to +y (radians), background; each (n,)."""

    x0: np.ndarray
    y0: np.ndarray
    amp: np.ndarray
    major: np.ndarray
    minor: np.ndarray
    angle: np.ndarray
    bkg: np.ndarray

    def precision(self) -> np.ndarray:
        """Return the inverse covariance (n, 2, 2) of the source as a distribution in x, y."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
        squares = np.stack([self.major**-2, self.minor**-2], -1)[:, None, :]
        return (turn * squares) @ turn.swapaxes(1, 2)

    def params(self) -> np.ndarray:
        """Return the parameters (n, 7) of the catalogue."""
        precision = self.precision()
        sigma2 = 2 / (precision[:, 0, 0] + precision[:, 1, 1])
        rho = 2 * precision[:, 0, 1] * sigma2
        diff = 0.5 * (precision[:, 0, 0] - precision[:, 1, 1]) * sigma2
        return np.stack([self.x0, self.y0, self.amp, np.sqrt(sigma2), rho, diff, self.bkg], 1)

    def flux(self) -> np.ndarray:
        """Return the integrated fluxes (n,)."""
        return 2 * np.pi * self.amp * self.major * self.minor

    def images(self, side: int) -> np.ndarray:
        """Return noiseless cutouts (n, side, side)."""
        dx = np.arange(side) - self.x0[:, None]
        dy = np.arange(side) - self.y0[:, None]
        xx, xy, yy = (self.precision()[:, i, j] for i, j in ((0, 0), (0, 1), (1, 1)))
        form = (
            (xx[:, None] * dx**2)[:, None, :]
            + (yy[:, None] * dy**2)[:, :, None]
            + 2 * xy[:, None, None] * dx[:, None, :] * dy[:, :, None]
        )
        return self.amp[:, None, None] * np.exp(-0.5 * form) + self.bkg[:, None, None]


def draw_sources(
    n: int,
    rng: np.random.Generator,
    side: int,
    snr: tuple[float, float],
    sizes: tuple[float, float] = SIZES,
) -> Truth:
    """Draw sources within half a pixel of the middle of cutouts of ``side`` pixels.

    Parameters
    ----------
    n : int
    rng : Generator
    side : int
    snr : (float, float)
        Range of the peak, drawn log-uniformly.
    sizes : (float, float)
        Range of sigma in pixels, with 2 / sigma^2 the sum of the inverse squares of the axes.
    """
    middle = (side - 1) / 2
    sigma, e = rng.uniform(*sizes, n), rng.uniform(0, LARGEST_E, n)
    return Truth(
        x0=middle + rng.uniform(-0.5, 0.5, n),
        y0=middle + rng.uniform(-0.5, 0.5, n),
        amp=np.exp(rng.uniform(np.log(snr[0]), np.log(snr[1]), n)),
        major=sigma / np.sqrt(1 - e),
        minor=sigma / np.sqrt(1 + e),
        angle=rng.uniform(0, np.pi, n),
        bkg=np.zeros(n),
    )


def rough_starts(truth: Truth, rng: np.random.Generator) -> np.ndarray:
    """Return round starting parameters (n, 7), as far off as detection leaves them."""
    n = len(truth.amp)
    start = truth.params()
    start[:, :2] += rng.normal(0, 0.4, (n, 2))
    start[:, 2] *= rng.uniform(0.7, 1.2, n)
    start[:, 3] *= np.exp(rng.normal(0, 0.2, n))
    start[:, 4:6] = 0.0
    start[:, 6] += rng.normal(0, 0.3, n)
    return start


def outliers(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> np.ndarray:
    """Return what cosmic rays and bad pixels add: zero but for ``share`` of the pixels."""
    hit = rng.uniform(size=shape) < share
    values = np.zeros(shape)
    count = np.count_nonzero(hit)
    values[hit] = rng.uniform(*OUTLIERS, count) * rng.choice([-1, 1], count)
    return values
