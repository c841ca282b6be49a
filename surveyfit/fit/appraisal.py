"""What the pixels say of a solution: information for the errors, numbers for the flags."""

from math import log
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from surveyfit.fit.information import Noise, information
from surveyfit.fit.loss import Pixels
from surveyfit.fit.model import (
    HALF_MAXIMUM_FORM,
    Array,
    gaussian,
    pixel_scale,
    pixel_sigma,
    quadratic_form,
)

SIGMA_PER_MEDIAN = 1.4826
"""Standard deviation over the median of |x| for Gaussian x."""

CORE_FORM = 2.0 * log(10.0)
"""Where the model exceeds a tenth of its peak: the pixels of the source."""

OUTLIER_SIGMAS = 5.0
"""Beyond this a pixel is an outlier: Gaussian noise reaches it once in two million pixels."""

MASK_FORM = 2.0**2
"""A missing pixel matters inside the ellipse of 2 sigma."""

HALVINGS = 16
"""Of the interval that holds a median: known to a 65536th of the largest residual."""


class Appraisal(NamedTuple):
    """Sums and numbers over the pixels of one source.

    Attributes
    ----------
    bread, filling, added : array (7, 7)
        See `surveyfit.fit.information.information`.
    gof : array ()
        1.4826 median |residual| / sigma_i over the pixels of the source; sigma_i is random noise
        (with photons); NaN where the source has no used pixel.
    mismatch : array ()
        The same in units of the rms of sqrt(sigma_i^2 + (model_error amp)^2) instead of that of
        sigma_i.
    resid_max : array ()
        Largest |residual| / sigma_i of the used pixels.
    log_scale : array ()
        Sum of the logarithm of the likelihood's scale over the used pixels.
    n_pix, n_outlier : array () of int32
        Used pixels; those of them further off than 5 sqrt(sigma_i^2 + (model_error amp)^2).
    core, core_used : array () of int32
        Pixels inside the half-maximum ellipse; those of them that are used.
    missing : array () of int32
        Pixels inside the ellipse of 2 sigma that are not used.
    """

    bread: Array
    filling: Array
    added: Array
    gof: Array
    mismatch: Array
    resid_max: Array
    log_scale: Array
    n_pix: Array
    n_outlier: Array
    core: Array
    core_used: Array
    missing: Array


def appraise(
    params: jax.Array,
    pixels: Pixels,
    sky: jax.Array,
    scale: jax.Array,
    electrons: jax.Array | None,
    model_error: jax.Array,
    noise: Noise,
    free: jax.Array,
) -> Appraisal:
    """Appraise linear ``params`` (7,).

    Parameters
    ----------
    params : array (7,)
    pixels : Pixels
        With the weights of the likelihood; zero where not used.
    sky, scale : array (side, side) or (1, 1)
        Noise of each pixel without the source, and scale of the likelihood there.
    electrons : array () or None
        Per unit of the data; None where no gain is known.
    model_error : array ()
    noise : Noise
    free : array (7,) of bool
        Parameters that are not held.
    """
    used = pixels.weight > 0.0
    # Elsewhere neither means anything, and no sum counts it.
    sky, scale = (jnp.where((sky > 0.0) & jnp.isfinite(sky), a, 1.0) for a in (sky, scale))
    model = gaussian(params, pixels.x, pixels.y, jnp)
    sigma = sky if electrons is None else pixel_sigma(sky, model - params[6], electrons, jnp)
    expected = pixel_scale(sigma, params[2], model_error)
    residual = jnp.where(used, jnp.abs(model - pixels.data), 0.0)
    form = quadratic_form(params, pixels.x, pixels.y, jnp)
    source, inside = used & (form < CORE_FORM), form < HALF_MAXIMUM_FORM
    gof = SIGMA_PER_MEDIAN * median(residual / sigma, source)
    bread, filling, added = information(params, pixels, sky / scale, sigma / scale, noise, free)
    return Appraisal(
        bread=bread,
        filling=filling,
        added=added,
        gof=gof,
        mismatch=gof * _rms(sigma, source) / _rms(expected, source),
        resid_max=jnp.max(residual / sigma),
        log_scale=jnp.sum(jnp.where(used, jnp.log(scale), 0.0)),
        n_pix=_count(used),
        n_outlier=_count(residual > OUTLIER_SIGMAS * expected),
        core=_count(inside),
        core_used=_count(inside & used),
        missing=_count((form < MASK_FORM) & ~used),
    )


def _rms(values: jax.Array, where: jax.Array) -> jax.Array:
    """Return the root mean square of values (side, side) or (1, 1) over the pixels ``where``."""
    square = jnp.sum(where * values * values) / jnp.maximum(jnp.sum(where), 1)
    return jnp.sqrt(square)


def _count(which: jax.Array) -> jax.Array:
    return jnp.sum(which, dtype=jnp.int32)


def median(values: jax.Array, where: jax.Array) -> jax.Array:
    """Return the lower median of positive values over the pixels ``where``; NaN if none.

    By halving the interval that holds it: on a GPU and in vectors of a CPU counting is much faster
    than sorting.
    """
    wanted = (jnp.sum(where) + 1) // 2
    seen = jnp.where(where, values, jnp.inf)
    largest = jnp.max(jnp.where(where, values, 0.0))

    def halve(_: int, interval: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = interval
        middle = 0.5 * (low + high)
        enough = jnp.sum(seen <= middle) >= wanted
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    _, high = lax.fori_loop(0, HALVINGS, halve, (jnp.zeros_like(largest), largest))
    return jnp.where(jnp.any(where), high, jnp.nan)
