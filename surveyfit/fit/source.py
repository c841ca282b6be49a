"""One source as it is fitted, and the likelihood under which it is."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from surveyfit.fit.loss import Loss, Pixels
from surveyfit.fit.model import Array, pixel_scale


class Source(NamedTuple):
    """One source as it is fitted, in the units of `surveyfit.fit.units`.

    Attributes
    ----------
    pixels : array (side, side)
        As given; a pixel that is not finite is not used.
    level, unit : array ()
        A value in the units of the fit is (pixel - level) / unit.
    noise : array (side, side) or (1, 1)
        1-sigma noise of each pixel in the units of the fit; where it is not positive the pixel is
        not used.
    local_noise : array ()
    origin : array (2,)
        Column and row, in the cutout, of the zero of the coordinates: whole numbers.
    start, lower, upper : array (7,)
        Starting point and bounds of the internal parameters.
    fixed : array (7,) of bool
    linear_amp : array () of bool
        Whether the internal amplitude is the amplitude and not its logarithm.
    electrons : array () or None
        Electrons per unit; infinite where the gain is unknown, None where no source has one.
    """

    pixels: Array
    level: Array
    unit: Array
    noise: Array
    local_noise: Array
    origin: Array
    start: Array
    lower: Array
    upper: Array
    fixed: Array
    linear_amp: Array
    electrons: Array | None = None


class Likelihood(NamedTuple):
    """What is minimised and inverted; every other one is compiled anew.

    Attributes
    ----------
    loss : callable
    fit_gamma : bool
        Whether gamma is fitted to each source, as if the loss were that of a density.
    expected : bool
        Whether the Cramer-Rao errors come from the expected Hessian, and not from the exact one.
    """

    loss: Loss
    fit_gamma: bool
    expected: bool


class Recipe(NamedTuple):
    """The settings that the compiled code takes as numbers.

    ``curvature`` is the expectation of loss'' under the law of the loss itself, ``gamma_power``
    the power of the mean of z loss' by which a gamma that is fitted is corrected.
    """

    gamma: Array
    model_error: Array
    max_iterations: Array
    curvature: Array
    gamma_power: Array


def pixels_at(source: Source, amp: jax.Array, gamma: jax.Array, recipe: Recipe) -> Pixels:
    """Return the pixels with the weights that belong to a source of amplitude ``amp``."""
    side, dtype = source.pixels.shape[-1], source.pixels.dtype
    used = jnp.isfinite(source.pixels) & (source.noise > 0.0) & jnp.isfinite(source.noise)
    scale = gamma * pixel_scale(source.noise, amp, recipe.model_error)
    return Pixels(
        x=(jnp.arange(side, dtype=dtype) - source.origin[0])[None, :],
        y=(jnp.arange(side, dtype=dtype) - source.origin[1])[:, None],
        data=jnp.where(used, (source.pixels - source.level) * (1.0 / source.unit), 0.0),
        weight=jnp.where(used, 1.0 / scale, 0.0),
    )


def local_scale(source: Source, amp: jax.Array, gamma: jax.Array, recipe: Recipe) -> jax.Array:
    """Return the scale of the likelihood for a pixel of the local noise."""
    return gamma * pixel_scale(source.local_noise, amp, recipe.model_error)
