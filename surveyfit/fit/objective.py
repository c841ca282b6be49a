"""The function that Newton minimises: the likelihood in the internal parameters.

Inside, amplitude and size are logarithms: both stay positive, and a step of one means the same for
every source.
"""

import jax
import jax.numpy as jnp

from surveyfit.fit.loss import Loss, Pixels, cauchy, curvature, nll, score
from surveyfit.fit.model import gaussian
from surveyfit.fit.newton import Derivatives

AMP, SIGMA = 2, 3
"""Places of the parameters that are logarithms inside."""


def to_linear(internal: jax.Array) -> jax.Array:
    """Return the parameters (7,) of `surveyfit.fit.model` for internal ones."""
    x0, y0, log_amp, log_sigma, rho, diff, bkg = jnp.unstack(internal)
    return jnp.stack([x0, y0, jnp.exp(log_amp), jnp.exp(log_sigma), rho, diff, bkg])


def derivatives(internal: jax.Array, pixels: Pixels, loss: Loss = cauchy) -> Derivatives:
    """Return value, gradient, exact Hessian and positive stand-in at ``internal`` (7,).

    The stand-in is sum w dm dm^T with w = loss'(z)/z, the weights of iteratively reweighted least
    squares: it majorises the curvature of the loss, so its steps go downhill.
    """

    def value_of(p: jax.Array) -> jax.Array:
        return nll(to_linear(p), pixels, loss)

    def model_of(p: jax.Array) -> jax.Array:
        return gaussian(to_linear(p), pixels.x, pixels.y, jnp)

    value, gradient = jax.value_and_grad(value_of)(internal)
    z = (model_of(internal) - pixels.data) * pixels.weight
    at_zero = jnp.abs(z) < jnp.finfo(z.dtype).eps
    ratio = jnp.where(at_zero, curvature(loss, z), score(loss, z) / jnp.where(at_zero, 1.0, z))
    return Derivatives(
        value=value,
        gradient=gradient,
        hessian=jax.jacfwd(jax.jacrev(value_of))(internal),
        positive=weighted_outer(jax.jacfwd(model_of)(internal), ratio * pixels.weight**2),
    )


def linear_hessian(internal: jax.Array, found: Derivatives) -> jax.Array:
    """Return the Hessian in linear parameters from the derivatives in internal ones (chain rule).

    With a = exp(u): d2L/da2 = (d2L/du2 - dL/du) / a2, and each mixed derivative gets one 1/a.
    """
    logarithmic = jnp.zeros_like(internal).at[jnp.array([AMP, SIGMA])].set(1.0)
    slope = jnp.exp(-logarithmic * internal)
    corrected = found.hessian - jnp.diag(logarithmic * found.gradient)
    return slope[:, None] * corrected * slope


def weighted_outer(jacobian: jax.Array, weight: jax.Array) -> jax.Array:
    """Return sum over the pixels of weight * J J^T, for a Jacobian (side, side, p)."""
    flat = jacobian.reshape(-1, jacobian.shape[-1])
    return (flat * weight.reshape(-1, 1)).T @ flat
