"""Parameters that are held: forced photometry, point sources of known shape, a known sky."""

import numpy as np
import pytest
from simulated import SIDE, Truth, cutouts_of, errors_of, noisy_cutouts, random_truth, rough_start

from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.fit.flags import fit_flags
from surveyfit.fit.result import FitResult
from surveyfit.schema import PARAMETERS, FitStatus, Flag

N = 1500
SPREAD_BAND = 4 / np.sqrt(2 * N)
"""Four standard errors of a standard deviation of N pulls."""

POSITION = ("x0", "y0")
SHAPE = ("sigma", "rho", "diff")


def held(*names: str, n: int = N) -> np.ndarray:
    return np.tile(np.isin(PARAMETERS, names), (n, 1))


def pulls_of(result: FitResult, truth: Truth, name: str) -> np.ndarray:
    k = PARAMETERS.index(name)
    return (result.params - truth.params())[:, k] / errors_of(result.cov)[:, k]


def forced(amp: np.ndarray, seed: int, start_amp: float | np.ndarray) -> tuple[Truth, Cutouts]:
    """Return sources of these amplitudes, to be fitted with position and shape held."""
    truth = random_truth(len(amp), seed=seed)._replace(amp=amp)
    cutouts = noisy_cutouts(truth, seed=seed + 1)
    start = truth.params()
    start[:, 2], start[:, 6] = start_amp, 0.0
    fixed = held(*POSITION, *SHAPE, n=len(amp))
    return truth, cutouts._replace(start=start, fixed=fixed)


@pytest.mark.parametrize("start_amp", [0.0, 5.0])
def test_forced_photometry_is_unbiased_through_zero(start_amp: float) -> None:
    amp = np.random.default_rng(1).uniform(-5, 5, N)
    truth, cutouts = forced(amp, seed=2, start_amp=start_amp)
    result = fit_batch(cutouts)
    assert (result.status == FitStatus.CONVERGED).all()
    found = pulls_of(result, truth, "amp")
    assert found.std() == pytest.approx(1.0, abs=SPREAD_BAND)
    for low, high in ((-5, -2), (-2, 2), (2, 5)):
        these = found[(amp >= low) & (amp < high)]
        # Four standard errors.
        assert abs(these.mean()) < 4 / np.sqrt(len(these))
    assert (result.params[amp < -3, 2] < 0).all()


def test_bright_forced_sources_are_unbiased_in_spite_of_outliers() -> None:
    rng = np.random.default_rng(3)
    amp = np.exp(rng.uniform(np.log(10), np.log(1000), N)) * rng.choice([-1, 1], N)
    truth, cutouts = forced(amp, seed=4, start_amp=amp * rng.uniform(0.7, 1.2, N))
    hit = rng.uniform(size=cutouts.pixels.shape) < 0.02
    size = rng.uniform(20, 50, hit.shape) * rng.choice([-1, 1], hit.shape)
    # The shape is known exactly, so the model has no error.
    settings = FitSettings(model_error=0.0)
    result = fit_batch(cutouts._replace(pixels=cutouts.pixels + hit * size), settings)
    assert (result.status == FitStatus.CONVERGED).all()
    found = pulls_of(result, truth, "amp")
    assert found.std() == pytest.approx(1.0, abs=SPREAD_BAND)
    # Four standard errors.
    assert abs(found.mean()) < 4 / np.sqrt(N)


def test_point_sources_of_known_shape_have_true_errors() -> None:
    truth = random_truth(N, seed=6)
    cutouts = noisy_cutouts(truth, seed=7)
    start = rough_start(truth, seed=8)
    start[:, 3:6] = truth.params()[:, 3:6]
    result = fit_batch(cutouts._replace(start=start, fixed=held(*SHAPE)))
    assert (result.status == FitStatus.CONVERGED).all()
    for name in ("x0", "y0", "amp", "bkg"):
        assert pulls_of(result, truth, name).std() == pytest.approx(1.0, abs=SPREAD_BAND)
    free = fit_batch(cutouts)
    # What is known need not be paid for.
    assert (errors_of(result.cov)[:, 2] < 0.9 * errors_of(free.cov)[:, 2]).all()


def test_held_parameters_stay_without_error_and_are_flagged() -> None:
    truth = random_truth(60, seed=9)
    cutouts = noisy_cutouts(truth, seed=10)
    fixed = np.random.default_rng(11).uniform(size=(60, 7)) < 0.4
    # One row with nothing held.
    fixed[0] = False
    cutouts = cutouts._replace(start=np.where(fixed, truth.params(), cutouts.start), fixed=fixed)
    result = fit_batch(cutouts, FitSettings(dtype="float64"))
    # Sizes and amplitudes are logarithms inside.
    np.testing.assert_allclose(result.params[fixed], truth.params()[fixed], rtol=1e-14)
    for covariance in (result.cov, result.cov_crb):
        assert (covariance[fixed] == 0).all()
        assert (covariance.swapaxes(1, 2)[fixed] == 0).all()
        assert (errors_of(covariance)[~fixed] > 0).all()
    assert ((fit_flags(cutouts, result) & Flag.FORCED) != 0).tolist() == fixed.any(1).tolist()
    alone = fit_batch(cutouts.rows(slice(0, 1))._replace(fixed=None), FitSettings(dtype="float64"))
    np.testing.assert_array_equal(alone.params[0], result.params[0])


def test_nothing_free_is_an_answer_too() -> None:
    truth = random_truth(5, seed=12)
    cutouts = noisy_cutouts(truth, seed=13)
    result = fit_batch(cutouts._replace(start=truth.params(), fixed=held(*PARAMETERS, n=5)))
    assert (result.status == FitStatus.CONVERGED).all()
    np.testing.assert_allclose(result.params, truth.params(), rtol=1e-6)
    assert (result.cov == 0).all()
    assert (result.n_pix == SIDE**2).all()


def test_forced_least_squares_is_the_linear_solution() -> None:
    truth, cutouts = forced(np.linspace(-20, 20, 40), seed=14, start_amp=0.0)
    settings = FitSettings(loss="gaussian", gamma=1.0, model_error=0.0, dtype="float64")
    result = fit_batch(cutouts, settings)
    profiles = truth._replace(amp=np.ones(40), bkg=np.zeros(40)).images()
    for row, image in enumerate(cutouts.pixels):
        design = np.stack([profiles[row].ravel(), np.ones(SIDE * SIDE)], axis=1)
        wanted, *_ = np.linalg.lstsq(design, image.ravel())
        covariance = np.linalg.inv(design.T @ design)
        np.testing.assert_allclose(result.params[row, [2, 6]], wanted, rtol=1e-9, atol=1e-9)
        found = result.cov[row][np.ix_([2, 6], [2, 6])]
        # 2001 quantiles stand for Gaussian noise: measured 7e-4.
        np.testing.assert_allclose(found, covariance, rtol=2e-3)


def test_a_fit_needs_no_more_pixels_than_it_has_free_parameters() -> None:
    truth, cutouts = forced(np.full(3, 50.0), seed=15, start_amp=40.0)
    pixels = np.full_like(cutouts.pixels, np.nan)
    pixels[:, 10:13, 10:13] = cutouts.pixels[:, 10:13, 10:13]
    result = fit_batch(cutouts._replace(pixels=pixels))
    assert (result.status == FitStatus.CONVERGED).all()
    assert np.abs(pulls_of(result, truth, "amp")).max() < 4
    pixels[:, 10:12] = np.nan
    pixels[:, 12, 11:] = np.nan
    hopeless = fit_batch(cutouts_of(pixels, cutouts.start)._replace(fixed=cutouts.fixed))
    assert (hopeless.status == FitStatus.NO_DATA).all()
