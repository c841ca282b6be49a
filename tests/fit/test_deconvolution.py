"""Sizes with the beam removed: formulas, errors, limits; and the compactness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from simulated import Truth, angle_difference, random_truth, small_covariance

from surveyfit.fit.deconvolution import upper_limit, without_beam
from surveyfit.fit.derived import sky_quantities

FWHM = 2.3548200450309493
N = 50
TRUTH = random_truth(N, seed=70)
COV = small_covariance(N, 71)


def convolved(intrinsic: np.ndarray, beam: tuple[float, float, float]) -> np.ndarray:
    """Return parameters (n, 7) of Gaussians (n, 2, 2) after convolution with a beam.

    Pixels are 1 arcsec, x runs west, y north; the beam is (FWHM, FWHM, degrees east of north).
    """
    turn = np.radians(beam[2])
    along = np.array([-np.sin(turn), np.cos(turn)])
    across = np.array([np.cos(turn), np.sin(turn)])
    kernel = (beam[0] / FWHM) ** 2 * np.outer(along, along)
    kernel += (beam[1] / FWHM) ** 2 * np.outer(across, across)
    values, vectors = np.linalg.eigh(intrinsic + kernel)
    n = len(intrinsic)
    truth = Truth(
        x0=np.full(n, 10.0),
        y0=np.full(n, 10.0),
        amp=np.full(n, 5.0),
        major=np.sqrt(values[:, 1]),
        minor=np.sqrt(values[:, 0]),
        angle=np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]),
        bkg=np.zeros(n),
    )
    return truth.params()


BEAM = (4.0, 3.0, 35.0)
X_WEST = np.array([[-1.0, 0.0], [0.0, 1.0]])


def test_the_beam_is_removed_as_a_gaussian() -> None:
    n = 100
    truth = random_truth(n, seed=74)
    found = sky_quantities(
        convolved(truth.covariance(), BEAM),
        1e-12 * np.tile(np.eye(7), (n, 1, 1)),
        np.tile(X_WEST, (n, 1, 1)),
        np.tile(BEAM, (n, 1)),
    )
    assert (found["deconv_code"] == 0).all()
    np.testing.assert_allclose(found["maj_axis_deconv"], FWHM * truth.major, rtol=1e-9)
    np.testing.assert_allclose(found["min_axis_deconv"], FWHM * truth.minor, rtol=1e-9)
    wanted = np.degrees(truth.angle) - 90.0
    assert np.abs(angle_difference(found["pos_ang_deconv"], wanted)).max() < 1e-6


def test_errors_of_deconvolved_sizes_are_the_spread_of_random_draws() -> None:
    params = convolved(random_truth(1, seed=75).covariance(), BEAM)[0]
    rng, n = np.random.default_rng(76), 20_000
    draws = params + 0.1 * rng.multivariate_normal(np.zeros(7), COV[0], n)

    def on_sky(p: np.ndarray, cov: np.ndarray) -> dict[str, np.ndarray]:
        m = len(p)
        return sky_quantities(p, cov, np.tile(X_WEST, (m, 1, 1)), np.tile(BEAM, (m, 1)))

    spread = on_sky(draws, np.zeros((n, 7, 7)))
    found = on_sky(params[None], 0.01 * COV[:1])
    for name in ("maj_axis_deconv", "min_axis_deconv"):
        # 20000 draws: 0.5 %.
        assert found[f"{name}_err"][0] == pytest.approx(spread[name].std(), rel=0.03)
    turned = angle_difference(spread["pos_ang_deconv"], found["pos_ang_deconv"][0])
    assert found["pos_ang_deconv_err"][0] == pytest.approx(turned.std(), rel=0.03)


def test_what_is_not_larger_than_the_beam_gets_limits() -> None:
    point = np.zeros((2, 2))
    jet = np.outer([0.8, 0.6], [0.8, 0.6]) * 2.0**2
    smaller = -0.3 * np.eye(2)
    params = convolved(np.stack([point, jet, smaller]), BEAM)
    cov = np.tile(np.diag([1e-4] * 7), (3, 1, 1))
    found = sky_quantities(params, cov, np.tile(X_WEST, (3, 1, 1)), np.tile(BEAM, (3, 1)))
    np.testing.assert_array_equal(found["deconv_code"], [2, 1, 2])
    # 1.96 errors of the squared size: sigma 1.4 px +- 0.01 leaves about 0.25 px of sigma.
    assert (found["maj_axis_deconv"][[0, 2]] > 0).all()
    assert (found["maj_axis_deconv"][[0, 2]] < 0.6 * BEAM[0]).all()
    # What the noise adds to the elongation is taken off: 5e-5 with these errors.
    assert found["maj_axis_deconv"][1] == pytest.approx(FWHM * 2.0, rel=1e-4)
    assert (found["min_axis_deconv"] <= found["maj_axis_deconv"]).all()
    limits = np.isnan([found["maj_axis_deconv_err"], found["min_axis_deconv_err"]])
    np.testing.assert_array_equal(limits, [[True, False, True], [True, True, True]])
    np.testing.assert_array_equal(np.isnan(found["pos_ang_deconv"]), [True, False, True])
    # The jet points along (0.8, 0.6) in (x, y); x runs west.
    assert found["pos_ang_deconv"][1] == pytest.approx(180 - np.degrees(np.arctan2(0.8, 0.6)))


def test_compactness_is_the_beam_area_over_the_fitted_area() -> None:
    jacobian = np.tile(0.4 * X_WEST, (N, 1, 1))
    found = sky_quantities(TRUTH.params(), COV, jacobian, np.tile((1.2, 0.9, 35.0), (N, 1)))
    area = 0.4**2 * FWHM**2 * TRUTH.major * TRUTH.minor
    np.testing.assert_allclose(found["compactness"], 1.2 * 0.9 / area, rtol=1e-10)
    point = convolved(np.zeros((1, 2, 2)), BEAM)
    of_point = sky_quantities(point, COV[:1], X_WEST[None], np.array([BEAM]))
    assert of_point["compactness"][0] == pytest.approx(1.0, rel=1e-12)


def test_the_error_of_the_compactness_is_the_spread_of_random_draws() -> None:
    rng, n = np.random.default_rng(77), 20_000
    draws = TRUTH.params()[7] + 0.3 * rng.multivariate_normal(np.zeros(7), COV[7], n)
    jacobian, beam = np.tile(X_WEST, (n, 1, 1)), np.tile(BEAM, (n, 1))
    spread = sky_quantities(draws, np.zeros((n, 7, 7)), jacobian, beam)["compactness"]
    found = sky_quantities(TRUTH.params()[7:8], 0.09 * COV[7:8], jacobian[:1], beam[:1])
    # 20000 draws know a standard deviation to 0.5 %; second order in errors of a percent: 1 %.
    assert found["compactness_err"][0] == pytest.approx(spread.std(), rel=0.03)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, 4.0])
def test_an_upper_limit_holds_95_percent_of_what_is_left_above_zero(value: float) -> None:
    with jax.enable_x64(True):
        limit = float(upper_limit(jnp.array(2 * value), jnp.array(2.0)))
        below_zero = float(upper_limit(jnp.array(-7.0), jnp.array(2.0)))
        exact = float(upper_limit(jnp.array(value), jnp.array(0.0)))
    law = stats.truncnorm(-value, np.inf, loc=2 * value, scale=2)
    assert law.cdf(limit) == pytest.approx(0.95, abs=1e-9)
    assert below_zero == pytest.approx(2 * 1.959964, rel=1e-6)
    assert exact == value


@pytest.mark.parametrize(("elongation", "left"), [(0.0, 0.65), (0.3, 0.1)])
def test_what_noise_adds_to_the_elongation_is_taken_off(elongation: float, left: float) -> None:
    true = np.array([2.0 + elongation, 2.0 - elongation])
    params = convolved(np.diag(true)[None], (4.0, 4.0, 0.0))[0]
    rng, n = np.random.default_rng(78), 20_000
    cov = np.diag([0, 0, 0, 0.02**2, 0.06**2, 0.03**2, 0])
    draws = jnp.array(params + rng.multivariate_normal(np.zeros(7), cov, n))
    beam, jacobian = jnp.array([4.0, 4.0, 0.0]), jnp.array(X_WEST)

    def squares(p: jax.Array, noise: jax.Array) -> jax.Array:
        return without_beam(p, noise, jacobian, beam)[0]

    of_draws = jax.jit(jax.vmap(squares, in_axes=(0, None)))

    def offsets(noise: np.ndarray) -> np.ndarray:
        return np.asarray(of_draws(draws, jnp.array(noise))) - true

    # Without errors the square is the plain difference. A Rayleigh variable r has a mean of 1.25,
    # the root of r^2 - 1 where that is positive one of 0.76: of a round source 0.61 is left.
    # 20000 draws know a mean to 0.007 of its spread.
    with jax.enable_x64(True):
        corrected, plain = offsets(cov).mean(0), offsets(np.zeros((7, 7))).mean(0)
    bias = plain[0] - plain[1]
    assert bias > 0
    assert abs(corrected[0] - corrected[1]) < left * bias


def test_a_minor_axis_is_not_resolved_where_the_major_one_is_not() -> None:
    rng, n = np.random.default_rng(79), 2000
    cov = np.diag([0, 0, 0, 0.1**2, 0.1**2, 0.1**2, 0])
    draws = convolved(0.3 * np.eye(2)[None], BEAM)[0] + rng.multivariate_normal(np.zeros(7), cov, n)
    found = sky_quantities(
        draws, np.tile(cov, (n, 1, 1)), np.tile(X_WEST, (n, 1, 1)), np.tile(BEAM, (n, 1))
    )
    major, minor = (np.isfinite(found[f"{axis}_axis_deconv_err"]) for axis in ("maj", "min"))
    assert minor.any()
    assert not (minor & ~major).any()
    np.testing.assert_array_equal(found["deconv_code"], 2 - major - minor)
