"""The function that Newton minimises: the likelihood in the internal parameters.

Inside, amplitude and size are logarithms: a step of one means the same for every source, and both
keep their sign. An amplitude may be linear instead, where the shape is held and it may change sign.
"""

import jax
import jax.numpy as jnp
import numpy as np

from surveyfit.fit import moments
from surveyfit.fit.loss import Loss, Pixels
from surveyfit.fit.newton import Derivatives

AMP, SIGMA = 2, 3
"""Places of the parameters that are logarithms inside."""


def logarithmic(linear_amp: jax.Array) -> jax.Array:
    """Return which internal parameters (7,) are logarithms."""
    place = np.arange(7)
    return (place == SIGMA) | ((place == AMP) & ~linear_amp)


def to_linear(internal: jax.Array, log: jax.Array) -> jax.Array:
    """Return linear parameters (7,) for internal ones; ``log`` (7,) of bool as above."""
    return jnp.where(log, jnp.exp(jnp.where(log, internal, 0.0)), internal)


def derivatives(internal: jax.Array, log: jax.Array, pixels: Pixels, loss: Loss) -> Derivatives:
    """Return value, gradient and exact Hessian at ``internal`` (7,).

    From the linear ones by the chain rule: with a = exp(u), dL/du = a dL/da and
    d2L/du2 = a2 d2L/da2 + a dL/da.
    """
    linear = to_linear(internal, log)
    component = linear[None, :6]
    sums = moments.pixel_sums(component, linear[6], pixels, loss)
    value, gradient, hessian = moments.derivatives(sums, component)
    slope = jnp.where(log, linear, 1.0)
    inner = slope * gradient
    bend = jnp.where(log, inner, 0.0)
    return Derivatives(
        value=value,
        gradient=inner,
        hessian=slope[:, None] * hessian * slope + jnp.diag(bend),
    )


def linear_hessian(internal: jax.Array, log: jax.Array, found: Derivatives) -> jax.Array:
    """Return the Hessian in linear parameters from the derivatives in internal ones."""
    slope = 1.0 / jnp.where(log, to_linear(internal, log), 1.0)
    bend = jnp.where(log, found.gradient, 0.0)
    return slope[:, None] * (found.hessian - jnp.diag(bend)) * slope
