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


class Grid(NamedTuple):
    """How sources stand in an image.

    Attributes
    ----------
    side : int
        Pixels along a cutout.
    pitch : int
        Pixels from source to source: no cutout reaches a neighbour.
    rows : int
        Sources along each axis of the image.
    """

    side: int = 32
    pitch: int = 40
    rows: int = 64


USUAL = Grid()

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
    """Simulate an image of sources of usual sizes and measure it.

    Parameters
    ----------
    case : Case
    snr : (float, float)
        Range of true peak over noise.
    seed : int
    """
    rng = np.random.default_rng(seed)
    return measure_sources(draw_sources(USUAL.rows**2, rng, USUAL.pitch, snr), case, rng)


def measure_sources(
    truth: Truth, case: Case, rng: np.random.Generator, grid: Grid = USUAL
) -> Fitted:
    """Put sources into an image, measure its noise, cut the sources out and fit them.

    Parameters
    ----------
    truth : Truth
        rows^2 sources, their positions from the first pixel of a square of ``pitch`` pixels.
    case : Case
    rng : Generator
    grid : Grid
    """
    sources = truth.images(grid.pitch)
    if np.isfinite(case.gain):
        sources = rng.poisson(sources * case.gain) / case.gain
    image = _mosaic(sources, grid)
    image = (image + case.noise(image.shape, rng)).astype(np.float32)
    noise = measure_noise(image)
    truth, cutouts = cut_out(image, noise, truth, case.gain, rng, grid)
    law = noise_law(noise.quantiles)
    return Fitted(truth, cutouts, fit_batch(cutouts, None, law, noise.correlation))


def _mosaic(stamps: np.ndarray, grid: Grid) -> np.ndarray:
    """Return stamps (rows^2, pitch, pitch) as one image, row by row."""
    rows, pitch = grid.rows, grid.pitch
    return stamps.reshape(rows, rows, pitch, pitch).swapaxes(1, 2).reshape(rows * pitch, -1)


def measure_noise(image: np.ndarray) -> NoiseGrid:
    """Measure level and noise of an image in memory, with the settings of a run."""

    def read(box: Box) -> Pixels:
        data = image[box.slices]
        usable = np.zeros(data.shape, bool)
        return Pixels(data, usable, usable, None, None)

    config = Config()
    return measure_grid(read, image.shape, cell=config.cell, filter_fwhm=config.filter_fwhm)


def cut_out(
    image: np.ndarray,
    noise: NoiseGrid,
    truth: Truth,
    gain: float,
    rng: np.random.Generator,
    grid: Grid,
) -> tuple[Truth, Cutouts]:
    """Cut a square about the rough position of every source, less the slope of the background.

    Parameters
    ----------
    image : array (rows * pitch, rows * pitch)
    noise : NoiseGrid
    truth : Truth
        Positions from the first pixel of each stamp.
    gain : float
    rng : Generator
        Of the starting values.
    grid : Grid
    """
    n, start, middle = len(truth.amp), rough_starts(truth, rng), grid.side // 2
    corner = np.rint(start[:, :2]).astype(int) - middle
    stamp_y, stamp_x = grid.pitch * np.array(np.divmod(np.arange(n), grid.rows))
    y = (stamp_y + corner[:, 1])[:, None, None] + np.arange(grid.side)[:, None]
    x = (stamp_x + corner[:, 0])[:, None, None] + np.arange(grid.side)
    background, rms = noise.maps(Box(0, image.shape[0], 0, image.shape[1]))
    centre = (slice(None), middle, middle)
    level = background[y, x][centre]
    start[:, :2] -= corner
    start[:, 6] = level
    pixels = image[y, x] - (background[y, x] - level[:, None, None])
    local = rms[y, x][centre].astype(float)
    at_cutout = truth._replace(x0=truth.x0 - corner[:, 0], y0=truth.y0 - corner[:, 1])
    return at_cutout, Cutouts(pixels, local, start, np.full(n, gain))
