"""The covariance of the fitted parameters: published (sandwich) and Cramer-Rao.

For independent pixels the published covariance is A^-1 B A^-1 with ::

    A = sum_i E[loss''](t_i) / scale_i^2 dm_i dm_i^T
    B = sum_i E[loss'^2](t_i) / scale_i^2 dm_i dm_i^T

The *expected* curvature, not the observed one: the residuals under a source are smaller than the
noise, because the fit has absorbed some of it. (Huber 1967; White 1982.)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surveyfit.fit.loss import Pixels
from surveyfit.fit.model import Array, gaussian
from surveyfit.fit.noise_law import NoiseLaw
from surveyfit.fit.objective import weighted_outer


class LogLaw(NamedTuple):
    """A `NoiseLaw` as it is interpolated; each (k,)."""

    log_t: Array
    curvature: Array
    log_score: Array


def log_law(law: NoiseLaw, dtype: str) -> LogLaw:
    """Return the table of a noise law in ``dtype``, the score's variance as a logarithm."""
    columns = (law.log_t, law.curvature, np.log(law.score_variance))
    return LogLaw(*(np.asarray(column, dtype) for column in columns))


def information(
    params: jax.Array, pixels: Pixels, sigma: jax.Array, law: LogLaw
) -> tuple[jax.Array, jax.Array]:
    """Return A and B (7, 7) of the published covariance for one source.

    Parameters
    ----------
    params : array (7,)
        Linear parameters.
    pixels : Pixels
    sigma : array (side, side)
        Random noise of each pixel, in the unit of ``pixels.data``.
    law : LogLaw
    """
    jacobian = jax.jacfwd(lambda p: gaussian(p, pixels.x, pixels.y, jnp))(params)
    # Pixels that are not used have t = 0 here and weight zero below.
    log_t = jnp.log(sigma * pixels.weight)
    curved = jnp.interp(log_t, law.log_t, law.curvature)
    scored = jnp.exp(jnp.interp(log_t, law.log_t, law.log_score))
    square = pixels.weight**2
    return weighted_outer(jacobian, curved * square), weighted_outer(jacobian, scored * square)


def inverse(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invert positive definite matrices (n, p, p); return the inverses and condition numbers (n,).

    Each is scaled to unit diagonal first, and the condition number is that of the scaled matrix.
    Both are NaN where a matrix is not positive definite.
    """
    n, p, _ = matrices.shape
    out, condition = np.full((n, p, p), np.nan), np.full(n, np.nan)
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    usable = np.isfinite(matrices).all(axis=(1, 2)) & (diagonal > 0).all(axis=1)
    unit = diagonal[usable] ** -0.5
    values, vectors = np.linalg.eigh(unit[:, :, None] * matrices[usable] * unit[:, None, :])
    # The matrices were summed in single precision: smaller eigenvalues are its rounding.
    positive = values[:, 0] > np.finfo(np.float32).eps * values[:, -1]
    rows = np.flatnonzero(usable)[positive]
    values, vectors, unit = values[positive], vectors[positive], unit[positive]
    scaled = (vectors / values[:, None, :]) @ vectors.swapaxes(1, 2)
    out[rows] = unit[:, :, None] * scaled * unit[:, None, :]
    condition[rows] = values[:, -1] / values[:, 0]
    return out, condition


def sandwich(curved: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Return A^-1 B A^-1 for A and B (n, p, p); NaN where A is not positive definite.

    Where the parameters can hardly be told apart the rounding of B may outweigh it and leave a
    variance below zero: such a matrix is NaN too.
    """
    bread, _ = inverse(curved)
    covariance = bread @ scored @ bread
    negative = np.any(np.diagonal(covariance, axis1=1, axis2=2) <= 0, axis=1, keepdims=True)
    return np.where(negative[:, :, None], np.nan, covariance)
