"""Damped Newton minimisation of one function of a few parameters, written to be vmapped.

The step is the solution of (H + damping * D) step = -gradient, with D the diagonal of a matrix
that is always positive (Gauss-Newton with the robust weights); where the damped Hessian has no
Cholesky factor that matrix takes its place. A trial is accepted only if it lowers the value. Each
turn of the loop evaluates the objective once, at the trial, so that it is compiled once.

Bounds are handled by projection: where a bound is active (reached, and the gradient pushes
outwards), the step runs in the space that is left.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from surveyfit.schema import FitStatus

RUNNING = -1
"""Status of a fit that has not ended; never reported."""

FIRST_DAMPING = 0.1
DAMPING_STEP = 10.0
"""Factor by which the damping falls after an accepted step and grows after a refused one."""
NO_DAMPING = 1e-3
"""Below this the damping is set to zero: near the end the steps are pure Newton steps."""
MAX_DAMPING = 1e6
"""Where even such short steps do not lower the value, the fit has stalled."""
FALLBACK_DAMPING = 1e-3
"""Least damping of the positive matrix, which may be singular (a source without any pixel)."""
ROUNDING_SLACK = 16.0
"""A sum over a thousand pixels is known to about this many units of rounding."""
AT_BOUND_SLACK = 1e-4
"""A parameter this near to its bound counts as having reached it (projection rounds)."""

AMP, RHO, DIFF = 2, 4, 5
"""Places of the parameters whose bounds are special."""


class Derivatives(NamedTuple):
    """Value, gradient (p,), Hessian (p, p) and positive stand-in (p, p) of the objective."""

    value: jax.Array
    gradient: jax.Array
    hessian: jax.Array
    positive: jax.Array


class Limits(NamedTuple):
    """What the parameters may be: a box (p,), and a largest ellipticity.

    ``largest_step`` (p,) caps a single step; it is no bound on the answer.
    """

    lower: jax.Array
    upper: jax.Array
    ellipticity: float
    largest_step: jax.Array


class State(NamedTuple):
    """Where a fit is: the best point so far, and the next one to try.

    ``distance`` is sqrt(gradient . H^-1 . gradient) in the free space: the distance from the
    optimum in units of the errors that belong to H.
    """

    params: jax.Array
    derivatives: Derivatives
    trial: jax.Array
    damping: jax.Array
    distance: jax.Array
    n_iter: jax.Array
    status: jax.Array


def minimise(
    objective: Callable[[jax.Array], Derivatives],
    start: jax.Array,
    limits: Limits,
    tolerance: jax.Array,
    n_iter: jax.Array,
    max_iterations: jax.Array,
) -> State:
    """Minimise ``objective`` from ``start`` (p,); count steps on from ``n_iter``.

    Converged where `State.distance` falls below ``tolerance``.
    """

    def turn(state: State) -> State:
        judged = judge(state, objective(state.trial))
        return propose(judged, limits, tolerance, max_iterations)

    first = begin(project(start, limits), n_iter)
    return lax.while_loop(lambda state: state.status == RUNNING, turn, first)


def begin(start: jax.Array, n_iter: jax.Array) -> State:
    """Return the state that accepts ``start`` in its first turn."""
    p, dtype = start.shape[0], start.dtype
    nothing = Derivatives(
        value=jnp.array(jnp.inf, dtype),
        gradient=jnp.zeros(p, dtype),
        hessian=jnp.eye(p, dtype=dtype),
        positive=jnp.eye(p, dtype=dtype),
    )
    status = jnp.where(jnp.all(jnp.isfinite(start)), RUNNING, FitStatus.NOT_FINITE)
    return State(
        params=start,
        derivatives=nothing,
        trial=start,
        damping=jnp.array(FIRST_DAMPING, dtype),
        distance=jnp.array(jnp.inf, dtype),
        n_iter=n_iter,
        status=status.astype(jnp.int32),
    )


def judge(state: State, new: Derivatives) -> State:
    """Accept the trial if its value is lower within rounding; move the damping accordingly."""
    old = state.derivatives.value
    slack = ROUNDING_SLACK * jnp.finfo(old.dtype).eps * (1.0 + jnp.abs(new.value))
    finite = jnp.isfinite(new.value) & jnp.all(jnp.isfinite(new.gradient))
    accepted = finite & (new.value <= old + slack)
    lower = state.damping / DAMPING_STEP
    lower = jnp.where(lower < NO_DAMPING, 0.0, lower)
    higher = jnp.maximum(state.damping * DAMPING_STEP, FIRST_DAMPING)
    return state._replace(
        params=jnp.where(accepted, state.trial, state.params),
        derivatives=jax.tree.map(lambda a, b: jnp.where(accepted, a, b), new, state.derivatives),
        damping=jnp.where(accepted, lower, higher),
    )


def propose(state: State, limits: Limits, tolerance: jax.Array, max_iterations: jax.Array) -> State:
    """Choose the next trial from the derivatives at the best point, or end the fit."""
    normals = active_normals(state.params, state.derivatives.gradient, limits)
    found = bent(state.params, state.derivatives, normals)
    step, distance = direction(found, state.damping, normals)
    cap = jnp.min(limits.largest_step / jnp.maximum(jnp.abs(step), jnp.finfo(step.dtype).tiny))
    trial = project(state.params + jnp.minimum(cap, 1.0) * step, limits)

    at_bound = jnp.any(normals != 0.0)
    good_end = jnp.where(at_bound, FitStatus.AT_BOUND, FitStatus.CONVERGED)
    bad_end = jnp.where(at_bound, FitStatus.AT_BOUND, FitStatus.STALLED)
    failed = ~(jnp.isfinite(state.derivatives.value) & jnp.isfinite(distance))
    status = jnp.select(
        [
            failed,
            # Without an amplitude no other parameter means anything.
            (distance < tolerance) | (normals[AMP, AMP] != 0.0),
            state.damping > MAX_DAMPING,
            state.n_iter >= max_iterations,
        ],
        [FitStatus.NOT_FINITE, good_end, bad_end, FitStatus.MAX_ITERATIONS],
        RUNNING,
    )
    status = status.astype(jnp.int32)
    return state._replace(
        trial=trial,
        distance=distance,
        n_iter=state.n_iter + (status == RUNNING),
        status=status,
    )


def bent(params: jax.Array, derivatives: Derivatives, normals: jax.Array) -> Derivatives:
    """Return the derivatives along the bound of ellipticity, where that is active.

    A step along the circle e = const leaves the tangent by (its length)^2 / (2 e), against the
    gradient's outward part; that adds a curvature without which the steps along it zigzag.
    """
    active = jnp.any(normals[-1] != 0.0)
    rho, diff, gradient = params[RHO], params[DIFF], derivatives.gradient
    e2 = jnp.where(active, diff**2 + 0.25 * rho**2, 1.0)
    push = jnp.where(active, -(rho * gradient[RHO] + diff * gradient[DIFF]) / e2, 0.0)
    added = jnp.diag(jnp.zeros_like(params).at[RHO].set(0.25 * push).at[DIFF].set(push))
    return derivatives._replace(
        hessian=derivatives.hessian + added, positive=derivatives.positive + added
    )


def direction(
    derivatives: Derivatives, damping: jax.Array, normals: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the damped Newton step (p,) in the free space, and the distance it would cover.

    Everything is scaled to unit diagonal of the positive matrix first: the parameters' own units
    differ by many orders of magnitude, more than float32 can factorise.
    """
    diagonal = jnp.diagonal(derivatives.positive)
    unit = jnp.where(diagonal > 0.0, diagonal, 1.0) ** -0.5
    normals = normals * unit
    length = jnp.sum(normals * normals, axis=1, keepdims=True)
    normals = normals / jnp.where(length > 0.0, length, 1.0) ** 0.5
    blocked = normals.T @ normals
    free = jnp.eye(unit.shape[0], dtype=unit.dtype) - blocked
    gradient = free @ (unit * derivatives.gradient)

    def factor(matrix: jax.Array, add: jax.Array) -> jax.Array:
        scaled = free @ (unit[:, None] * matrix * unit) @ free
        return jnp.linalg.cholesky(
            scaled + blocked + add * jnp.eye(unit.shape[0], dtype=unit.dtype)
        )

    exact = factor(derivatives.hessian, damping)
    stand_in = factor(derivatives.positive, jnp.maximum(damping, FALLBACK_DAMPING))
    lower = jnp.where(jnp.all(jnp.isfinite(exact)), exact, stand_in)
    half = lax.linalg.triangular_solve(lower, gradient[:, None], left_side=True, lower=True)
    step = lax.linalg.triangular_solve(lower, half, left_side=True, lower=True, transpose_a=True)[
        :, 0
    ]
    return -unit * step, jnp.sum(half * half) ** 0.5


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
