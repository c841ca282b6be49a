"""Background and noise of cells: right, independent of how the image is read, honest about gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noise_images import grid_of, white
from scipy.ndimage import gaussian_filter

from surveyfit.errors import InputError
from surveyfit.sky.background import NoiseGrid, _edges
from surveyfit.sky.box import Box


@pytest.mark.parametrize("scale", [1e-13, 1.0, 1e6])
def test_level_and_noise_of_white_noise_at_any_scale(scale: float) -> None:
    data = (white((512, 512), 1) * np.float32(scale)).astype(np.float32)
    grid = grid_of(data)
    # 512 x 512 pixels give a width to 0.14 %; without the correction for clipping it is 1.5 % low.
    assert np.mean(grid.noise) == pytest.approx(20 * scale, rel=0.005)
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
        correlation=np.ones((1, 1)),
        covered=np.ones((25, 25), bool),
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
