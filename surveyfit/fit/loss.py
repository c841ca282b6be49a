"""The loss of a residual and the negative log-likelihood of a cutout.

A loss is a scalar function of z = (model - data) / scale; everything else (score, curvature,
weight) follows by automatic differentiation, so another heavy-tailed law is one more function.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from surveyfit.fit.model import Array, gaussian

Loss = Callable[[jax.Array], jax.Array]


class Pixels(NamedTuple):
    """The pixels of one cutout, in the units in which it is fitted.

    Attributes
    ----------
    x, y : array
        Column and row of each pixel; they broadcast to the shape of ``data``.
    data : array
        Pixel values; zero where not used.
    weight : array
        1 / (Cauchy scale) of each pixel; zero where not used.
    """

    x: Array
    y: Array
    data: Array
    weight: Array


def cauchy(z: jax.Array) -> jax.Array:
    """Return -log of the Cauchy density, without its constant log(pi * scale)."""
    return jnp.log1p(z * z)


def score(loss: Loss, z: jax.Array) -> jax.Array:
    """Return the derivative of the loss at each element of z."""
    return jax.jvp(loss, (z,), (jnp.ones_like(z),))[1]


def curvature(loss: Loss, z: jax.Array) -> jax.Array:
    """Return the second derivative of the loss at each element of z."""
    return jax.jvp(lambda u: score(loss, u), (z,), (jnp.ones_like(z),))[1]


def nll(params: jax.Array, pixels: Pixels, loss: Loss = cauchy) -> jax.Array:
    """Return the sum of the loss over the pixels for linear ``params`` (7,).

    The constant sum of log(pi * scale) is left out: it does not depend on the parameters.
    """
    model = gaussian(params, pixels.x, pixels.y, jnp)
    return jnp.sum(loss((model - pixels.data) * pixels.weight))
