"""Bounds of the parameters inside Newton: a box for each, and a largest ellipticity.

A bound is active where it is reached and the gradient pushes outwards; the step then runs in the
space that is left, and `project` brings it back onto a bound that it leaves.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

RHO, DIFF = 4, 5
"""Places of the two parameters that the bound of ellipticity ties together."""

AT_BOUND_SLACK = 1e-4
"""A parameter this near to its bound counts as having reached it (projection rounds)."""


class Limits(NamedTuple):
    """What the parameters may be: a box (p,), and a largest ellipticity.

    ``largest_step`` (p,) caps a single step; it is no bound on the answer.
    """

    lower: jax.Array
    upper: jax.Array
    ellipticity: float
    largest_step: jax.Array


def project(params: jax.Array, limits: Limits) -> jax.Array:
    """Return the parameters moved inside their limits: box, and radially in ellipticity."""
    inside = jnp.clip(params, limits.lower, limits.upper)
    e2 = params[DIFF] ** 2 + 0.25 * params[RHO] ** 2
    shrink = limits.ellipticity / jnp.sqrt(jnp.maximum(e2, limits.ellipticity**2))
    return inside.at[jnp.array([RHO, DIFF])].multiply(shrink)


def active_normals(params: jax.Array, gradient: jax.Array, limits: Limits) -> jax.Array:
    """Return a matrix whose rows are the outward normals of the active bounds; others are zero.

    Row k < p belongs to the box bounds of parameter k, the last row to the ellipticity.
    """
    above = (params >= limits.upper - AT_BOUND_SLACK) & (gradient < 0.0)
    below = (params <= limits.lower + AT_BOUND_SLACK) & (gradient > 0.0)
    box = jnp.diag((above | below).astype(params.dtype))
    rho, diff = params[RHO], params[DIFF]
    outward = jnp.zeros_like(params).at[RHO].set(0.25 * rho).at[DIFF].set(diff)
    reached = diff**2 + 0.25 * rho**2 >= (limits.ellipticity - AT_BOUND_SLACK) ** 2
    active = reached & (outward @ gradient < 0.0)
    return jnp.vstack([box, jnp.where(active, outward, 0.0)])


def bound_curvature(params: jax.Array, gradient: jax.Array, normals: jax.Array) -> jax.Array:
    """Return the curvature (p, p) along the bound of ellipticity, zero where that is not active.

    A step along the circle e = const leaves its tangent by (step length)^2 / (2 e), against the
    outward push of the gradient. Without this the steps along the bound zigzag.
    """
    active = jnp.any(normals[-1] != 0.0)
    rho, diff = params[RHO], params[DIFF]
    e2 = jnp.where(active, diff**2 + 0.25 * rho**2, 1.0)
    push = jnp.where(active, -(rho * gradient[RHO] + diff * gradient[DIFF]) / e2, 0.0)
    return jnp.diag(jnp.zeros_like(params).at[RHO].set(0.25 * push).at[DIFF].set(push))
