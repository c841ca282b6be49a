"""The model is the Gaussian of its axes, the same under NumPy and JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from simulated import SIDE, random_truth

from surveyfit.fit.model import (
    FWHM_PER_SIGMA,
    HALF_MAXIMUM_FORM,
    ellipticity,
    gaussian,
    pixel_scale,
    pixel_sigma,
    quadratic_form,
)

TRUTH = random_truth(50, seed=1)
X, Y = np.arange(SIDE), np.arange(SIDE)[:, None]


def test_the_model_is_the_gaussian_of_its_covariance_matrix() -> None:
    model = gaussian(TRUTH.params()[:, None, None, :], X, Y, np)
    # Measured 3e-14: rounding; a slipped factor in rho or diff shows at 1e-2 and more.
    np.testing.assert_allclose(model, TRUTH.images(), atol=1e-12 * TRUTH.amp.max())


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-5), ("float64", 1e-13)])
def test_numpy_and_jax_give_the_same_pixels(dtype: str, rtol: float) -> None:
    params = TRUTH.params()[:, None, None, :]
    with jax.enable_x64(dtype == "float64"):
        under_jax = gaussian(jnp.asarray(params, dtype), jnp.asarray(X), jnp.asarray(Y), jnp)
    assert under_jax.dtype == dtype
    under_numpy = gaussian(params, X, Y, np)
    np.testing.assert_allclose(under_jax, under_numpy, atol=rtol * TRUTH.amp.max())


def test_half_maximum_lies_where_the_axes_say() -> None:
    params = TRUTH.params()
    e, sigma = ellipticity(params[:, 4], params[:, 5]), params[:, 3]
    major, minor = (FWHM_PER_SIGMA * sigma / np.sqrt(1 + sign * e) for sign in (-1, 1))
    # 2.3548 is the FWHM of a unit Gaussian.
    np.testing.assert_allclose(major, 2.3548200450309493 * TRUTH.major, rtol=1e-12)
    np.testing.assert_allclose(minor, 2.3548200450309493 * TRUTH.minor, rtol=1e-12)
    tip_x = TRUTH.x0 + 0.5 * major * np.cos(TRUTH.angle)
    tip_y = TRUTH.y0 + 0.5 * major * np.sin(TRUTH.angle)
    form = quadratic_form(params, tip_x, tip_y, np)
    np.testing.assert_allclose(form, HALF_MAXIMUM_FORM, rtol=1e-12)


def test_widths_add_in_quadrature_and_unknown_gain_adds_nothing() -> None:
    assert pixel_scale(3.0, 80.0, 0.05) == pytest.approx(5.0)
    assert pixel_sigma(3.0, 32.0, 2.0, np) == pytest.approx(5.0)
    assert pixel_sigma(3.0, -32.0, 2.0, np) == 3.0
    assert pixel_sigma(3.0, 32.0, np.inf, np) == 3.0
