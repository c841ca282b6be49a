"""The exact Hessian of the negative log-likelihood of an image, or of each of many."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from surveyfit.errors import InputError
from surveyfit.fit import moments
from surveyfit.fit.loss import Loss, Pixels, cauchy
from surveyfit.fit.moments import PER_COMPONENT

BLOCK = 16 * 32 * 32
"""Pixels, of one image or of several, that are summed at a time; their maps fit a core's cache."""


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
    params : array (p,) or (n, p)
        x0, y0, amp, sigma, rho, diff of a source (p = 6), of several overlapping ones after each
        other (p = 6 K), and, with one more, bkg; without it the background is zero.
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
    array (p, p) or (n, p, p) of float64

    Raises
    ------
    InputError
        If the shapes do not belong together.
    """
    pixels, params = np.asarray(pixels), np.asarray(params, np.float64)
    gamma = np.asarray(gamma, np.float64)
    p = params.shape[-1] if params.ndim else 0
    if (
        pixels.ndim not in (2, 3)
        or params.shape != (*pixels.shape[:-2], p)
        or p < PER_COMPONENT
        or p % PER_COMPONENT > 1
    ):
        raise InputError(
            f"params of shape {params.shape} for pixels of shape {pixels.shape}",
            "give 6 or 7 parameters (6 K or 6 K + 1 for K sources) for one image, "
            "n rows of them for n images",
        )
    count = p // PER_COMPONENT
    if mask is not None:
        pixels = np.where(mask, np.nan, pixels)
    many = pixels.reshape(-1, *pixels.shape[-2:])
    scale = gamma if gamma.ndim < 2 else gamma.reshape(many.shape)
    scale = np.broadcast_to(scale, len(many)) if gamma.ndim < 2 else scale
    rows = np.pad(params.reshape(-1, p), [(0, 0), (0, PER_COMPONENT * count + 1 - p)])
    found = _in_units_of_scale(rows, many, scale, dtype)
    return found[:, :p, :p].reshape(*pixels.shape[:-2], p, p)


def _in_units_of_scale(
    params: np.ndarray, pixels: np.ndarray, scale: np.ndarray, dtype: str
) -> np.ndarray:
    """Sum in units of the scale, in pixels from near each centre; return image units.

    Single precision holds neither squares of 1e-12 nor fourth powers of thousands of pixels.
    Pixels of ``dtype`` are brought to these units by the compiled code, others here.
    """
    n, count = len(params), params.shape[1] // PER_COMPONENT
    unit = _typical(scale)
    places = np.arange(params.shape[1]) % PER_COMPONENT
    factor = np.where(places == moments.AMP, unit[:, None], 1.0)
    factor[:, -1] = unit
    components = params[:, :-1].reshape(n, count, PER_COMPONENT)
    origin = np.rint(components[:, :, :2])
    local = (params / factor)[:, :-1].reshape(components.shape)
    local[:, :, :2] -= origin
    level, divisor = params[:, -1], unit
    if pixels.dtype != dtype:
        wide = pixels.astype(np.float64) - level[:, None, None]
        pixels, level, divisor = wide / unit[:, None, None], np.zeros(n), np.ones(n)
    relative = scale.reshape(n, *scale.shape[1:] or (1, 1)) / unit[:, None, None]
    columns = (local, origin, pixels, level, divisor, relative)
    with jax.enable_x64(dtype == "float64"):
        found = hessians(*(np.asarray(column, dtype) for column in columns), cauchy)
        result = np.asarray(found, np.float64)
    return result / (factor[:, :, None] * factor[:, None, :])


def _typical(scale: np.ndarray) -> np.ndarray:
    """Return a scale (n,) for each image: its own, or the mean of its map; one if it has none."""
    usable = np.isfinite(scale) & (scale > 0)
    axes = tuple(range(1, scale.ndim))
    total = np.sum(np.where(usable, scale, 0.0), axis=axes)
    number = np.sum(usable, axis=axes)
    return np.where(number > 0, total / np.maximum(number, 1), 1.0)


@partial(jax.jit, static_argnames="loss")
def hessians(
    components: jax.Array,
    origin: jax.Array,
    pixels: jax.Array,
    level: jax.Array,
    unit: jax.Array,
    scale: jax.Array,
    loss: Loss,
) -> jax.Array:
    """Return the Hessians (n, 6 K + 1, 6 K + 1) at a background of zero, in blocks of pixels.

    Parameters
    ----------
    components : array (n, K, 6)
        Positions count from ``origin``.
    origin : array (n, K, 2)
        Whole pixels near each centre.
    pixels : array (n, height, width)
        Fitted are (pixels - level) / unit; not used where not finite.
    level, unit : array (n,)
    scale : array (n, 1, 1) or (n, height, width)
        Of the likelihood; not used where not positive.
    loss : callable
    """
    together = max(1, BLOCK // (pixels.shape[1] * pixels.shape[2]))
    columns = (components, origin, pixels, level, unit, scale)
    with jax.default_matmul_precision("highest"):
        return lax.map(lambda image: _hessian(loss, *image), columns, batch_size=together)


def _hessian(
    loss: Loss,
    components: jax.Array,
    origin: jax.Array,
    pixels: jax.Array,
    level: jax.Array,
    unit: jax.Array,
    scale: jax.Array,
) -> jax.Array:
    height, width = pixels.shape
    rows = min(height, max(1, BLOCK // width))
    x = jnp.arange(width, dtype=pixels.dtype) - origin[:, :1]

    def sums_of(first: jax.Array | int, number: int) -> moments.Sums:
        data = lax.dynamic_slice_in_dim(pixels, first, number)
        widths = scale
        if scale.shape[0] > 1:
            widths = lax.dynamic_slice_in_dim(scale, first, number)
        used = jnp.isfinite(data) & jnp.isfinite(widths) & (widths > 0.0)
        block = Pixels(
            x=x,
            y=(first + jnp.arange(number)).astype(pixels.dtype)[:, None] - origin[:, 1],
            data=jnp.where(used, (data - level) * (1.0 / unit), 0.0),
            weight=jnp.where(used, 1.0 / widths, 0.0),
        )
        return moments.pixel_sums(components, jnp.zeros((), pixels.dtype), block, loss)

    def add(i: jax.Array, total: moments.Sums) -> moments.Sums:
        return jax.tree.map(jnp.add, total, sums_of(i * rows, rows))

    left = height % rows
    shapes = jax.eval_shape(lambda: sums_of(0, rows))
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    start = sums_of(height - left, left) if left else nothing
    total = lax.fori_loop(0, height // rows, add, start)
    return moments.derivatives(total, components)[2]
