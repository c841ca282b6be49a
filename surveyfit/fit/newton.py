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

from surveyfit.fit.limits import Limits, active_normals, bound_curvature, project
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
AMP = 2
"""Place of the parameter without which no other means anything."""


class Derivatives(NamedTuple):
    """Value, gradient (p,), Hessian (p, p) and positive stand-in (p, p) of the objective."""

    value: jax.Array
    gradient: jax.Array
    hessian: jax.Array
    positive: jax.Array


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
    bend = bound_curvature(state.params, state.derivatives.gradient, normals)
    step, distance = direction(state.derivatives, bend, state.damping, normals)
    cap = jnp.min(limits.largest_step / jnp.maximum(jnp.abs(step), jnp.finfo(step.dtype).tiny))
    trial = project(state.params + jnp.minimum(cap, 1.0) * step, limits)

    at_bound = jnp.any(normals != 0.0)
    good_end = jnp.where(at_bound, FitStatus.AT_BOUND, FitStatus.CONVERGED)
    bad_end = jnp.where(at_bound, FitStatus.AT_BOUND, FitStatus.STALLED)
    failed = ~(jnp.isfinite(state.derivatives.value) & jnp.isfinite(distance))
    status = jnp.select(
        [
            failed,
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


def direction(
    derivatives: Derivatives, bend: jax.Array, damping: jax.Array, normals: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the damped Newton step (p,) in the free space, and the distance it would cover.

    ``bend`` (p, p) is the curvature that active bounds add, ``normals`` their directions.

    Everything is scaled to unit diagonal of the positive matrix first: the parameters' own units
    differ by many orders of magnitude, more than float32 can factorise.
    """
    diagonal = jnp.diagonal(derivatives.positive)
    unit = jnp.where(diagonal > 0.0, diagonal, 1.0) ** -0.5
    normals = normals * unit
    length = jnp.sum(normals * normals, axis=1, keepdims=True)
    normals = normals / jnp.where(length > 0.0, length, 1.0) ** 0.5
    blocked = normals.T @ normals
    identity = jnp.eye(unit.size, dtype=unit.dtype)
    free = identity - blocked
    gradient = free @ (unit * derivatives.gradient)

    def factor(matrix: jax.Array, add: jax.Array) -> jax.Array:
        scaled = free @ (unit[:, None] * (matrix + bend) * unit) @ free
        return jnp.linalg.cholesky(scaled + blocked + add * identity)

    exact = factor(derivatives.hessian, damping)
    stand_in = factor(derivatives.positive, jnp.maximum(damping, FALLBACK_DAMPING))
    lower = jnp.where(jnp.all(jnp.isfinite(exact)), exact, stand_in)
    half = lax.linalg.triangular_solve(lower, gradient[:, None], left_side=True, lower=True)
    step = lax.linalg.triangular_solve(lower, half, left_side=True, lower=True, transpose_a=True)
    return -unit * step[:, 0], jnp.sum(half * half) ** 0.5
