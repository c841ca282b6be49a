"""What the noise of an image does to the fits: the two matrices of the published covariance.

The published covariance is A^-1 B A^-1 (Huber 1967; White 1982) with, for pixels i and j, their
weights w = 1 / scale, and t = (noise of a pixel) * w ::

    A = sum_i E[l''](t_i) w_i^2 dm_i dm_i^T
    B = sum_i b_i w_i^2 dm_i dm_i^T + sum_(i != j) h_i h_j R(i - j) dm_i dm_j^T

The *expected* curvature, not the observed one: the residuals under a source are smaller than the
noise, because the fit has absorbed some of it. b = E[l'^2](t_i), and a little more where a fit
rests on few pixels (`surveyfit.fit.noise_law.surplus_variance`). R is the correlation of the
image's noise, and h = E[l''](t_i) t_i w_i how the score of a pixel follows that noise (Price's
theorem: to first order in R, cov(l'_i, l'_j) = E[l''_i] E[l''_j] cov(z_i, z_j)). The photons of a
source are independent.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from surveyfit.errors import InputError
from surveyfit.fit.loss import Pixels
from surveyfit.fit.model import Array, gaussian
from surveyfit.fit.moments import gauss_newton, leverage
from surveyfit.fit.noise_law import LogLaw, NoiseLaw, log_law
from surveyfit.fit.small import solve_made_positive

SMALLEST_FACTOR = 0.01
"""Of the largest singular value of the correlation: smaller ones are its sampling error."""

SMALLEST_PIVOT = 1e-4
"""Of A scaled to unit diagonal: leverages stay finite where parameters cannot be told apart."""

FAINT_T = 0.4
"""Noise over scale of a faint source, with the usual gamma."""

LEAST_SURPLUS = 0.3
"""Of the score's variance, a unit of leverage; 0 in Gaussian noise, 1.7 in Cauchy noise, and less
than 0.1 where 10 % of the pixels are outliers."""

MOST_FACTORS = 12
"""Products of a column and a row that the correlation is written as; a round beam needs two."""


class Noise(NamedTuple):
    """What the noise of an image does to the fits, for cutouts of one side.

    Attributes
    ----------
    law : LogLaw
    rows, columns : array (MOST_FACTORS, side, side)
        R(i - j) off its centre = sum over k of rows[k, y_i, y_j] * columns[k, x_i, x_j].
    factors : array ()
        How many of them are used.
    heavy : array () of bool
        Whether the tails of the noise are so heavy that the surplus of its law matters.
    """

    law: LogLaw
    rows: Array
    columns: Array
    factors: Array
    heavy: Array


def noise_of(law: NoiseLaw, correlation: np.ndarray | None, side: int, dtype: str) -> Noise:
    """Return the noise in the form in which the fits take it.

    Parameters
    ----------
    law : NoiseLaw
    correlation : array (2 L + 1, 2 L + 1), optional
        Correlation of the noise of two pixels at each lag [dy + L, dx + L]; none if left out.
    side : int
        Of the cutouts.
    dtype : str

    Raises
    ------
    InputError
        If the correlation is not a square of odd side, or not finite.
    """
    rows, columns = np.zeros((2, MOST_FACTORS, side, side), dtype)
    table = np.ones((1, 1)) if correlation is None else np.asarray(correlation, np.float64)
    if table.ndim != 2 or table.shape[0] % 2 == 0 or len(set(table.shape)) > 1:
        raise InputError(f"correlation of shape {table.shape}", "give (2 L + 1, 2 L + 1)")
    if not np.isfinite(table).all():
        raise InputError("correlation with NaN", "give finite values")
    used = 0
    if table.size > 1:
        lags = positive_lags(table, side)
        lags[side - 1, side - 1] = 0.0
        left, size, right = np.linalg.svd(lags)
        used = min(MOST_FACTORS, int(np.count_nonzero(size > SMALLEST_FACTOR * size[0])))
        for k in range(used):
            rows[k] = _at_lags(left[:, k] * size[k], side)
            columns[k] = _at_lags(right[k], side)
    surplus = np.interp(np.log(FAINT_T), law.log_t, law.surplus / law.score_variance)
    heavy = np.asarray(surplus > LEAST_SURPLUS)
    return Noise(log_law(law, dtype), rows, columns, np.asarray(used, np.int32), heavy)


def positive_lags(correlation: np.ndarray, side: int) -> np.ndarray:
    """Return the correlation (2 side - 1, 2 side - 1) at all lags of a cutout, made a possible one.

    A measured table need not be one that noise can have: with it, a variance could come out
    negative. Its power spectrum is made positive, and its value at no lag one.
    """
    lags = len(correlation) // 2
    keep = min(lags, side - 1)
    inner = slice(lags - keep, lags + keep + 1)
    around = np.zeros((2 * side, 2 * side))
    around[side - keep : side + keep + 1, side - keep : side + keep + 1] = correlation[inner, inner]
    power = np.maximum(np.fft.fft2(np.fft.ifftshift(around)).real, 0.0)
    possible = np.fft.fftshift(np.fft.ifft2(power).real)
    return possible[1:, 1:] / possible[side, side]


def _at_lags(values: np.ndarray, side: int) -> np.ndarray:
    """Return the matrix (side, side) whose element (i, j) is values[j - i + L], zero beyond L."""
    lags = len(values) // 2
    lag = np.arange(side)[None, :] - np.arange(side)[:, None] + lags
    return np.where((lag >= 0) & (lag <= 2 * lags), values[np.clip(lag, 0, 2 * lags)], 0.0)


def information(
    params: jax.Array,
    pixels: Pixels,
    sky: jax.Array,
    sigma: jax.Array,
    noise: Noise,
    free: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return A, B for independent pixels, and what correlation adds to B; each (7, 7).

    Parameters
    ----------
    params : array (7,)
        Linear parameters.
    pixels : Pixels
    sky, sigma : array (side, side) or (1, 1)
        Noise of a pixel, without and with the photons of the source, over its scale: t.
    noise : Noise
    free : array (7,) of bool
        Parameters that are not held.
    """
    curved, scored, surplus = noise.law.at(sigma)
    square = pixels.weight**2
    bread, first = gauss_newton(params[:6], jnp.stack([curved * square, scored * square]), pixels)

    def with_surplus() -> jax.Array:
        share = leverage(params[:6], _inverse(bread, free), pixels) * square
        return first + gauss_newton(params[:6], (surplus * share * square)[None], pixels)[0]

    filling = lax.cond(noise.heavy, with_surplus, lambda: first)
    follows = curved * sky * pixels.weight

    def add(k: jax.Array, total: jax.Array) -> jax.Array:
        return total + _correlated(params, pixels, follows, noise.rows[k], noise.columns[k])

    return bread, filling, lax.fori_loop(0, noise.factors, add, jnp.zeros_like(bread))


def _inverse(bread: jax.Array, free: jax.Array) -> jax.Array:
    """Return the inverse of A (7, 7), bent to be positive where rounding leaves it singular.

    Only over the free parameters; zero for the others.
    """
    both = free[:, None] & free
    bread = jnp.where(both, bread, jnp.eye(free.size, dtype=bread.dtype))
    diagonal = jnp.diagonal(bread)
    unit = jnp.where(diagonal > 0.0, diagonal, 1.0) ** -0.5
    identity = jnp.eye(unit.size, dtype=unit.dtype)
    found, _ = solve_made_positive(unit[:, None] * bread * unit, identity, SMALLEST_PIVOT)
    return jnp.where(both, unit[:, None] * found * unit, 0.0)


def _correlated(
    params: jax.Array, pixels: Pixels, follows: jax.Array, row: jax.Array, column: jax.Array
) -> jax.Array:
    """Return sum_ij f_i f_j row(y_i, y_j) column(x_i, x_j) dm_i dm_j^T, symmetric."""
    jacobian = jax.jacfwd(lambda p: gaussian(p, pixels.x, pixels.y, jnp))(params)
    maps = jnp.moveaxis(follows[..., None] * jacobian, -1, 0)
    smoothed = jnp.einsum("pyx,xw->pyw", maps, column)
    smoothed = jnp.einsum("pyw,yv->pvw", smoothed, row)
    total = jnp.einsum("pyx,qyx->pq", maps, smoothed)
    return 0.5 * (total + total.T)
