"""Background and noise of an image on a grid of cells anchored at pixel (0, 0).

Every cell is measured by itself (sep's clipped mode and deviation), so the grid is the
same however the image is later cut into tiles. Beside the two maps stand properties of the noise
as a whole: what the detection filter makes of it, its distribution and its correlation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import distance_transform_edt

from surveyfit.errors import InputError
from surveyfit.sky.box import Box
from surveyfit.sky.correlation import noise_correlation
from surveyfit.sky.coverage import CoverageCounter
from surveyfit.sky.kernel import detection_profile
from surveyfit.sky.noise_sample import Cell, filter_factor, measure_cells, noise_quantiles
from surveyfit.sky.reader import LARGEST_VALUE, Pixels

SAMPLED_CELLS = 256
"""Cells, evenly spread, from which the properties of the noise as a whole are measured."""

UNUSABLE = f"NaN, blank, blocks of zeros, masked, saturated or beyond {LARGEST_VALUE:g}"
"""Pixels that are not measured, in words."""


@dataclass(frozen=True)
class NoiseGrid:
    """What was measured of an image's sky.

    Attributes
    ----------
    background, noise : array (cells_y, cells_x)
        Level and 1-sigma pixel noise of each cell, image units.
    centres_y, centres_x : array
        Pixel coordinates of the cell centres.
    filter_factor : float
        Noise of the filtered image over the noise of the image; depends on pixel correlation.
    quantiles : array (N_QUANTILES,)
        Quantiles of (pixel - background) / noise over source-free pixels.
    correlation : array (2 L + 1, 2 L + 1)
        Correlation coefficient of the noise of pixels (y, x) and (y + dy, x + dx) at
        [dy + L, dx + L]; L = 0 for independent pixels.
    covered : bool array
        Where there are usable pixels (`surveyfit.sky.coverage`).
    """

    background: NDArray[np.float64]
    noise: NDArray[np.float64]
    centres_y: NDArray[np.float64]
    centres_x: NDArray[np.float64]
    filter_factor: float
    quantiles: NDArray[np.float64]
    correlation: NDArray[np.float64]
    covered: NDArray[np.bool_]

    def maps(self, box: Box) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Background and noise of every pixel of a box, image units, bilinear between cells."""
        y, x = np.arange(box.y0, box.y1), np.arange(box.x0, box.x1)
        return self._interpolate(self.background, y, x), self._interpolate(self.noise, y, x)

    def _interpolate(
        self, values: NDArray[np.float64], y: NDArray[np.int_], x: NDArray[np.int_]
    ) -> NDArray[np.float32]:
        spline = RectBivariateSpline(
            *_at_least_two(values, self.centres_y, self.centres_x), kx=1, ky=1
        )
        return np.asarray(spline(y, x), np.float32)


def _at_least_two(
    values: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Repeat a single row or column of nodes, since a spline needs two."""
    if y.size == 1:
        y, values = np.array([y[0], y[0] + 1]), np.repeat(values, 2, axis=0)
    if x.size == 1:
        x, values = np.array([x[0], x[0] + 1]), np.repeat(values, 2, axis=1)
    return y, x, values


def measure_grid(
    read: Callable[[Box], Pixels], shape: tuple[int, int], *, cell: int, filter_fwhm: float
) -> NoiseGrid:
    """Measure background and noise of an image, a row of cells at a time.

    Parameters
    ----------
    read : callable
        Returns the `Pixels` of a box.
    shape : (ny, nx)
    cell : int
        Side of a cell in pixels.
    filter_fwhm : float
        Full width at half maximum of the detection filter, in pixels.

    Raises
    ------
    InputError
        If the image has no usable pixel or only one value (without the image's name in front).
    """
    edges_y, edges_x = _edges(shape[0], cell), _edges(shape[1], cell)
    n_y, n_x = len(edges_y) - 1, len(edges_x) - 1
    stride = max(1, n_y * n_x // SAMPLED_CELLS)
    profile = detection_profile(filter_fwhm)
    cells: list[Cell] = []
    usable = 0
    coverage = CoverageCounter(shape)
    for row in range(n_y):
        strip = Box(edges_y[row], edges_y[row + 1], 0, shape[1])
        pixels = read(strip)
        coverage.add(strip, ~(pixels.mask | pixels.saturated))
        usable += int(np.count_nonzero(~pixels.mask))
        for first, last in _alike(edges_x):
            stack = _stack(pixels, edges_x[first : last + 1])
            sampled = (row * n_x + np.arange(first, last)) % stride == 0
            cells += measure_cells(stack, cell * cell, profile, sampled)
    background = np.array([c.background for c in cells]).reshape(n_y, n_x)
    noise = np.array([c.noise for c in cells]).reshape(n_y, n_x)
    if not np.isfinite(noise).any():
        raise _nothing_to_measure(usable)
    samples = [c.sample for c in cells if c.sample is not None]
    return NoiseGrid(
        background=_smooth(background),
        noise=_smooth(noise),
        centres_y=_centres(edges_y),
        centres_x=_centres(edges_x),
        filter_factor=filter_factor(samples, profile),
        quantiles=noise_quantiles(samples),
        correlation=noise_correlation(samples),
        covered=coverage.covered(),
    )


def _nothing_to_measure(usable: int) -> InputError:
    if usable == 0:
        return InputError(f"no usable pixel: all are {UNUSABLE}", "check the file and its mask")
    return InputError(
        f"no noise: the usable pixels are constant or too few (others are {UNUSABLE})",
        "leave it out, or check its mask and saturation level",
    )


def _edges(length: int, cell: int) -> list[int]:
    """Cell edges from pixel 0; a last cell under half a side joins the one before it.

    >>> _edges(200, 64)
    [0, 64, 128, 200]
    """
    edges = [*range(0, length, cell), length]
    if len(edges) > 2 and edges[-1] - edges[-2] < cell / 2:
        del edges[-2]
    return edges


def _centres(edges: list[int]) -> NDArray[np.float64]:
    bounds = np.array(edges, float)
    return (bounds[:-1] + bounds[1:] - 1) / 2


def _alike(edges: list[int]) -> list[tuple[int, int]]:
    """Ranges of cells of one width: all, or all but the last.

    >>> _alike([0, 64, 128, 200])
    [(0, 2), (2, 3)]
    """
    n = len(edges) - 1
    if edges[-1] - edges[-2] == edges[1]:
        return [(0, n)]
    return [(0, n - 1), (n - 1, n)]


def _stack(pixels: Pixels, edges: list[int]) -> Pixels:
    """Turn a strip (height, n width) into a stack (n, height, width) of the cells between edges."""
    columns, n = slice(edges[0], edges[-1]), len(edges) - 1
    return pixels.each(lambda strip: np.stack(np.hsplit(strip[:, columns], n)))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill empty cells from the nearest one, then take the median of 3 x 3 cells."""
    empty = ~np.isfinite(values)
    if empty.any():
        nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
        values = values[tuple(nearest)]
    padded = np.pad(values, 1, mode="edge")
    height, width = values.shape
    stack = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.median(stack, axis=0)
