"""The exact Hessian against central differences of a likelihood written down again in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from simulated import SIDE, Truth, random_truth

from surveyfit.errors import InputError
from surveyfit.fit.hessian import hessian
from surveyfit.fit.loss import Pixels, cauchy
from surveyfit.fit.objective import derivatives, linear_hessian, logarithmic

N = 6
TRUTH = random_truth(N, seed=2)
PIXELS = TRUTH.images() + np.random.default_rng(3).normal(size=(N, SIDE, SIDE))
# Away from the optimum: there the gradient's part of the Hessian does not vanish.
PARAMS = TRUTH.params() * 1.05
GAMMA = np.linspace(1.5, 4.0, N)


def likelihood(p: np.ndarray, pixels: np.ndarray, gamma: np.ndarray | float) -> float:
    """Return the negative log-likelihood of one image: the sum of minus log Cauchy densities."""
    y, x = np.indices(pixels.shape)
    bkg = p[6] if len(p) == 7 else 0.0
    dx, dy = x - p[0], y - p[1]
    form = dx**2 + dy**2 + p[4] * dx * dy + p[5] * (dx**2 - dy**2)
    residual = p[2] * np.exp(-form / (2 * p[3] ** 2)) + bkg - pixels
    density = gamma / (np.pi * (gamma**2 + residual**2))
    return float(np.nansum(-np.log(density)))


def central_differences(p: np.ndarray, pixels: np.ndarray, gamma: np.ndarray | float) -> np.ndarray:
    """Return the Hessian by differences of fourth order in each direction."""
    steps = 4e-4 * np.array([1, 1, p[2], p[3], 1, 1, 1])[: len(p)]
    offsets, weights = np.array([-2, -1, 1, 2]), np.array([1, -8, 8, -1]) / 12
    out = np.zeros((len(p), len(p)))
    for i in range(len(p)):
        for j in range(len(p)):
            for a, wa in zip(offsets, weights, strict=True):
                for b, wb in zip(offsets, weights, strict=True):
                    q = p.copy()
                    q[i] += a * steps[i]
                    q[j] += b * steps[j]
                    out[i, j] += wa * wb * likelihood(q, pixels, gamma)
    return out / np.outer(steps, steps)


def scaled_difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference in units of sqrt(H_ii H_jj)."""
    unit = np.sqrt(np.abs(np.diagonal(wanted, axis1=-2, axis2=-1)))
    return float(np.max(np.abs(found - wanted) / (unit[..., :, None] * unit[..., None, :])))


# Measured 1e-7 (the differences' own error) and 5e-6; an error in a term shows at 1e-3 and more.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 3e-5)])
def test_hessian_equals_central_differences(dtype: str, tolerance: float) -> None:
    found = hessian(PARAMS, PIXELS, GAMMA, dtype=dtype)
    for k in range(N):
        wanted = central_differences(PARAMS[k], PIXELS[k], GAMMA[k])
        assert scaled_difference(found[k], wanted) < tolerance


def test_one_image_and_a_batch_agree() -> None:
    batch = hessian(PARAMS, PIXELS, GAMMA)
    one = hessian(PARAMS[2], PIXELS[2], GAMMA[2])
    assert one.shape == (7, 7)
    assert scaled_difference(one, batch[2]) < 1e-12


def test_six_parameters_mean_a_background_of_zero() -> None:
    without = PARAMS[:, :6]
    with_zero = np.concatenate([without, np.zeros((N, 1))], axis=1)
    found = hessian(without, PIXELS, GAMMA)
    assert found.shape == (N, 6, 6)
    np.testing.assert_array_equal(found, hessian(with_zero, PIXELS, GAMMA)[:, :6, :6])


def test_masked_pixels_and_nan_do_not_count() -> None:
    mask = np.random.default_rng(4).uniform(size=PIXELS.shape) < 0.3
    holes = np.where(mask, np.nan, PIXELS)
    spoiled = np.where(mask, 1e6, PIXELS)
    found = hessian(PARAMS, spoiled, GAMMA, mask=mask)
    np.testing.assert_array_equal(found, hessian(PARAMS, holes, GAMMA))
    wanted = central_differences(PARAMS[0], holes[0], GAMMA[0])
    assert scaled_difference(found[0], wanted) < 1e-6


def test_a_scale_for_each_pixel() -> None:
    scale = np.random.default_rng(5).uniform(1.0, 3.0, PIXELS.shape)
    found = hessian(PARAMS, PIXELS, scale)
    wanted = central_differences(PARAMS[1], PIXELS[1], scale[1])
    assert scaled_difference(found[1], wanted) < 1e-6


def test_an_oblong_image_of_several_blocks() -> None:
    shape = (90, 210)
    truth = Truth(*(np.array([v]) for v in (150.3, 40.2, 30.0, 6.0, 4.0, 0.5, 1.0)))
    y, x = np.indices(shape)
    rng = np.random.default_rng(6)
    pixels = 30 * np.exp(-((x - 150) ** 2 + (y - 40) ** 2) / 50) + rng.normal(size=shape)
    p = truth.params()[0]
    wanted = central_differences(p, pixels, 2.4)
    assert scaled_difference(hessian(p, pixels, 2.4), wanted) < 1e-6
    # Single precision keeps five digits 150 pixels from the corner.
    assert scaled_difference(hessian(p, pixels, 2.4, dtype="float32"), wanted) < 3e-5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_image_units_of_1e_12_lose_no_digits(dtype: str) -> None:
    unit = 1e-12
    factor = np.array([1, 1, unit, 1, 1, 1, unit])
    small = hessian(PARAMS * factor, PIXELS * unit, GAMMA * unit, dtype=dtype)
    back = small * np.outer(factor, factor)
    # Measured 1e-14.
    assert scaled_difference(back, hessian(PARAMS, PIXELS, GAMMA, dtype=dtype)) < 1e-12


@pytest.mark.parametrize("shape", [(5,), (2, 7), (3, 8)])
def test_parameters_that_do_not_fit_the_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="give 6 or 7 parameters"):
        hessian(np.ones(shape), PIXELS[:3], 2.4)


@jax.jit
def solver_derivatives(internal: jax.Array, pixels: Pixels) -> tuple[jax.Array, ...]:
    log = logarithmic(jnp.array(False))
    found = derivatives(internal, log, pixels, cauchy)
    return found.gradient, linear_hessian(internal, log, found)


def test_the_derivatives_of_the_solver_are_those_of_the_likelihood() -> None:
    # Away from the optimum, where every term of the change to logarithms counts.
    grid = np.arange(SIDE, dtype=float)
    for p, image, gamma in zip(PARAMS, PIXELS, GAMMA, strict=True):
        internal = p.copy()
        internal[2:4] = np.log(p[2:4])
        with jax.enable_x64(True):
            pixels = Pixels(grid[None, :], grid[:, None], image, np.full(image.shape, 1 / gamma))
            gradient, linear = map(np.asarray, solver_derivatives(internal, pixels))
        # Measured 5e-15.
        assert scaled_difference(linear, hessian(p, image, gamma)) < 1e-12
        slope = np.array([1, 1, p[2], p[3], 1, 1, 1])
        for i, step in enumerate(np.diag(1e-5 * slope)):
            rise = likelihood(p + step, image, gamma) - likelihood(p - step, image, gamma)
            unit = np.sqrt(abs(linear[i, i])) * slope[i]
            # Measured 3e-8: the differences' own error.
            assert abs(gradient[i] - rise / 2e-5) < 1e-6 * unit
