"""What a batch promises: row i for cutout i, exact answers, one compile a side, no surprises."""

from typing import Any

import jax
import numpy as np
import pytest
from simulated import SIDE, cutouts_of, errors_of, noisy_cutouts, random_truth, rough_start

from surveyfit.errors import HalvedWarning, InputError
from surveyfit.fit import batch
from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.fit.hessian import hessian
from surveyfit.fit.result import FitResult
from surveyfit.schema import FitStatus

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("unit", [1.0, 1e-12, 1e9])
@pytest.mark.parametrize("dtype", DTYPES)
def test_noiseless_sources_are_recovered_in_any_unit(unit: float, dtype: str) -> None:
    truth = random_truth(32, seed=10, snr=(5.0, 1000.0))
    start = rough_start(truth, seed=11)
    start[:, [2, 6]] *= unit
    cutouts = cutouts_of(truth.images() * unit, start, noise=unit)
    result = fit_batch(cutouts, FitSettings(dtype=dtype))
    assert (result.status == FitStatus.CONVERGED).all()
    wanted = truth.params() * np.array([1, 1, unit, 1, 1, 1, unit])
    difference = np.abs(result.params - wanted) / errors_of(result.cov)
    # The stopping rule promises 2e-4 of the errors; measured 1.5e-4.
    assert difference.max() < 5e-4


def test_rows_do_not_depend_on_order_or_chunks() -> None:
    cutouts = noisy_cutouts(random_truth(150, seed=20), seed=21)
    order = np.random.default_rng(22).permutation(150)
    straight, shuffled = fit_batch(cutouts), fit_batch(cutouts.rows(order))
    one_by_one = fit_batch(cutouts.rows(order[:3]))
    for name in FitResult._fields:
        expected = getattr(straight, name)[order]
        np.testing.assert_array_equal(getattr(shuffled, name), expected)
        np.testing.assert_array_equal(getattr(one_by_one, name), expected[:3])


def test_other_batch_and_block_sizes_change_nothing_that_matters() -> None:
    cutouts = noisy_cutouts(random_truth(50, seed=23), seed=24)
    usual = fit_batch(cutouts)
    other = fit_batch(cutouts, FitSettings(slots=3))
    difference = np.abs(other.params - usual.params) / errors_of(usual.cov)
    # Measured 3e-5; 1e-3 is what a catalogue promises.
    assert difference.max() < 1e-3


def test_single_and_double_precision_agree() -> None:
    cutouts = noisy_cutouts(random_truth(100, seed=25, snr=(5.0, 10000.0)), seed=26)
    single = fit_batch(cutouts, FitSettings(dtype="float32"))
    double = fit_batch(cutouts, FitSettings(dtype="float64"))
    difference = np.abs(single.params - double.params) / errors_of(double.cov)
    # Measured 1.6e-3, at S/N 1e4: the rounding of the pixels themselves.
    assert difference.max() < 1e-2
    np.testing.assert_allclose(errors_of(single.cov), errors_of(double.cov), rtol=1e-3)
    np.testing.assert_allclose(errors_of(single.cov_crb), errors_of(double.cov_crb), rtol=1e-3)


def test_each_side_and_dtype_is_compiled_once_for_scalar_noise_and_once_for_maps() -> None:
    side, compiled = 11, []

    def listen(event: str, _: float, **about: Any) -> None:
        if event.endswith("backend_compile_duration") and "fit_chunk" in about["fun_name"]:
            compiled.append(about["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        rng = np.random.default_rng(27)
        for n, gamma, max_iterations in ((3, 2.4, 50), (140, 2.4, 50), (7, 1.0, 9)):
            start = np.tile([5.0, 5.0, 5.0, 1.5, 0.0, 0.0, 0.0], (n, 1))
            cutouts = cutouts_of(rng.normal(size=(n, side, side)), start)
            maps = cutouts._replace(noise=np.ones((n, side, side)))
            for given in (cutouts, maps):
                fit_batch(given, FitSettings(gamma=gamma, max_iterations=max_iterations))
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(compiled) == 2


def test_the_cramer_rao_covariance_inverts_the_reference_hessian() -> None:
    cutouts = noisy_cutouts(random_truth(40, seed=28), seed=29)
    result = fit_batch(cutouts)
    wanted = np.linalg.inv(hessian(result.params, cutouts.pixels, result.gamma))
    unit = errors_of(wanted)
    # Measured 2e-6 in units of the errors.
    np.testing.assert_allclose(
        result.cov_crb / (unit[:, :, None] * unit[:, None, :]),
        wanted / (unit[:, :, None] * unit[:, None, :]),
        atol=1e-4,
    )


def test_reported_likelihood_and_counts_are_what_their_words_say() -> None:
    truth = random_truth(20, seed=30)
    cutouts = noisy_cutouts(truth, seed=31)
    cutouts.pixels[:, 0, :5] = np.nan
    cutouts.pixels[:, 2, 3] = truth.bkg + 200.0
    result = fit_batch(cutouts)
    y, x = np.mgrid[:SIDE, :SIDE]
    p = result.params[:, :, None, None]
    dx, dy = x - p[:, 0], y - p[:, 1]
    form = dx**2 + dy**2 + p[:, 4] * dx * dy + p[:, 5] * (dx**2 - dy**2)
    model = p[:, 2] * np.exp(-form / (2 * p[:, 3] ** 2)) + p[:, 6]
    z = (model - cutouts.pixels) / result.gamma[:, None, None]
    terms = np.log(1 + z**2) + np.log(np.pi * result.gamma)[:, None, None]
    np.testing.assert_allclose(result.nll, np.nansum(terms, axis=(1, 2)), rtol=1e-5)
    assert (result.n_pix == SIDE * SIDE - 5).all()
    assert (result.n_outlier == 1).all()
    np.testing.assert_allclose(result.resid_max, 200.0, atol=1.0)
    # The scale: gamma * sqrt(noise^2 + (f amp)^2), the amplitude refreshed to 1 %.
    wanted = 2.4 * np.sqrt(1 + (0.05 * result.params[:, 2]) ** 2)
    np.testing.assert_allclose(result.gamma, wanted, rtol=0.011)


def test_goodness_of_fit_is_one_for_the_right_model_and_grows_for_a_wrong_one() -> None:
    cutouts = noisy_cutouts(random_truth(200, seed=32), seed=33)
    good = fit_batch(cutouts)
    # Seven parameters absorb some of the noise of the few pixels of a source: below 1.
    assert 0.85 < np.median(good.gof) < 1.05
    assert (good.mismatch <= good.gof).all()
    doubled = fit_batch(cutouts._replace(noise=cutouts.noise / 2))
    assert np.median(doubled.gof) == pytest.approx(2 * np.median(good.gof), rel=0.03)


def test_a_noise_map_is_the_same_as_its_scalar_and_leaves_bad_pixels_out() -> None:
    cutouts = noisy_cutouts(random_truth(20, seed=34), seed=35)
    maps = np.ones_like(cutouts.pixels)
    scalar, mapped = fit_batch(cutouts), fit_batch(cutouts._replace(noise=maps))
    np.testing.assert_array_equal(scalar.params, mapped.params)
    holes = cutouts.pixels.copy()
    holes[:, 5, 6:9] = np.nan
    maps[:, 5, 6:9] = np.array([np.nan, 0.0, -1.0])
    left_out = fit_batch(cutouts._replace(noise=maps))
    np.testing.assert_array_equal(left_out.params, fit_batch(cutouts._replace(pixels=holes)).params)
    assert (left_out.n_pix == SIDE * SIDE - 3).all()


def test_noisier_pixels_weigh_less() -> None:
    truth = random_truth(400, seed=36, snr=(30.0, 60.0))
    rng = np.random.default_rng(37)
    maps = np.ones((400, SIDE, SIDE))
    maps[:, :, : SIDE // 2] = 6.0
    pixels = truth.images() + maps * rng.normal(size=maps.shape)
    cutouts = Cutouts(pixels, maps, rough_start(truth, 38), np.full(400, np.nan))
    result = fit_batch(cutouts, FitSettings(model_error=0.0))
    pulls = ((result.params - truth.params()) / errors_of(result.cov))[:, :3]
    # Standard error of a spread from 400: 0.035. With one noise for all it is 1.5 and more.
    np.testing.assert_allclose(pulls.std(axis=0), 1.0, atol=0.11)


def test_a_device_with_too_little_memory_is_given_less_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cutouts = noisy_cutouts(random_truth(40, seed=41), seed=42)
    in_chunks, asked = batch._fit_in_chunks, []

    def small_device(*arguments: Any) -> FitResult:
        asked.append(arguments[-2:])
        if arguments[-2] > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        # In chunks of the usual size, for which there is compiled code.
        return in_chunks(*arguments[:-2], slots=16, size=16 * batch.ON_CPU.queue)

    monkeypatch.setattr(batch, "_fit_in_chunks", small_device)
    with pytest.warns(HalvedWarning) as warned:
        result = fit_batch(cutouts, FitSettings(slots=8))
    assert "2 fits in step instead of 4" in str(warned[1].message)
    assert asked[:3] == [(slots, slots * batch.ON_CPU.queue) for slots in (8, 4, 2)]
    assert (result.status == FitStatus.CONVERGED).all()


def test_other_faults_of_a_device_are_not_taken_for_want_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*arguments: Any) -> Any:
        raise jax.errors.JaxRuntimeError("INTERNAL: cable pulled")

    monkeypatch.setattr(batch, "fit_chunk", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="cable"):
        fit_batch(noisy_cutouts(random_truth(2, seed=43), seed=44))


def test_an_empty_batch_has_the_columns_of_a_full_one() -> None:
    cutouts = noisy_cutouts(random_truth(2, seed=39), seed=40)
    none, some = fit_batch(cutouts.rows(np.arange(0))), fit_batch(cutouts)
    for empty, full in zip(none, some, strict=True):
        assert empty.shape == (0, *full.shape[1:])
        assert empty.dtype == full.dtype


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        ({"pixels": np.ones((4, 5, 6))}, {}, "give square cutouts"),
        ({"noise": np.ones(3)}, {}, r"noise of shape \(3,\): give \(4,\) or"),
        ({"start": np.ones((4, 6))}, {}, r"start of shape \(4, 6\): give \(4, 7\)"),
        ({"gain": np.ones((4, 1))}, {}, r"gain of shape \(4, 1\)"),
        ({}, {"dtype": "float16"}, "dtype 'float16': use 'float32' or 'float64'"),
        ({}, {"gamma": 0.0}, r"gamma = 0.0: give a positive number"),
        ({}, {"gamma": float("nan")}, "gamma = nan"),
        ({}, {"model_error": -0.1}, "model_error = -0.1"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(
    change: dict[str, np.ndarray], settings: dict[str, Any], words: str
) -> None:
    cutouts = Cutouts(np.ones((4, 5, 5)), np.ones(4), np.ones((4, 7)), np.ones(4))
    with pytest.raises(InputError, match=words) as caught:
        fit_batch(cutouts._replace(**change), FitSettings(**settings))
    assert "\n" not in str(caught.value)
