"""The two matrices of the published covariance, judged by sums over all pairs of pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surveyfit.errors import InputError
from surveyfit.fit.information import information, noise_of, positive_lags
from surveyfit.fit.loss import Pixels
from surveyfit.fit.noise_law import noise_law

SIDE = 14
FREE = np.ones(7, bool)
PARAMS = np.array([6.3, 7.1, 20.0, 1.9, 0.3, -0.2, 0.5])


def beam(lags: int, sigma: float) -> np.ndarray:
    """Return the correlation of white noise smoothed by a Gaussian; its power is positive."""
    y, x = np.mgrid[-lags : lags + 1, -lags : lags + 1]
    return np.exp(-(x**2 + 0.5 * x * y + 1.5 * y**2) / (4 * sigma**2))


def jacobian() -> np.ndarray:
    """Return dm/dp (side * side, 7) by central differences."""
    y, x = np.mgrid[:SIDE, :SIDE].reshape(2, -1)

    def model(p: np.ndarray) -> np.ndarray:
        dx, dy = x - p[0], y - p[1]
        form = dx**2 + dy**2 + p[4] * dx * dy + p[5] * (dx**2 - dy**2)
        return p[2] * np.exp(-form / (2 * p[3] ** 2)) + p[6]

    steps = 1e-5 * np.eye(7)
    return np.stack([(model(PARAMS + h) - model(PARAMS - h)) / 2e-5 for h in steps], axis=1)


def test_the_sums_are_those_over_all_pairs_of_pixels() -> None:
    rng = np.random.default_rng(91)
    table = beam(SIDE - 1, 1.2)
    used = rng.uniform(size=(SIDE, SIDE)) > 0.1
    scale, sky = rng.uniform(2, 3, (2, SIDE, SIDE))
    photons = np.hypot(sky, rng.uniform(0, 2, (SIDE, SIDE)))
    law = noise_law()
    grid = np.arange(float(SIDE))
    weight = np.where(used, 1 / scale, 0.0)
    with jax.enable_x64(True):
        noise = noise_of(law, table, SIDE, "float64")
        pixels = Pixels(grid[None, :], grid[:, None], np.zeros((SIDE, SIDE)), weight)
        sums = jax.jit(information)(
            jnp.asarray(PARAMS), pixels, sky / scale, photons / scale, noise, FREE
        )
        found = [np.asarray(matrix) for matrix in sums]
    log_t = np.log((photons / scale).ravel())
    curved = np.interp(log_t, law.log_t, law.curvature)
    scored = np.exp(np.interp(log_t, law.log_t, np.log(law.score_variance)))
    slopes, w = jacobian(), weight.ravel()
    lag = np.arange(SIDE)[None, :] - np.arange(SIDE)[:, None] + SIDE - 1
    pairs = table[lag[:, None, :, None], lag[None, :, None, :]].reshape(SIDE**2, SIDE**2)
    np.fill_diagonal(pairs, 0.0)
    follows = slopes * (curved * (sky / scale).ravel() * w)[:, None]
    wanted = [
        slopes.T @ (slopes * (curved * w**2)[:, None]),
        slopes.T @ (slopes * (scored * w**2)[:, None]),
        follows.T @ pairs @ follows,
    ]
    for a, b, tolerance in zip(found, wanted, (1e-6, 1e-6, 0.02), strict=True):
        unit = np.sqrt(np.diagonal(wanted[1]))
        # Measured 1e-10, 1e-10 and, since small singular values are left out, 3e-3.
        assert (
            np.abs((a - b) / np.outer(unit, unit)).max()
            < tolerance * np.abs(b / np.outer(unit, unit)).max()
        )


def test_heavy_tails_add_what_the_leverage_of_a_pixel_costs() -> None:
    # Cauchy noise, whose clipped spread is the unit.
    shares = (np.arange(2000) + 0.5) / 2000
    q = np.tan(np.pi * (shares - 0.5)) / 1.6
    law = noise_law(q)
    weight = np.random.default_rng(92).uniform(0.3, 0.5, (SIDE, SIDE))
    grid = np.arange(float(SIDE))
    t = np.full((SIDE, SIDE), 0.4)
    with jax.enable_x64(True):
        pixels = Pixels(grid[None, :], grid[:, None], np.zeros((SIDE, SIDE)), weight)
        noise = noise_of(law, None, SIDE, "float64")
        sums = jax.jit(information)(jnp.asarray(PARAMS), pixels, t, t, noise, FREE)
        bread, filling, _ = (np.asarray(matrix) for matrix in sums)
    # The derivatives of log(1 + z^2) by hand.
    z = 0.4 * q
    u = 1 + z**2
    p1, p2, p3 = 2 * z / u, 2 * (1 - z**2) / u**2, 4 * z * (z**2 - 3) / u**3
    p4 = -12 * (z**4 - 6 * z**2 + 1) / u**4
    a, b = p2.mean(), (p1**2).mean()
    kappa = (
        -2 * np.cov(p2, p1**2, ddof=0)[0, 1]
        + 3 * (p2.var() + (p3 * p1).mean()) * b / a
        - p4.mean() * (b / a) ** 2
    )
    slopes = jacobian() * weight.reshape(-1, 1)
    leverages = np.einsum("ni,ij,nj->n", slopes, np.linalg.inv(a * slopes.T @ slopes), slopes)
    wanted = slopes.T @ (slopes * (b + kappa * leverages)[:, None])
    # In units of the diagonals; measured 1e-4 and 2e-4: the law is a table.
    for found, sum_ in ((bread, a * slopes.T @ slopes), (filling, wanted)):
        unit = np.sqrt(np.diagonal(sum_))
        assert np.abs((found - sum_) / np.outer(unit, unit)).max() < 2e-3
    # What is tested is not small: measured 0.3.
    assert kappa * leverages.max() > 0.2 * b


def test_a_possible_correlation_is_left_as_it_is() -> None:
    table = beam(9, 1.2)
    kept = positive_lags(table, 10)
    np.testing.assert_allclose(kept, table, atol=1e-12)


def test_an_impossible_correlation_is_made_possible() -> None:
    # Neighbours more alike than a pixel is to itself: negative power at some wavelengths.
    table = np.array([[0.5, 0.9, 0.5], [0.9, 1.0, 0.9], [0.5, 0.9, 0.5]])
    side = 16
    made = positive_lags(table, side)
    lag = np.arange(side)[None, :] - np.arange(side)[:, None] + side - 1
    pairs = made[lag[:, None, :, None], lag[None, :, None, :]].reshape(side**2, side**2)
    assert made[side - 1, side - 1] == pytest.approx(1.0)
    # Periodic noise is exactly possible; a cutout of it to rounding.
    assert np.linalg.eigvalsh(pairs).min() > -1e-9
    spoilt = np.zeros_like(made)
    spoilt[side - 2 : side + 1, side - 2 : side + 1] = table
    broken = spoilt[lag[:, None, :, None], lag[None, :, None, :]].reshape(side**2, side**2)
    assert np.linalg.eigvalsh(broken).min() < -0.1


def test_independent_pixels_need_no_product() -> None:
    noise = noise_of(noise_law(), np.ones((1, 1)), SIDE, "float32")
    assert noise.factors == 0


@pytest.mark.parametrize("table", [np.ones((2, 2)), np.ones((3, 5)), np.ones(3)])
def test_a_table_that_is_no_square_of_lags_is_refused(table: np.ndarray) -> None:
    with pytest.raises(InputError, match="correlation of shape"):
        noise_of(noise_law(), table, SIDE, "float32")
