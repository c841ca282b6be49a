"""Images of isolated sources in noise of six kinds, measured as `surveyfit submit` measures them.

Level, width, distribution and correlation of the noise are what our code finds in the image.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from drawn_sources import Truth, draw_sources, outliers, rough_starts
from scipy.ndimage import gaussian_filter, shift

from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts
from surveyfit.fit.noise_law import noise_law
from surveyfit.fit.result import FitResult
from surveyfit.run.config import Config
from surveyfit.sky.background import NoiseGrid, measure_grid
from surveyfit.sky.box import Box
from surveyfit.sky.reader import Pixels

SIDE = 32
"""Of a cutout."""
PITCH = 40
"""Pixels from source to source: no cutout reaches a neighbour."""
ROWS = 64
"""Sources along each axis of an image."""

BEAM_SIGMA = 4.0 / 2.3548
"""Of a beam of 4 pixels FWHM."""
GAIN = 5.0
"""Electrons per unit: a sky of 25 electrons a pixel has a noise of 1. At the peak of a source of
S/N 100 its own photons make the noise 4.6."""


class Case(NamedTuple):
    """A kind of noise whose width is 1; with a gain the photons of the sources add theirs."""

    noise: Callable[[tuple[int, int], np.random.Generator], np.ndarray]
    gain: float = np.nan


class Fitted(NamedTuple):
    """Sources as they are and as they were measured, from the first pixel of their cutouts."""

    truth: Truth
    cutouts: Cutouts
    result: FitResult


def white(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise, every pixel for itself."""
    return rng.standard_normal(shape)


def cauchy(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return Cauchy noise whose 1.4826 MAD is 1."""
    return rng.standard_cauchy(shape) / 1.4826


def contaminated(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise with 2 % of outliers."""
    return white(shape, rng) + outliers(shape, 0.02, rng)


def beam(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise smoothed to a beam of 4 pixels FWHM."""
    smooth = gaussian_filter(white(shape, rng), BEAM_SIGMA, mode="wrap")
    return smooth / smooth.std()


def resampled(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise resampled (bilinear) half a pixel off along both axes."""
    moved = shift(white(shape, rng), 0.5, order=1, mode="grid-wrap")
    return moved / moved.std()


CASES = {
    "white": Case(white),
    "Cauchy": Case(cauchy),
    "2 % outliers": Case(contaminated),
    "4-pixel beam": Case(beam),
    "half-pixel shift": Case(resampled),
    "source photons": Case(white, GAIN),
}


def measure_image(case: Case, snr: tuple[float, float], seed: int) -> Fitted:
    """Simulate an image of ROWS^2 sources, measure its noise, cut the sources out and fit them.

    Parameters
    ----------
    case : Case
    snr : (float, float)
        Range of true peak over noise.
    seed : int
    """
    rng = np.random.default_rng(seed)
    truth = draw_sources(ROWS**2, rng, PITCH, snr)
    sources = truth.images(PITCH)
    if np.isfinite(case.gain):
        sources = rng.poisson(sources * case.gain) / case.gain
    image = _mosaic(sources)
    image = (image + case.noise(image.shape, rng)).astype(np.float32)
    grid = measure_noise(image)
    truth, cutouts = cut_out(image, grid, truth, case.gain, rng)
    law = noise_law(grid.quantiles)
    return Fitted(truth, cutouts, fit_batch(cutouts, None, law, grid.correlation))


def _mosaic(stamps: np.ndarray) -> np.ndarray:
    """Return stamps (ROWS^2, PITCH, PITCH) as one image, row by row."""
    tiled = stamps.reshape(ROWS, ROWS, PITCH, PITCH).swapaxes(1, 2)
    return tiled.reshape(ROWS * PITCH, ROWS * PITCH)


def measure_noise(image: np.ndarray) -> NoiseGrid:
    """Measure level and noise of an image in memory, with the settings of a run."""

    def read(box: Box) -> Pixels:
        data = image[box.slices]
        usable = np.zeros(data.shape, bool)
        return Pixels(data, usable, usable, None, None)

    config = Config()
    return measure_grid(read, image.shape, cell=config.cell, filter_fwhm=config.filter_fwhm)


def cut_out(
    image: np.ndarray, grid: NoiseGrid, truth: Truth, gain: float, rng: np.random.Generator
) -> tuple[Truth, Cutouts]:
    """Cut a square about the rough position of every source, less the slope of the background.

    Parameters
    ----------
    image : array (ROWS * PITCH, ROWS * PITCH)
    grid : NoiseGrid
    truth : Truth
        Positions from the first pixel of each stamp.
    gain : float
    rng : Generator
        Of the starting values.
    """
    n, start = len(truth.amp), rough_starts(truth, rng)
    corner = np.rint(start[:, :2]).astype(int) - SIDE // 2
    stamp_y, stamp_x = PITCH * np.array(np.divmod(np.arange(n), ROWS))
    y = (stamp_y + corner[:, 1])[:, None, None] + np.arange(SIDE)[:, None]
    x = (stamp_x + corner[:, 0])[:, None, None] + np.arange(SIDE)
    background, noise = grid.maps(Box(0, image.shape[0], 0, image.shape[1]))
    middle = (slice(None), SIDE // 2, SIDE // 2)
    level = background[y, x][middle]
    start[:, :2] -= corner
    start[:, 6] = level
    pixels = image[y, x] - (background[y, x] - level[:, None, None])
    local = noise[y, x][middle].astype(float)
    at_cutout = truth._replace(x0=truth.x0 - corner[:, 0], y0=truth.y0 - corner[:, 1])
    return at_cutout, Cutouts(pixels, local, start, np.full(n, gain))
