"""Noise of known correlation and distribution, and its measurement from an array."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from surveyfit.sky.background import NoiseGrid, measure_grid
from surveyfit.sky.box import Box
from surveyfit.sky.reader import Pixels


def grid_of(
    data: NDArray[np.floating], mask: NDArray[np.bool_] | None = None, cell: int = 64
) -> NoiseGrid:
    """Measure an array; what is not finite is masked where no mask is given."""
    data = data.astype(np.float32)

    def read(box: Box) -> Pixels:
        values = data[box.slices]
        bad = ~np.isfinite(values) if mask is None else mask[box.slices]
        return Pixels(values, bad, np.zeros(values.shape, bool), None, None)

    return measure_grid(read, (data.shape[0], data.shape[1]), cell=cell, filter_fwhm=2.5)


def white(shape: tuple[int, int], seed: int, sigma: float = 20.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(400, sigma, shape).astype(np.float32)


def smoothed(size: int, seed: int, sigma_y: float, sigma_x: float) -> NDArray[np.float64]:
    """Draw unit noise, correlated as exp(-dy^2 / (4 sigma_y^2) - dx^2 / (4 sigma_x^2))."""
    noise = np.random.default_rng(seed).normal(size=(size, size))
    widths = (sigma_y, sigma_x)
    return gaussian_filter(noise, widths, mode="wrap") * np.sqrt(4 * np.pi * sigma_y * sigma_x)


def hit(data: NDArray[np.float64], seed: int, share: float) -> NDArray[np.float64]:
    """Add +-20 to 50 to a share of the pixels."""
    rng = np.random.default_rng(seed)
    height = rng.uniform(20, 50, data.shape) * rng.choice([-1, 1], data.shape)
    return np.where(rng.random(data.shape) < share, data + height, data)


def star(size: int, centre: tuple[float, float], peak: float, sigma: float) -> NDArray[np.float64]:
    """Draw a round Gaussian at (y, x)."""
    along_y, along_x = (
        np.exp(-((np.arange(size) - middle) ** 2) / (2 * sigma**2)) for middle in centre
    )
    return peak * np.outer(along_y, along_x)


def stars(size: int, seed: int, sigmas: tuple[float, float] = (1, 3)) -> NDArray[np.float64]:
    """Draw stars of peak 5 to 100, sigmas in this range, one on every 40 x 40 pixels."""
    rng = np.random.default_rng(seed)
    light = np.zeros((size, size))
    for _ in range((size // 40) ** 2):
        centre = tuple(rng.uniform(0, size, 2))
        light += star(size, centre, 5 * 20 ** rng.random(), rng.uniform(*sigmas))
    return light
