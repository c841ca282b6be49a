"""The exact Hessian of the negative log-likelihood: the reference, and the public function.

The reference is the derivative of the derivative, by automatic differentiation, of the likelihood
as it is written down: it works for any model and is the judge of any faster way. Pixels are added
up in blocks, since most of its cost is the traffic of intermediate arrays.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from surveyfit.errors import InputError
from surveyfit.fit.loss import Pixels, nll

BLOCK = 8192
"""Pixels, of one image or of several, that are differentiated at a time; fits a core's cache."""


def hessian(
    params: np.ndarray,
    pixels: np.ndarray,
    gamma: float | np.ndarray,
    mask: np.ndarray | None = None,
    dtype: str = "float64",
) -> np.ndarray:
    """Return the exact Hessian of the Cauchy negative log-likelihood.

    Parameters
    ----------
    params : array (6,), (7,), (n, 6) or (n, 7)
        x0, y0, amp, sigma, rho, diff and, with seven, bkg; with six the background is zero.
        Linear, image units, zero-based pixels from the image's first pixel; x is the column.
    pixels : array (height, width) or (n, height, width)
        Image units; NaN is not used.
    gamma : float, array (n,), or array of the shape of ``pixels``
        Scale of the Cauchy, image units; a pixel where it is not positive is not used.
    mask : array of bool, shape of ``pixels``, optional
        True where a pixel is not to be used.
    dtype : str
        ``float64``, or ``float32``: faster, to five digits.

    Returns
    -------
    array (p, p) or (n, p, p) of float64, p = 6 or 7

    Raises
    ------
    InputError
        If the shapes do not belong together.
    """
    pixels, params = np.asarray(pixels, np.float64), np.asarray(params, np.float64)
    many, p = pixels.reshape(-1, *pixels.shape[-2:]), params.shape[-1]
    if pixels.ndim not in (2, 3) or params.shape != (*pixels.shape[:-2], p) or p not in (6, 7):
        raise InputError(
            f"params of shape {params.shape} for pixels of shape {pixels.shape}",
            "give 6 or 7 parameters for one image, n rows of them for n images",
        )
    scale = np.asarray(gamma, np.float64)
    scale = scale[:, None, None] if scale.ndim == 1 else scale
    used = np.isfinite(pixels) & (scale > 0) & ~np.asarray(False if mask is None else mask)
    found = _in_units_of_scale(
        np.pad(params.reshape(-1, p), [(0, 0), (0, 7 - p)]),
        many,
        np.broadcast_to(scale, pixels.shape).reshape(many.shape),
        used.reshape(many.shape),
        dtype,
    )
    return found[:, :p, :p].reshape(*pixels.shape[:-2], p, p)


def _in_units_of_scale(
    params: np.ndarray, pixels: np.ndarray, scale: np.ndarray, used: np.ndarray, dtype: str
) -> np.ndarray:
    """Differentiate in units of the scale and in pixels from near the centre; return image units.

    Single precision holds neither squares of 1e-12 nor fourth powers of thousands of pixels.
    """
    n, height, width = pixels.shape
    unit = np.array([np.median(s[u]) if u.any() else 1.0 for s, u in zip(scale, used, strict=True)])
    factor = np.ones((n, 7))
    factor[:, 2] = factor[:, 6] = unit
    origin, level = np.rint(params[:, :2]), params[:, 6].copy()
    local = params / factor
    local[:, :2] -= origin
    local[:, 6] = 0.0
    columns = Pixels(
        x=np.broadcast_to(np.arange(width) - origin[:, 0, None, None], pixels.shape),
        y=np.broadcast_to(np.arange(height)[:, None] - origin[:, 1, None, None], pixels.shape),
        data=np.where(used, (pixels - level[:, None, None]) / unit[:, None, None], 0.0),
        weight=np.where(used, unit[:, None, None] / scale, 0.0),
    )
    block = min(BLOCK, height * width)
    blocks = Pixels(*(_blocks(column, block).astype(dtype) for column in columns))
    with jax.enable_x64(dtype == "float64"):
        found = _hessians(local.astype(dtype), blocks, BLOCK // block)
        result = np.asarray(found, np.float64)
    return result / (factor[:, :, None] * factor[:, None, :])


def _blocks(column: np.ndarray, block: int) -> np.ndarray:
    """Return (n, height, width) as (n, blocks, block), filled up with zeros (no weight)."""
    flat = column.reshape(len(column), -1)
    filled = np.pad(flat, [(0, 0), (0, -flat.shape[1] % block)])
    return filled.reshape(len(column), -1, block)


@partial(jax.jit, static_argnames="together")
def _hessians(params: jax.Array, blocks: Pixels, together: int) -> jax.Array:
    """Return the Hessians (n, 7, 7) of n images, ``together`` of them at a time."""
    return lax.map(lambda image: _sum_of_blocks(*image), (params, blocks), batch_size=together)


def _sum_of_blocks(params: jax.Array, blocks: Pixels) -> jax.Array:
    def add(total: jax.Array, block: Pixels) -> tuple[jax.Array, None]:
        return total + jax.jacfwd(jax.jacrev(nll))(params, block), None

    zero = jnp.zeros((params.size, params.size), params.dtype)
    return lax.scan(add, zero, blocks)[0]
