"""The Cauchy likelihood of a 2-D Gaussian, written down plainly, and its Hessian by autodiff.

The reference of the benchmarks: it shares no line with the package. The functions take any array
module, so that the same lines run under NumPy and under JAX.
"""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

GAMMA = 2.4
"""Scale of the Cauchy, in noises: that of the package."""


def gaussian(params: Any, x: Any, y: Any, xp: ModuleType) -> Any:
    """Return the model at (x, y); params (7,) are x0, y0, amp, sigma, rho, diff, bkg."""
    dx, dy = x - params[0], y - params[1]
    form = dx**2 + dy**2 + params[4] * dx * dy + params[5] * (dx**2 - dy**2)
    return params[2] * xp.exp(-form / (2 * params[3] ** 2)) + params[6]


def nll(params: Any, x: Any, y: Any, data: Any, xp: ModuleType) -> Any:
    """Return the negative log-likelihood of ``data`` (height, width), without its constant."""
    return xp.sum(xp.log1p(((gaussian(params, x, y, xp) - data) / GAMMA) ** 2))


def grid(data: Any, xp: ModuleType) -> tuple[Any, Any]:
    """Return x (1, width) and y (height, 1) of ``data``, in its type."""
    height, width = data.shape
    return xp.arange(width, dtype=data.dtype)[None, :], xp.arange(height, dtype=data.dtype)[:, None]


def value(params: jax.Array, data: jax.Array) -> jax.Array:
    """Return `nll` of an image (height, width) in JAX."""
    return nll(params, *grid(data, jnp), data, jnp)


def value_on_maps(params: jax.Array, data: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the same with x and y (height, width) of every pixel, as one writes it first."""
    return nll(params, x, y, data, jnp)


hessian = jax.jacfwd(jax.jacrev(value))
"""Hessian (7, 7) of `value`: every map of every derivative is as large as the image."""

hessian_on_maps = jax.jacfwd(jax.jacrev(value_on_maps))


def hessian_in_rows(params: jax.Array, data: jax.Array, rows: int) -> jax.Array:
    """Return the same in blocks of ``rows`` rows: what lies between stays in the cache."""
    x, y = grid(data, jnp)
    blocks = y.reshape(-1, rows, 1), data.reshape(-1, rows, data.shape[1])

    def add(total: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        rows_y, rows_data = block
        return total + jax.jacfwd(jax.jacrev(nll))(params, x, rows_y, rows_data, jnp), None

    return lax.scan(add, jnp.zeros((7, 7), data.dtype), blocks)[0]


def disagreement(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference of Hessians (..., 7, 7) in units of sqrt(H_ii H_jj)."""
    unit = np.diagonal(wanted, axis1=-2, axis2=-1) ** -0.5
    return float(np.max(np.abs(unit[..., :, None] * (found - wanted) * unit[..., None, :])))
