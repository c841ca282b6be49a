"""The loss of a residual, and the law of noise that it stands for.

A loss is a scalar function of z = (model - data) / scale; everything else (score, curvature,
weight) follows by automatic differentiation, so another heavy-tailed law is one more function.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp

from surveyfit.fit.model import Array

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
        1 / (scale of the likelihood) of each pixel; zero where not used.
    """

    x: Array
    y: Array
    data: Array
    weight: Array


def cauchy(z: jax.Array) -> jax.Array:
    """Return -log of the Cauchy density, without its constant."""
    return jnp.log1p(z * z)


def gaussian(z: jax.Array) -> jax.Array:
    """Return -log of the Gaussian density, without its constant: least squares."""
    return 0.5 * z * z


@lru_cache
def student_t(degrees: float) -> Loss:
    """Return -log of Student's density of some degrees of freedom, without its constant.

    One degree is the Cauchy density, but for a factor in z; many are the Gaussian.
    """

    def loss(z: jax.Array) -> jax.Array:
        return 0.5 * (degrees + 1.0) * jnp.log1p(z * z / degrees)

    return loss


STUDENT_DEGREES = 4.0
"""Of the law called ``student``: tails between those of a Gaussian and of a Cauchy density."""

LOSSES: dict[str, Loss] = {
    "cauchy": cauchy,
    "gaussian": gaussian,
    "student": student_t(STUDENT_DEGREES),
}
"""The losses that have a name."""


def score(loss: Loss, z: jax.Array) -> jax.Array:
    """Return the derivative of the loss at each element of z."""
    return jax.jvp(loss, (z,), (jnp.ones_like(z),))[1]


def curvature(loss: Loss, z: jax.Array) -> jax.Array:
    """Return the second derivative of the loss at each element of z."""
    return jax.jvp(lambda u: score(loss, u), (z,), (jnp.ones_like(z),))[1]


class Density(NamedTuple):
    """Of the law whose density is exp(-loss(z)) / norm.

    Attributes
    ----------
    norm : float
    curvature : float
        The expectation of loss'' under that law: the Fisher information of a pixel on its value.
    width : float
        That of z loss' + z^2 loss'': the information of a pixel on the logarithm of the scale.
    """

    norm: float
    curvature: float
    width: float


REACH = 40.0
NODES = 4001
"""Nodes in s, from -REACH to REACH, of the integrals over z = sinh(s): tails out to 1e17."""


@lru_cache
def density(loss: Loss) -> Density:
    """Integrate the density of a loss, by the trapezoidal rule after z = sinh(s)."""
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        s = jnp.linspace(-REACH, REACH, NODES)
        z = jnp.sinh(s)
        weight = jnp.exp(-loss(z)) * jnp.cosh(s) * (s[1] - s[0])
        norm = jnp.sum(weight)
        value = jnp.sum(weight * curvature(loss, z)) / norm
        width = jnp.sum(weight * (z * score(loss, z) + z * z * curvature(loss, z))) / norm
        return Density(float(norm), float(value), float(width))
