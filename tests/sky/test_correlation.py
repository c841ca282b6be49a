"""The correlation of the noise by lag, against what is known of noise made by a known filter."""

from collections.abc import Callable

import numpy as np
import pytest
from noise_images import grid_of, hit, smoothed, stars
from numpy.typing import NDArray

from surveyfit.sky.correlation import noise_correlation

BEAM = 1.7
"""Sigma of the smoothing, pixels: a beam of 4 pixels FWHM."""

Law = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def beam(sigma_y: float, sigma_x: float) -> Law:
    return lambda dy, dx: np.exp(-((dy / sigma_y) ** 2 + (dx / sigma_x) ** 2) / 4)


def half_pixel_law(dy: NDArray[np.float64], dx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2 x 2 independent pixels share half of them with the next in a row or column."""
    return (
        np.clip(1 - np.abs(dy) / 2, 0.5, 1)
        * np.clip(1 - np.abs(dx) / 2, 0.5, 1)
        * ((np.abs(dy) <= 1) & (np.abs(dx) <= 1))
    )


def half_pixel(size: int, seed: int) -> NDArray[np.float64]:
    """Draw unit noise shifted by half a pixel in both directions, bilinear."""
    noise = np.random.default_rng(seed).normal(size=(size + 1, size + 1))
    rows = noise[1:] + noise[:-1]
    return (rows[:, 1:] + rows[:, :-1]) / 2


def largest_error(measured: NDArray[np.float64], law: Law) -> float:
    """Largest difference at any lag from -31 to 31; what is not given is zero."""
    dy, dx = np.mgrid[-31.0:32, -31.0:32]
    padded = np.pad(measured, 31 - reach(measured))
    return float(np.max(np.abs(padded - law(dy, dx))))


def reach(measured: NDArray[np.float64]) -> int:
    return measured.shape[0] // 2


def test_white_noise_is_independent() -> None:
    for seed in range(10):
        data = np.random.default_rng(seed).normal(size=(256, 256))
        np.testing.assert_array_equal(grid_of(data).correlation, [[1.0]])


@pytest.mark.parametrize("sky", ["outliers", "stars", "both", "heavy"])
def test_what_is_on_top_of_white_noise_does_not_correlate_it(sky: str) -> None:
    noise = np.random.default_rng(1).normal(size=(512, 512))
    if sky == "heavy":
        noise = np.random.default_rng(2).standard_t(3, (512, 512))
    if sky in ("outliers", "both"):
        noise = hit(noise, 3, 0.02)
    if sky in ("stars", "both"):
        noise += stars(512, 4)
    np.testing.assert_array_equal(grid_of(noise).correlation, [[1.0]])


@pytest.mark.parametrize("sky", ["empty", "outliers", "stars", "masked"])
@pytest.mark.parametrize(
    ("draw", "law"),
    [
        (lambda seed: smoothed(768, seed, BEAM, BEAM), beam(BEAM, BEAM)),
        (lambda seed: smoothed(768, seed, 2.5, 1.2), beam(2.5, 1.2)),
        (lambda seed: half_pixel(768, seed), half_pixel_law),
    ],
    ids=["beam", "elongated beam", "half a pixel"],
)
def test_correlation_is_that_of_the_filter(
    draw: Callable[[int], NDArray[np.float64]], law: Law, sky: str
) -> None:
    data = draw(5)
    if sky == "outliers":
        data = hit(data, 6, 0.02)
    if sky == "stars":
        data += stars(768, 7, (2.5, 4))
    if sky == "masked":
        data[np.random.default_rng(8).random(data.shape) < 0.1] = np.nan
        data[:, 300:330] = np.nan
    # Measured: 0.012 round, 0.019 elongated (the ring of 10 pixels, cut off), 0.005 resampled.
    assert largest_error(grid_of(data).correlation, law) < 0.025


def test_an_element_counts_from_the_pixel_upwards() -> None:
    """Every pixel shares a white one with the next of the diagonal y = x, none with others."""
    white = np.random.default_rng(9).normal(size=(513, 513))
    measured = grid_of(white[1:, 1:] + white[:-1, :-1]).correlation
    expected = np.zeros_like(measured)
    middle = reach(measured)
    expected[middle, middle] = 1
    expected[middle + 1, middle + 1] = expected[middle - 1, middle - 1] = 0.5
    # The sampling error of a lag is 0.002.
    np.testing.assert_allclose(measured, expected, atol=0.01)


@pytest.mark.parametrize(("fwhm", "least", "most"), [(4.0, 6, 11), (10.0, 14, 28)])
def test_reach_grows_with_the_beam(fwhm: float, least: int, most: int) -> None:
    sigma = fwhm / 2.355
    measured = grid_of(smoothed(1024, 10, sigma, sigma)).correlation
    assert least <= reach(measured) <= most
    # Measured: 0.013 and 0.039 (the sampling error: the larger beam covers an image 4600 times).
    # The level of each cell takes 0.055 off every lag of the larger beam.
    assert largest_error(measured, beam(sigma, sigma)) < 0.05


@pytest.mark.parametrize("cell", [16, 32, 200])
def test_small_images_and_odd_cells_give_a_correlation(cell: int) -> None:
    for size in (2, 3, 20, 64, 200):
        measured = grid_of(smoothed(size, 11, BEAM, BEAM), cell=cell).correlation
        assert measured[reach(measured), reach(measured)] == 1
        assert np.isfinite(measured).all()


def test_no_sample_means_independent_pixels() -> None:
    np.testing.assert_array_equal(noise_correlation([]), [[1.0]])
