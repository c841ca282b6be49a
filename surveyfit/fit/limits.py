"""Limits of the parameters inside Newton: a box, a largest ellipticity, and what is held.

A parameter at a bound that the gradient pushes it against is left out of the step, like one that
the user holds fixed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from surveyfit.fit.model import Array

RHO, DIFF = 4, 5
"""Places of the two parameters that the bound of ellipticity ties together."""

AT_BOUND_SLACK = 1e-4
"""An ellipticity this near to its bound counts as having reached it (projection rounds)."""


class Limits(NamedTuple):
    """What the parameters (p,) may be, and how far one step may take them.

    Attributes
    ----------
    lower, upper : array (p,)
    fixed : array (p,) of bool
        Parameters that stay where they start.
    largest_step : array (p,)
        Caps a single step; no bound on the answer.
    ellipticity : float or None
        Largest ellipticity of the parameters at `RHO` and `DIFF`; None for models without them.
    """

    lower: Array
    upper: Array
    fixed: Array
    largest_step: Array
    ellipticity: float | None = None


def project(params: jax.Array, limits: Limits) -> jax.Array:
    """Return the parameters moved inside their limits: box, and radially in ellipticity."""
    inside = jnp.clip(params, limits.lower, limits.upper)
    if limits.ellipticity is None:
        return inside
    square = params[DIFF] ** 2 + 0.25 * params[RHO] ** 2
    shrink = limits.ellipticity / jnp.sqrt(jnp.maximum(square, limits.ellipticity**2))
    shape = (jnp.arange(params.size) == RHO) | (jnp.arange(params.size) == DIFF)
    return jnp.where(shape & ~limits.fixed, shrink * inside, inside)


def held_by_bounds(params: jax.Array, gradient: jax.Array, limits: Limits) -> jax.Array:
    """Return which parameters (p,) are at a bound that the gradient pushes them against.

    At the largest ellipticity both of its parameters are held: such a shape is a streak, and only
    the other parameters are worth improving.
    """
    above = (params >= limits.upper) & (gradient < 0.0)
    below = (params <= limits.lower) & (gradient > 0.0)
    held = above | below
    if limits.ellipticity is None:
        return held
    rho, diff = params[RHO], params[DIFF]
    reached = diff**2 + 0.25 * rho**2 >= (limits.ellipticity - AT_BOUND_SLACK) ** 2
    outwards = 0.25 * rho * gradient[RHO] + diff * gradient[DIFF] < 0.0
    shape = (jnp.arange(params.size) == RHO) | (jnp.arange(params.size) == DIFF)
    return held | (shape & reached & outwards)
