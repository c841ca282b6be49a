"""The noise of one cell of an image, and what the cells together tell about its distribution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, generate_binary_structure, label, maximum_filter
from scipy.stats import norm

from surveyfit.sky.reader import Pixels
from surveyfit.sky.spikes import find_spikes

MIN_GOOD_SHARE = 0.3
"""A cell with a smaller share of usable pixels is not measured."""

CLIPPED_WIDTH = 0.985
"""Deviation of Gaussian noise of width 1 after sep's clipping at three sigmas: the solution r of
r**2 = 1 - 2 k phi(k) / (2 Phi(k) - 1), k = 3 r, with the density and distribution of a Gaussian."""

SOURCE_FREE_LIMIT = 4.0
"""Pixels whose smoothed value exceeds this many sigmas are taken to hold a source. At 3 so many
peaks of the noise itself go that neighbours in white noise seem anticorrelated by 0.005."""

SOURCE_EDGE = 2.0
"""A source reaches from there down to this many sigmas of the smoothed image."""

SOURCE_MARGIN = 5
"""Pixels across the square that is left out around each of its pixels."""

WITHIN_A_CELL = np.zeros((3, 3, 3), bool)
WITHIN_A_CELL[1] = generate_binary_structure(2, 1)
"""Pixels that touch at a side belong together, those of different cells never."""

MOST_MASKED = 0.05
"""The filtered noise is taken from cells of which no larger share is masked: the filter finds
zeros there."""

MIN_SAMPLE = 1000
"""With fewer source-free pixels the noise is taken to be Gaussian and independent."""

N_QUANTILES = 4096
"""Nodes that represent the noise distribution: 1 % of outliers to one side are 41 of them, so that
their share is right to 1.2 %. Bright sources, of wide scale, feel little else of the noise."""


@dataclass(frozen=True)
class Sample:
    """The source-free sky of a cell; arrays of its shape.

    Attributes
    ----------
    scaled : float32 array
        (pixel - background) / noise.
    free : bool array
        Usable pixels without a source; spikes are among them.
    filtered_noise : float or None
        Noise of ``scaled`` after the detection filter; None if too much of the cell is masked.
    """

    scaled: NDArray[np.float32]
    free: NDArray[np.bool_]
    filtered_noise: float | None


@dataclass(frozen=True)
class Cell:
    """Level and 1-sigma noise of a cell, image units, NaN if not measured; its sky if sampled."""

    background: float
    noise: float
    sample: Sample | None = None


def measure_cells(
    pixels: Pixels, full_area: int, profile: NDArray[np.float32], sampled: NDArray[np.bool_]
) -> list[Cell]:
    """Measure cells, and again without the sources and spikes that the first look shows.

    Parameters
    ----------
    pixels : Pixels
        Of n cells of one shape, arrays (n, height, width). Each cell is measured by itself.
    full_area : int
        Pixels of a cell that is not cut by the edge of the image.
    profile : array
        Of the detection filter.
    sampled : bool array (n,)
        Whether a cell's sky is wanted too.
    """
    good = ~(pixels.mask | pixels.saturated)
    needed = max(MIN_GOOD_SHARE * min(full_area, good[0].size), 2)
    cells = [_first_look(*cell, needed) for cell in zip(pixels.data, good, strict=True)]
    seen = np.flatnonzero([np.isfinite(cell.noise) for cell in cells])
    if seen.size == 0:
        return cells
    scaled = _scaled(pixels.data[seen], [cells[i] for i in seen])
    masked = ~good[seen]
    spikes = find_spikes(scaled, masked)
    free = ~masked & ~_sources(scaled, masked | spikes, profile)
    for i, source_free, spiky in zip(seen, free, spikes, strict=True):
        calm = source_free & ~spiky
        n_calm = np.count_nonzero(calm)
        if n_calm < needed:
            continue
        if n_calm < np.count_nonzero(good[i]):
            cells[i] = Cell(*_clipped(pixels.data[i][calm]))
        if sampled[i]:
            sample = _sample(cells[i], pixels.each(itemgetter(i)), source_free, spiky, profile)
            cells[i] = replace(cells[i], sample=sample)
    return cells


def _first_look(data: NDArray[np.float32], good: NDArray[np.bool_], needed: float) -> Cell:
    values = data[good]
    if values.size < needed or values.min() == values.max():
        return Cell(np.nan, np.nan)
    return Cell(*_clipped(values))


def _scaled(data: NDArray[np.float32], cells: Sequence[Cell]) -> NDArray[np.float32]:
    """Return (pixel - background) / noise of cells (n, height, width)."""
    level = np.array([cell.background for cell in cells], np.float32)
    noise = np.array([cell.noise for cell in cells], np.float32)
    return (data - level[:, None, None]) / noise[:, None, None]


def _sample(
    cell: Cell,
    pixels: Pixels,
    free: NDArray[np.bool_],
    spikes: NDArray[np.bool_],
    profile: NDArray[np.float32],
) -> Sample:
    """Scale the pixels of a cell, by its own level and noise or by those that were given."""
    level = cell.background if pixels.background is None else pixels.background
    sigma = cell.noise if pixels.noise is None else pixels.noise
    scaled = ((pixels.data - level) / sigma).astype(np.float32)
    mask = pixels.mask | pixels.saturated
    # Where the filter reaches beyond the cell it meets mirrored pixels: too little is averaged.
    reach = len(profile) // 2
    calm = np.zeros_like(free)
    calm[reach:-reach, reach:-reach] = (free & ~spikes)[reach:-reach, reach:-reach]
    filtered_noise = None
    if np.mean(mask) <= MOST_MASKED and np.mean(calm) >= MIN_GOOD_SHARE:
        _, filtered_noise = _clipped(_smoothed(scaled, mask | spikes, profile)[calm])
    return Sample(scaled, free, filtered_noise)


def _clipped(values: NDArray[np.float32]) -> tuple[float, float]:
    """Clipped mode and width of pixels (n,), by sep; Gaussian noise gets its own deviation.

    They are given as one row without a mask: with a mask sep silently answers 1 for the
    deviation of a cell of which it sees less than half.
    """
    row = np.ascontiguousarray(values[None, :], np.float32)
    stats = sep.Background(row, bw=row.size, bh=1, fw=1, fh=1)
    return stats.globalback, stats.globalrms / CLIPPED_WIDTH


def _sources(
    scaled: NDArray[np.float32], left_out: NDArray[np.bool_], profile: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Mark what stands out in the smoothed image of cells (n, height, width), with a margin."""
    smooth = _smoothed(scaled, left_out, profile)
    noise = np.array([_clipped(s[~out])[1] for s, out in zip(smooth, left_out, strict=True)])
    sigma = noise[:, None, None].astype(np.float32)
    regions, n_regions = label(smooth > SOURCE_EDGE * sigma, structure=WITHIN_A_CELL)
    is_source = np.zeros(n_regions + 1, bool)
    is_source[regions[smooth > SOURCE_FREE_LIMIT * sigma]] = True
    return np.asarray(maximum_filter(is_source[regions], (1, SOURCE_MARGIN, SOURCE_MARGIN)))


def _smoothed(
    scaled: NDArray[np.float32], left_out: NDArray[np.bool_], profile: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Filter cells (..., height, width), zeros in the place of what is left out."""
    filled = np.where(left_out, np.float32(0), scaled)
    return np.asarray(convolve1d(convolve1d(filled, profile, axis=-2), profile, axis=-1))


def filter_factor(samples: Sequence[Sample], profile: NDArray[np.float32]) -> float:
    """Median noise after the filter; without any cell, the value for independent pixels."""
    factors = [s.filtered_noise for s in samples if s.filtered_noise is not None]
    return float(np.median(factors)) if factors else float(np.sum(profile**2))


def noise_quantiles(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Quantiles at the middle of N_QUANTILES equal shares; of a Gaussian if too few pixels."""
    shares = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES
    values = [s.scaled[s.free] for s in samples]
    if sum(v.size for v in values) < MIN_SAMPLE:
        return np.asarray(norm.ppf(shares))
    return np.quantile(np.concatenate(values).astype(np.float64), shares)
