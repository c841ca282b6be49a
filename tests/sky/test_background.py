"""Background and noise of cells: right, independent of how the image is read, honest about gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from surveyfit.errors import InputError
from surveyfit.sky.background import NoiseGrid, _edges, measure_grid
from surveyfit.sky.box import Box
from surveyfit.sky.reader import Pixels


def grid_of(
    data: NDArray[np.float32], mask: NDArray[np.bool_] | None = None, cell: int = 64
) -> NoiseGrid:
    def read(box: Box) -> Pixels:
        values = data[box.slices]
        bad = ~np.isfinite(values) if mask is None else mask[box.slices]
        return Pixels(values, bad, np.zeros(values.shape, bool), None, None)

    return measure_grid(read, (data.shape[0], data.shape[1]), cell=cell, filter_fwhm=2.5)


def white(shape: tuple[int, int], seed: int, sigma: float = 20.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(400, sigma, shape).astype(np.float32)


@pytest.mark.parametrize("scale", [1e-13, 1.0, 1e6])
def test_level_and_noise_of_white_noise_at_any_scale(scale: float) -> None:
    data = (white((512, 512), 1) * np.float32(scale)).astype(np.float32)
    grid = grid_of(data)
    # Clipping at three sigmas takes 1.7 % off a Gaussian's width; 64 cells add 0.2 %.
    assert np.mean(grid.noise) == pytest.approx(20 * scale, rel=0.03)
    assert np.mean(grid.background) == pytest.approx(400 * scale, rel=0.001)


def test_sources_hardly_change_level_and_noise() -> None:
    rng = np.random.default_rng(2)
    points = np.zeros((512, 512), np.float32)
    peak, width = 10 * 20, 4.0
    at = rng.integers(0, 512, 300), rng.integers(0, 512, 300)
    points[at] = peak * 2 * np.pi * width**2
    grid = grid_of(white((512, 512), 3) + gaussian_filter(points, width))
    # Measured: noise -1.4 %, level +0.04 sigma; without the second look +24 % and +0.14 sigma.
    assert np.median(grid.noise) == pytest.approx(20, rel=0.05)
    assert np.median(grid.background) == pytest.approx(400, abs=0.08 * 20)


def test_the_filter_factor_is_that_of_the_noise() -> None:
    independent = grid_of(white((512, 512), 4)).filter_factor
    # Unit-sum Gaussian of sigma s: sqrt(sum of squares) = 1 / (2 sqrt(pi) s) = 0.266.
    assert independent == pytest.approx(0.27, rel=0.03)
    smooth = gaussian_filter(white((512, 512), 5), 1.7).astype(np.float32)
    # Beam of 4 pixels: the filter leaves sigma / sqrt(sigma^2 + 1.06^2) = 0.85.
    assert grid_of(smooth).filter_factor == pytest.approx(0.85, rel=0.05)


def test_the_noise_distribution_is_seen() -> None:
    gaussian = grid_of(white((512, 512), 6)).quantiles
    assert np.sqrt(np.mean(gaussian**2)) == pytest.approx(1, abs=0.03)
    heavy = np.random.default_rng(7).standard_t(3, (512, 512)).astype(np.float32)
    # A Student-t of three degrees has more of its width in the tails than a Gaussian.
    assert grid_of(heavy).quantiles[-1] > 1.1 * gaussian[-1]


def test_empty_cells_are_filled_from_their_neighbours() -> None:
    data = white((256, 256), 8)
    data[:100, :100] = np.nan
    grid = grid_of(data)
    assert np.isfinite(grid.noise).all()
    background, noise = grid.maps(Box(0, 256, 0, 256))
    assert noise == pytest.approx(20, rel=0.1)
    assert background == pytest.approx(400, abs=5)


def test_half_masked_cells_are_measured_from_the_rest() -> None:
    data = white((256, 256), 9)
    data[:, 30:64] = np.nan
    assert grid_of(data).noise == pytest.approx(20, rel=0.1)


@given(
    y0=st.integers(0, 150),
    x0=st.integers(0, 150),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
)
def test_maps_of_a_box_are_a_piece_of_the_map_of_the_image(
    y0: int, x0: int, height: int, width: int
) -> None:
    grid = NoiseGrid(
        background=np.arange(12.0).reshape(3, 4),
        noise=np.sqrt(np.arange(1.0, 13.0)).reshape(3, 4),
        centres_y=np.array([31.5, 95.5, 163.5]),
        centres_x=np.array([31.5, 95.5, 140.0, 180.0]),
        filter_factor=0.27,
        quantiles=np.zeros(64),
    )
    whole = grid.maps(Box(0, 200, 0, 200))
    box = Box(y0, y0 + height, x0, x0 + width)
    for piece, image in zip(grid.maps(box), whole, strict=True):
        np.testing.assert_array_equal(piece, image[box.slices])


@given(length=st.integers(1, 1000), cell=st.integers(8, 128))
def test_cells_cover_the_image_and_none_is_a_sliver(length: int, cell: int) -> None:
    edges = _edges(length, cell)
    assert edges[0] == 0
    assert edges[-1] == length
    sizes = np.diff(edges)
    assert (sizes > 0).all()
    assert len(sizes) == 1 or sizes.min() >= cell / 2
    assert sizes.max() < 1.5 * cell or len(sizes) == 1


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "no usable pixel"), (3.0, "constant or too few")]
)
def test_an_image_without_noise_is_refused(value: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        grid_of(np.full((100, 100), value, np.float32))
