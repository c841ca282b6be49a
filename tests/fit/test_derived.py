"""Fluxes, axes and angles against eigen-decompositions; their errors against random draws."""

import numpy as np
import pytest
from simulated import angle_difference, random_truth, small_covariance

from surveyfit.fit.derived import LARGEST_ANGLE_ERROR, pixel_quantities, sky_quantities

FWHM = 2.3548200450309493
N = 300
TRUTH = random_truth(N, seed=70)
PARAMS = TRUTH.params()
NO_BEAM = np.full((N, 3), np.nan)


COV = small_covariance(N, 71)


def axes_by_eigenvectors(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return FWHM axes and the angle, degrees, of the major one from the first coordinate."""
    values, vectors = np.linalg.eigh(covariance)
    angle = np.degrees(np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    return FWHM * np.sqrt(values[:, 1]), FWHM * np.sqrt(np.maximum(values[:, 0], 0)), angle


def turned_and_flipped(scale: float, degrees: float, flip: bool) -> np.ndarray:
    """Return the Jacobian of a camera: +y turned from north towards east, x mirrored or not."""
    turn = np.radians(degrees)
    north_of_y = np.array([np.sin(turn), np.cos(turn)])
    # Seen from inside the sphere with north up, east is on the left: x runs west.
    x_direction = np.array([-np.cos(turn), np.sin(turn)]) * (-1 if flip else 1)
    return scale * np.stack([x_direction, north_of_y], axis=1)


def test_pixel_shapes_and_flux_are_those_of_the_ellipse() -> None:
    found = pixel_quantities(PARAMS, COV)
    np.testing.assert_allclose(found["maj_pix"], FWHM * TRUTH.major, rtol=1e-10)
    np.testing.assert_allclose(found["min_pix"], FWHM * TRUTH.minor, rtol=1e-10)
    flux = 2 * np.pi * TRUTH.amp * TRUTH.major * TRUTH.minor
    np.testing.assert_allclose(found["flux_int"], flux, rtol=1e-10)
    assert np.abs(angle_difference(found["pa_pix"], np.degrees(TRUTH.angle))).max() < 1e-8
    assert ((found["pa_pix"] >= 0) & (found["pa_pix"] < 180)).all()


@pytest.mark.parametrize("unit", [1.0, 1e-12])
def test_pixel_errors_are_the_spread_of_random_draws(unit: float) -> None:
    rng = np.random.default_rng(72)
    factor = np.array([1, 1, unit, 1, 1, 1, unit])
    p, c = PARAMS[5] * factor, COV[5] * np.outer(factor, factor)
    draws = p + (rng.normal(size=(40_000, 7)) @ np.linalg.cholesky(COV[5]).T) * factor
    # Fewer chunks, one compile: the draws go through the code as sources.
    spread = pixel_quantities(draws, np.zeros((len(draws), 7, 7)))
    errors = pixel_quantities(p[None], c[None])
    for name in ("flux_int", "maj_pix", "min_pix"):
        # 40000 draws: 0.4 %; second order in errors of a percent: 1 %.
        assert errors[f"{name}_err"][0] == pytest.approx(spread[name].std(), rel=0.03)
    turned = angle_difference(spread["pa_pix"], errors["pa_pix"][0])
    assert errors["pa_pix_err"][0] == pytest.approx(turned.std(), rel=0.03)


def test_a_round_source_has_finite_errors_and_an_unknown_angle() -> None:
    p = np.array([[5.0, 5.0, 10.0, 2.0, 0.0, 0.0, 0.0]])
    found = pixel_quantities(p, np.diag([0.01] * 7)[None])
    assert all(np.isfinite(column).all() for column in found.values())
    assert found["maj_pix"][0] == pytest.approx(FWHM * 2)
    assert found["pa_pix_err"][0] == LARGEST_ANGLE_ERROR
    nearly = p + np.array([0, 0, 0, 0, 1e-9, 0, 0])
    assert pixel_quantities(nearly, np.diag([0.01] * 7)[None])["pa_pix_err"][0] == (
        LARGEST_ANGLE_ERROR
    )


def test_failed_rows_stay_nan_and_spoil_no_other() -> None:
    params, cov = PARAMS[:3].copy(), COV[:3].copy()
    params[1], cov[1] = np.nan, np.nan
    found = pixel_quantities(params, cov)
    whole = pixel_quantities(PARAMS[:3], COV[:3])
    for name, column in found.items():
        assert np.isnan(column[1]), name
        np.testing.assert_array_equal(column[[0, 2]], whole[name][[0, 2]])


def test_no_rows_give_empty_columns() -> None:
    found = pixel_quantities(PARAMS[:0], COV[:0])
    assert {column.shape for column in found.values()} == {(0,)}


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 30.0, 200.0])
def test_sky_shapes_follow_rotation_and_flip(degrees: float, flip: bool) -> None:
    scale = 0.4
    jacobian = turned_and_flipped(scale, degrees, flip)
    found = sky_quantities(PARAMS, COV, np.tile(jacobian, (N, 1, 1)), NO_BEAM)
    np.testing.assert_allclose(found["maj_axis"], scale * FWHM * TRUTH.major, rtol=1e-10)
    np.testing.assert_allclose(found["min_axis"], scale * FWHM * TRUTH.minor, rtol=1e-10)
    # Angles from +y: towards -x (counterclockwise) is towards east unless the image is flipped.
    from_y = np.degrees(TRUTH.angle) - 90.0
    wanted = degrees + (-from_y if flip else from_y)
    assert np.abs(angle_difference(found["pos_ang"], wanted)).max() < 1e-8
    assert ((found["pos_ang"] >= 0) & (found["pos_ang"] < 180)).all()
    in_pixels = pixel_quantities(PARAMS, COV)
    np.testing.assert_allclose(found["pos_ang_err"], in_pixels["pa_pix_err"], rtol=1e-8)
    np.testing.assert_allclose(found["maj_axis_err"], scale * in_pixels["maj_pix_err"], rtol=1e-8)


def test_sky_shapes_of_sheared_pixels_equal_an_eigendecomposition() -> None:
    jacobian = np.array([[-0.5, 0.12], [0.07, 0.33]])
    found = sky_quantities(PARAMS, COV, np.tile(jacobian, (N, 1, 1)), NO_BEAM)
    on_sky = jacobian @ TRUTH.covariance() @ jacobian.T
    major, minor, from_east = axes_by_eigenvectors(on_sky)
    np.testing.assert_allclose(found["maj_axis"], major, rtol=1e-10)
    np.testing.assert_allclose(found["min_axis"], minor, rtol=1e-10)
    assert np.abs(angle_difference(found["pos_ang"], 90.0 - from_east)).max() < 1e-7


def test_position_errors_are_those_of_the_offsets_on_the_sky() -> None:
    jacobian = turned_and_flipped(0.4, 25.0, False)
    found = sky_quantities(PARAMS, COV, np.tile(jacobian, (N, 1, 1)), NO_BEAM)
    rng = np.random.default_rng(73)
    for k in range(3):
        offsets = rng.multivariate_normal(np.zeros(2), COV[k, :2, :2], 100_000) @ jacobian.T
        east, north = offsets.T
        assert found["ra_err"][k] == pytest.approx(east.std(), rel=0.01)
        assert found["dec_err"][k] == pytest.approx(north.std(), rel=0.01)
        correlation = np.corrcoef(east, north)[0, 1]
        assert found["ra_dec_corr"][k] == pytest.approx(correlation, abs=0.01)


def test_without_a_world_or_a_beam_there_are_nan_and_nothing_else_changes() -> None:
    jacobian = np.tile(turned_and_flipped(0.4, 25.0, False), (N, 1, 1))
    beam = np.tile([0.5, 0.4, 10.0], (N, 1))
    whole = sky_quantities(PARAMS, COV, jacobian, beam)
    no_beam = sky_quantities(PARAMS, COV, jacobian, NO_BEAM)
    no_world = sky_quantities(PARAMS, COV, np.full((N, 2, 2), np.nan), beam)
    assert all(np.isnan(column).all() for column in no_world.values())
    for name, column in no_beam.items():
        if "deconv" in name or "compactness" in name:
            assert np.isnan(column).all()
        else:
            np.testing.assert_array_equal(column, whole[name])
