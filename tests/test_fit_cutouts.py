"""Cutouts in memory to a table: nothing given but pixels, and everything that may be given."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from astropy.table import Table
from scipy import fft

import surveyfit
from surveyfit import fit_cutouts
from surveyfit.arrays.border import level_and_noise
from surveyfit.arrays.start import find_starts
from surveyfit.errors import InputError
from surveyfit.schema import COLUMNS, GOOD, PARAMETERS, FitStatus, Flag

SIDE = 32
"""Of most cutouts here: each new side is a compile of seconds."""


class Drawn(NamedTuple):
    """Cutouts (n, side, side) with noise 1, and their truth, each (n,)."""

    pixels: np.ndarray
    x: np.ndarray
    y: np.ndarray
    amp: np.ndarray
    flux: np.ndarray
    sky: np.ndarray


def draw(
    n: int,
    seed: int,
    side: int = SIDE,
    snr: tuple[float, float] = (5.0, 100.0),
    sigma: tuple[float, float] = (1.0, 3.0),
    offset: float = 3.0,
    outliers: float = 0.02,
    noise: np.ndarray | None = None,
) -> Drawn:
    """Draw sources by their axes, up to ``offset`` pixels off the centre on both axes.

    The noise is white and of unit width if it is not given.
    """
    rng = np.random.default_rng(seed)
    shape = (n, 1, 1)
    x, y = (side - 1) / 2 + rng.uniform(-offset, offset, (2, *shape))
    amp = np.exp(rng.uniform(*np.log(snr), shape))
    area, ratio = rng.uniform(*sigma, shape) ** 2, rng.uniform(1.0, 2.0, shape)
    angle, sky = rng.uniform(0, np.pi, shape), rng.normal(0, 100, shape)
    row, column = np.mgrid[:side, :side]
    dx, dy = column - x, row - y
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    image = amp * np.exp(-0.5 * (along**2 / ratio + across**2 * ratio) / area) + sky
    pixels = image + (rng.normal(size=image.shape) if noise is None else noise)
    hit = rng.uniform(size=image.shape) < outliers
    pixels += hit * rng.uniform(20, 50, image.shape) * rng.choice([-1, 1], image.shape)
    columns = (x, y, amp, 2 * np.pi * amp * area, sky)
    return Drawn(pixels.astype(np.float32), *(column.reshape(n) for column in columns))


def good(table: Table) -> np.ndarray:
    return (np.asarray(table["flags"]) & GOOD) == 0


def pulls(table: Table, drawn: Drawn) -> np.ndarray:
    """Return (fit - truth) / error (n, 4) of x, y, peak and flux."""
    truth = {"x": drawn.x, "y": drawn.y, "flux_peak": drawn.amp, "flux_int": drawn.flux}
    return np.stack([(table[k] - t) / table[f"{k}_err"] for k, t in truth.items()], axis=1)


def share_of_wrong_answers(table: Table, drawn: Drawn) -> float:
    """Centre off by 1.5 pixels, or flux by half."""
    far = ~(np.hypot(table["x"] - drawn.x, table["y"] - drawn.y) < 1.5)
    return float(np.mean(far | ~(np.abs(table["flux_int"] / drawn.flux - 1) < 0.5)))


@pytest.mark.parametrize(
    ("side", "sigma", "offset"),
    [(32, (1.0, 3.0), 3.0), (32, (1.0, 1.0), 3.0), (16, (1.0, 1.3), 2.0), (64, (3.0, 6.0), 3.0)],
)
@pytest.mark.parametrize("snr", [(5.0, 100.0), (5.0, 8.0)])
def test_starts_are_found_in_spite_of_outliers(
    side: int, sigma: tuple[float, float], offset: float, snr: tuple[float, float]
) -> None:
    drawn = draw(2000, seed=1, side=side, snr=snr, sigma=sigma, offset=offset)
    level, noise = level_and_noise(drawn.pixels)
    start = find_starts(drawn.pixels, level, noise, np.full((2000, 7), np.nan))
    far = np.hypot(start[:, 0] - drawn.x, start[:, 1] - drawn.y) > 1.5
    # At S/N 5 to 8 measured 0.002 for sigma 1 and 0.0015 at side 16; none elsewhere.
    assert far.mean() < 0.01


@pytest.mark.parametrize("snr", [(5.0, 100.0), (5.0, 8.0)])
@pytest.mark.parametrize("sigma", [(1.0, 3.0), (1.0, 1.0)])
def test_pixels_alone_are_enough_for_right_answers(
    snr: tuple[float, float], sigma: tuple[float, float]
) -> None:
    drawn = draw(2000, seed=2, snr=snr, sigma=sigma)
    table = fit_cutouts(drawn.pixels)
    # Measured 0.007 for sigma 1 at S/N 5 to 8, 0.0005 or none elsewhere; as many are flagged.
    assert share_of_wrong_answers(table, drawn) < 0.01
    assert np.mean(~good(table)) < 0.02


@pytest.mark.parametrize(("side", "outliers"), [(16, 0.0), (16, 0.02), (32, 0.0), (32, 0.02)])
def test_the_noise_is_measured_to_a_few_percent(side: int, outliers: float) -> None:
    drawn = draw(2000, seed=3, side=side, sigma=(1.0, side / 12), outliers=outliers)
    level, noise = level_and_noise(drawn.pixels)
    # Measured 0.997 to 1.003.
    assert noise.mean() == pytest.approx(1.0, abs=0.02)
    # What the number of pixels along a border allows: measured 0.03 at side 32, 0.07 at 16.
    assert noise.std() < 0.08
    # The wings of the brightest sources reach the border: measured 0.021 at side 16.
    assert np.abs((level - drawn.sky).mean()) < 0.05


def test_errors_are_true_with_everything_measured() -> None:
    n = 3000
    drawn = draw(n, seed=4, snr=(10.0, 100.0))
    table = fit_cutouts(drawn.pixels)
    found = pulls(table, drawn)[good(table)]
    assert len(found) > 0.99 * n
    # Standard error 0.013; the noise of each cutout is known to 3 %. Measured 1.01 to 1.03.
    np.testing.assert_allclose(found.std(axis=0), 1.0, atol=0.06)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=0.08)


def test_a_given_correlation_makes_errors_true_in_correlated_noise() -> None:
    n, beam_sigma = 2000, 1.2
    white = np.random.default_rng(5).normal(size=(n, 2 * SIDE, 2 * SIDE))
    frequency = np.hypot(fft.fftfreq(2 * SIDE)[:, None], fft.fftfreq(2 * SIDE)[None, :])
    transfer = np.exp(-2 * (np.pi * beam_sigma * frequency) ** 2)
    transfer /= np.sqrt(np.mean(transfer**2))
    noise = fft.ifft2(fft.fft2(white) * transfer).real[:, :SIDE, :SIDE]
    settings: dict[str, Any] = {"snr": (20.0, 100.0), "sigma": (1.5, 2.0), "outliers": 0.0}
    drawn = draw(n, seed=6, noise=noise, **settings)
    # White noise smoothed by sigma is correlated as a Gaussian of sigma sqrt(2).
    lags = np.hypot(*(np.indices((17, 17)) - 8))
    known = fit_cutouts(drawn.pixels, correlation=np.exp(-0.25 * (lags / beam_sigma) ** 2))
    # Standard error 0.016; the noise of a cutout is known to 8 % only where it is correlated, and
    # 1.5 % too small. Measured 1.03 to 1.04.
    np.testing.assert_allclose(pulls(known, drawn).std(axis=0), 1.0, atol=0.08)
    # Measured 2.34.
    assert np.median(known["corr_noise_factor"]) > 1.5
    unknown = fit_cutouts(drawn.pixels)
    # The negative control: measured 2.4 to 3.7.
    assert pulls(unknown, drawn).std(axis=0).min() > 1.5


def test_row_i_belongs_to_cutout_i_and_an_empty_one_is_flagged() -> None:
    drawn = draw(300, seed=7)
    pixels = drawn.pixels.copy()
    pixels[17] = np.nan
    table = fit_cutouts(pixels, noise=1.0)
    order = np.random.default_rng(8).permutation(300)
    shuffled = fit_cutouts(pixels[order], noise=1.0)
    assert np.flatnonzero(table["flags"] & Flag.NO_DATA).tolist() == [17]
    for name in table.colnames:
        if not name.endswith(("_err", "_cov", "_crb")):
            # The noise law comes from all of them, in whatever order.
            np.testing.assert_array_equal(table[name][order], shuffled[name])
    assert np.isnan(table["flux_int"][17])
    assert not good(table)[17]


def test_the_columns_are_those_of_the_catalogue() -> None:
    table = fit_cutouts(draw(3, seed=9).pixels, gain=2.0)
    known = {column.name: column for column in COLUMNS}
    assert set(table.colnames) <= set(known)
    measured = ("x", "y", "flux_peak", "flux_int", "maj_pix", "min_pix", "pa_pix")
    wanted = {f"{name}{end}" for name in measured for end in ("", "_err")}
    wanted |= {f"fit_{name}{end}" for name in PARAMETERS for end in ("", "_err", "_crb")}
    wanted |= {"fit_cov", "fit_cov_crb", "nll", "gof", "n_pix", "n_outlier", "resid_max", "snr"}
    wanted |= {"n_iter", "fit_status", "flags", "local_rms", "gamma"}
    assert wanted <= set(table.colnames)
    for name in table.colnames:
        assert table[name].description == known[name].meaning
    assert str(table["x"].unit) == "pix"
    assert table["fit_cov"].shape == (3, 28)
    np.testing.assert_allclose(table["fit_cov"][:, 0], table["x_err"] ** 2)
    assert table.meta["gamma"] == 2.4
    assert table.meta["noise"] == "measured"
    assert f"surveyfit {surveyfit.__version__}" in table.meta["versions"]


def test_the_table_can_be_written_without_a_warning(tmp_path: Path) -> None:
    table = fit_cutouts(draw(3, seed=9).pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table.write(tmp_path / "table.fits")
        table.write(tmp_path / "table.ecsv")
    read = Table.read(tmp_path / "table.fits")
    np.testing.assert_array_equal(read["flux_int"], table["flux_int"])
    assert read.meta["GAMMA"] == 2.4


def same(table: Table, other: Table) -> None:
    for name in table.colnames:
        np.testing.assert_array_equal(table[name], other[name])


def test_noise_may_be_a_number_one_each_or_maps() -> None:
    drawn = draw(20, seed=10)
    number = fit_cutouts(drawn.pixels, 1.5)
    same(number, fit_cutouts(drawn.pixels, np.full(20, 1.5)))
    maps = fit_cutouts(drawn.pixels, np.full(drawn.pixels.shape, 1.5))
    for name in number.colnames:
        # Sums of 1024 pixels in another order; measured 2e-7.
        np.testing.assert_allclose(maps[name], number[name], rtol=1e-5, atol=1e-5)
    assert (number["local_rms"] == 1.5).all()
    assert number.meta["noise"] == "given"


def test_a_mask_a_masked_array_and_nan_are_the_same() -> None:
    drawn = draw(20, seed=11)
    mask = np.zeros(drawn.pixels.shape, bool)
    mask[:, 4:9, 12] = True
    masked = fit_cutouts(drawn.pixels, mask=mask)
    assert (masked["n_pix"] == SIDE**2 - 5).all()
    same(masked, fit_cutouts(drawn.pixels, mask=mask[0]))
    same(masked, fit_cutouts(np.ma.masked_array(drawn.pixels, mask)))
    same(masked, fit_cutouts(np.where(mask, np.nan, drawn.pixels)))


@pytest.mark.parametrize("dtype", [">f4", "i2", "<f8"])
def test_pixels_of_any_number_type_are_taken(dtype: str) -> None:
    drawn = draw(20, seed=12, snr=(50.0, 100.0))
    # Counted in steps of a tenth of the noise: what rounding does is a hundredth of an error.
    counts = np.rint(10 * drawn.pixels)
    table, wanted = fit_cutouts(counts.astype(dtype)), fit_cutouts(10 * drawn.pixels)
    difference = (table["flux_int"] - wanted["flux_int"]) / wanted["flux_int_err"]
    assert np.abs(difference).max() < 0.2


def test_a_start_may_be_given_in_part() -> None:
    drawn = draw(50, seed=13)
    start = np.full(7, np.nan)
    start[:2] = (SIDE - 1) / 2
    table = fit_cutouts(drawn.pixels, start=start)
    assert share_of_wrong_answers(table, drawn) == 0
    all_given = np.stack([table[f"fit_{name}"] for name in PARAMETERS], axis=1)
    again = fit_cutouts(drawn.pixels, start=all_given)
    np.testing.assert_allclose(again["x"], table["x"], atol=1e-3)
    assert again["n_iter"].mean() < table["n_iter"].mean()


def test_forced_photometry_keeps_position_and_shape_and_may_be_negative() -> None:
    n, sigma = 2000, 1.5
    rng = np.random.default_rng(14)
    amp = rng.uniform(-5, 5, n)
    amp[:200] *= 100
    # Anywhere in the cutout.
    place = rng.uniform(5, SIDE - 6, (n, 2))
    row, column = np.mgrid[:SIDE, :SIDE]
    dx, dy = column - place[:, 0, None, None], row - place[:, 1, None, None]
    profile = np.exp(-0.5 * (dx**2 + dy**2) / sigma**2)
    pixels = amp[:, None, None] * profile + rng.normal(size=(n, SIDE, SIDE))
    start = np.full((n, 7), np.nan)
    start[:, :2], start[:, 3], start[:, 4:6] = place, sigma, 0.0
    held = ("x0", "y0", "sigma", "rho", "diff")
    # The places reach the border, where noise would be measured too large.
    table = fit_cutouts(pixels, noise=1.0, start=start, fixed=held)
    assert (table["fit_status"] == FitStatus.CONVERGED).all()
    np.testing.assert_allclose(table["x"], place[:, 0], rtol=1e-6)
    assert (table["x_err"] == 0).all()
    assert (table["flags"] & Flag.FORCED).all()
    true_flux = 2 * np.pi * amp * sigma**2
    for name, truth in (("flux_peak", amp), ("flux_int", true_flux)):
        found = (table[name] - truth) / table[f"{name}_err"]
        # Four standard errors.
        assert found.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * n))
        assert found.mean() == pytest.approx(0.0, abs=4 / np.sqrt(n))


@pytest.mark.slow
def test_settings_reach_the_fit() -> None:
    drawn = draw(30, seed=15, snr=(20.0, 50.0))
    usual = fit_cutouts(drawn.pixels)
    for change in (
        {"gamma": 1.0},
        {"gamma": "fit"},
        {"loss": "gaussian"},
        {"model_error": 0.0},
    ):
        other = fit_cutouts(drawn.pixels, **change)
        assert (other["flux_int"] != usual["flux_int"]).all()
        assert other.meta["gamma"] == change.get("gamma", 2.4)
    expected = fit_cutouts(drawn.pixels, fisher="expected")
    np.testing.assert_array_equal(expected["flux_int"], usual["flux_int"])
    assert (expected["fit_amp_crb"] != usual["fit_amp_crb"]).all()
    with_photons = fit_cutouts(drawn.pixels, gain=0.1)
    assert (with_photons["flux_int_err"] > 1.5 * usual["flux_int_err"]).all()


def test_no_cutouts_give_a_table_without_rows() -> None:
    table = fit_cutouts(np.ones((0, SIDE, SIDE), np.float32))
    assert len(table) == 0
    assert table.colnames == fit_cutouts(draw(2, seed=16).pixels).colnames


START = [2.0, 2.0, 1.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pixels": np.ones((5, 5))}, r"pixels of shape \(5, 5\): give square cutouts"),
        ({"pixels": np.ones((4, 5, 6))}, r"pixels of shape \(4, 5, 6\): give square cutouts"),
        ({"pixels": [[1.0], [1.0, 2.0]]}, "pixels is no array of numbers: give a NumPy array"),
        ({"pixels": np.full((4, 5, 5), "a")}, "pixels is no array of numbers"),
        ({"noise": np.ones(3)}, r"noise of shape \(3,\): give one number, \(4,\) or \(4, 5, 5\)"),
        ({"mask": np.ones((5, 4))}, r"mask of shape \(5, 4\): give \(4, 5, 5\) or \(5, 5\)"),
        ({"start": np.ones(6)}, r"start of shape \(6,\): give \(7,\) or \(4, 7\), in the order x0"),
        ({"gain": np.ones(2)}, r"gain of shape \(2,\): give one number or \(4,\)"),
        ({"fixed": ("size",), "start": START}, "fixed parameter 'size': use names of x0, y0"),
        ({"fixed": ("sigma",)}, "fixed sigma without a value: give it in start"),
        ({"fixed": "sigma"}, "fixed sigma without a value"),
        ({"gamma": "free"}, "gamma 'free': give one number, or 'fit'"),
        ({"gamma": -1.0}, "gamma = -1.0: give a positive number"),
        ({"dtype": "float16"}, "dtype 'float16': use 'float32' or 'float64'"),
        ({"loss": "huber"}, "loss 'huber': use 'cauchy' or"),
        ({"fisher": "wrong"}, "fisher 'wrong': use 'observed' or 'expected'"),
        ({"model_error": -0.1}, "model_error = -0.1: give zero or a positive number"),
        ({"correlation": np.ones((2, 2))}, r"correlation of shape \(2, 2\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(change: dict[str, Any], words: str) -> None:
    usual: dict[str, Any] = {"pixels": np.random.default_rng(17).normal(size=(4, 5, 5))}
    with pytest.raises(InputError, match=words) as caught:
        fit_cutouts(**(usual | change))
    assert "\n" not in str(caught.value)
