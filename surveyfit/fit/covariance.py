"""The covariances of the fitted parameters: published (sandwich) and Cramer-Rao.

In float64 on the host: it is little work, and parameters that can hardly be told apart need it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surveyfit.fit.limits import DIFF, RHO
from surveyfit.fit.model import Array
from surveyfit.fit.moments import AMP
from surveyfit.fit.on_host import in_chunks
from surveyfit.fit.small import product, solve_made_positive

SUMMED_ROUNDING = float(np.finfo(np.float32).eps)
"""The matrices were summed in single precision: smaller pivots are its rounding."""


class Covariances(NamedTuple):
    """Of n sources, in linear parameters.

    Attributes
    ----------
    published, crb : array (n, 7, 7)
        Sandwich, and inverse Hessian; NaN where a matrix is not positive definite.
    condition : array (n,)
        Of the Hessian.
    correlation_factor : array (n,)
        Published error of the amplitude over the one for independent pixels.
    """

    published: Array
    crb: Array
    condition: Array
    correlation_factor: Array


def covariances(
    params: np.ndarray,
    hessian: np.ndarray,
    bread: np.ndarray,
    filling: np.ndarray,
    added: np.ndarray,
    free: np.ndarray,
) -> Covariances:
    """Return the covariances from the Hessian and from `surveyfit.fit.information`.

    Parameters
    ----------
    params : array (n, 7)
        Linear; their ellipticity is needed.
    hessian, bread, filling, added : array (n, 7, 7)
    free : array (n, 7) of bool
        The other parameters are held: they have no variance.
    """
    found: Covariances = in_chunks(_covariances, params, hessian, bread, filling, added, free)
    return found


def _covariances(
    params: jax.Array,
    hessian: jax.Array,
    bread: jax.Array,
    filling: jax.Array,
    added: jax.Array,
    free: jax.Array,
) -> Covariances:
    crb, condition = inverse(hessian, free)
    published = sandwich(bread, filling + added, free)
    independent = sandwich(bread, filling, free)
    factor = jnp.sqrt(published[AMP, AMP] / independent[AMP, AMP])
    return Covariances(widened_shape(params, published), crb, condition, factor)


def widened_shape(params: jax.Array, published: jax.Array) -> jax.Array:
    """Return the covariance with the errors of rho and diff for an ellipticity that is uncertain.

    They fall as 1 - e^2, and are taken at the fitted e: noise that makes a source thinner makes
    them too small. Averaged over the noise, with s = err(e) / (1 - e^2), the mean square of
    deviation over error is 1 + 8 s^2 to second order.
    """
    rho, diff = params[RHO], params[DIFF]
    variance = 0.5 * (0.25 * published[RHO, RHO] + published[DIFF, DIFF])
    square = variance / (1.0 - diff**2 - 0.25 * rho**2) ** 2
    shape = (jnp.arange(7) == RHO) | (jnp.arange(7) == DIFF)
    factor = jnp.where(shape, jnp.sqrt(1.0 + 8.0 * square), 1.0)
    return factor[:, None] * published * factor


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


def sandwich(bread: jax.Array, filling: jax.Array, free: jax.Array) -> jax.Array:
    """Return A^-1 B A^-1 for A and B (p, p) of one source; NaN where A is not positive definite.

    Where the parameters can hardly be told apart the rounding of B may outweigh it and leave a
    variance below zero: such a matrix is NaN too.
    """
    inner, _ = inverse(bread, free)
    covariance = product(product(inner, filling), inner)
    usable = jnp.all((jnp.diagonal(covariance) > 0.0) | ~free)
    return jnp.where(usable, covariance, jnp.nan)
