"""The covariance of the fitted parameters: published (sandwich) and Cramer-Rao.

The published covariance is A^-1 B A^-1 (Huber 1967; White 1982) with, for pixels i and j, their
weights w = 1 / scale, and t = (noise of a pixel) * w ::

    A = sum_i E[l''](t_i) w_i^2 dm_i dm_i^T
    B = sum_i E[l'^2](t_i) w_i^2 dm_i dm_i^T + sum_(i != j) h_i h_j R(i - j) dm_i dm_j^T

The *expected* curvature, not the observed one: the residuals under a source are smaller than the
noise, because the fit has absorbed some of it. R is the correlation of the image's noise, and
h = E[l''](t_i) t_i w_i how the score of a pixel follows that noise (Price's theorem: to first order
in R, cov(l'_i, l'_j) = E[l''_i] E[l''_j] cov(z_i, z_j)). The photons of a source are independent.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from surveyfit.errors import InputError
from surveyfit.fit.loss import Pixels
from surveyfit.fit.model import Array, gaussian
from surveyfit.fit.moments import AMP, gauss_newton
from surveyfit.fit.noise_law import LogLaw, NoiseLaw, log_law
from surveyfit.fit.small import product, solve_made_positive

SMALLEST_FACTOR = 0.01
"""Of the largest singular value of the correlation: smaller ones are its sampling error."""

SUMMED_ROUNDING = float(np.finfo(np.float32).eps)
"""The matrices were summed in single precision: smaller pivots are its rounding."""

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
    """

    law: LogLaw
    rows: Array
    columns: Array
    factors: Array


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
    table = np.ones((1, 1)) if correlation is None else np.asarray(correlation, np.float64)
    lags = len(table) // 2
    if table.ndim != 2 or table.shape != (2 * lags + 1,) * 2 or not np.isfinite(table).all():
        raise InputError(
            f"correlation of shape {table.shape}", "give finite values (2 L + 1, 2 L + 1)"
        )
    others = table.copy()
    others[lags, lags] = 0.0
    left, size, right = np.linalg.svd(others)
    used = np.flatnonzero((size > SMALLEST_FACTOR * size[0]) & (size > 0))[:MOST_FACTORS]
    rows, columns = np.zeros((2, MOST_FACTORS, side, side), dtype)
    for k in used:
        rows[k] = _at_lags(left[:, k] * size[k], side)
        columns[k] = _at_lags(right[k], side)
    return Noise(log_law(law, dtype), rows, columns, np.asarray(len(used), np.int32))


def _at_lags(values: np.ndarray, side: int) -> np.ndarray:
    """Return the matrix (side, side) whose element (i, j) is values[j - i + L], zero beyond L."""
    lags = len(values) // 2
    lag = np.arange(side)[None, :] - np.arange(side)[:, None] + lags
    return np.where((lag >= 0) & (lag <= 2 * lags), values[np.clip(lag, 0, 2 * lags)], 0.0)


def information(
    params: jax.Array, pixels: Pixels, sky: jax.Array, sigma: jax.Array, noise: Noise
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
    """
    curved, scored = noise.law.at(sigma)
    square = pixels.weight**2
    bread, filling = gauss_newton(params[:6], jnp.stack([curved * square, scored * square]), pixels)
    follows = curved * sky * pixels.weight

    def add(k: jax.Array, total: jax.Array) -> jax.Array:
        return total + _correlated(params, pixels, follows, noise.rows[k], noise.columns[k])

    return bread, filling, lax.fori_loop(0, noise.factors, add, jnp.zeros_like(bread))


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


def inverse(matrix: jax.Array, free: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Invert a positive definite matrix (p, p); return the inverse and its condition number.

    Only rows and columns that are ``free`` (p,) count; the others of the inverse are zero.

    It is scaled to unit diagonal first, and the condition number is that of the scaled matrix in
    the 1-norm. Both are NaN where the matrix is not positive definite.
    """
    both = free[:, None] & free
    matrix = jnp.where(both, matrix, jnp.eye(free.size))
    diagonal = jnp.diagonal(matrix)
    unit = jnp.where(diagonal > 0.0, diagonal, 1.0) ** -0.5
    scaled = unit[:, None] * matrix * unit
    found, positive = solve_made_positive(scaled, jnp.eye(unit.size), SUMMED_ROUNDING)
    usable = positive & jnp.all(jnp.isfinite(matrix)) & jnp.all(diagonal > 0.0)
    found = jnp.where(usable, found, jnp.nan)
    norms = [jnp.max(jnp.sum(jnp.abs(m), axis=0)) for m in (scaled, found)]
    return jnp.where(both, unit[:, None] * found * unit, 0.0), norms[0] * norms[1]


class Covariances(NamedTuple):
    """Of one source, in linear parameters.

    Attributes
    ----------
    published, crb : array (7, 7)
        Sandwich, and inverse Hessian; NaN where a matrix is not positive definite.
    condition : array ()
        Of the Hessian.
    correlation_factor : array ()
        Published error of the amplitude over the one for independent pixels.
    """

    published: Array
    crb: Array
    condition: Array
    correlation_factor: Array


def covariances(
    hessian: jax.Array,
    bread: jax.Array,
    filling: jax.Array,
    added: jax.Array,
    free: jax.Array,
) -> Covariances:
    """Return the covariances of one source from its Hessian and `information`.

    Parameters that are not ``free`` (7,) have no variance.
    """
    crb, condition = inverse(hessian, free)
    published = sandwich(bread, filling + added, free)
    independent = sandwich(bread, filling, free)
    factor = jnp.sqrt(published[AMP, AMP] / independent[AMP, AMP])
    return Covariances(published, crb, condition, factor)


def sandwich(bread: jax.Array, filling: jax.Array, free: jax.Array) -> jax.Array:
    """Return A^-1 B A^-1 for A and B (p, p) of one source; NaN where A is not positive definite.

    Where the parameters can hardly be told apart the rounding of B may outweigh it and leave a
    variance below zero: such a matrix is NaN too.
    """
    inner, _ = inverse(bread, free)
    covariance = product(product(inner, filling), inner)
    usable = jnp.all((jnp.diagonal(covariance) > 0.0) | ~free)
    return jnp.where(usable, covariance, jnp.nan)
