"""Damped Newton minimisation of a function of a few parameters, one turn at a time.

The step solves (H + damping * D) step = -gradient, with D the absolute diagonal of H; where that
matrix is not positive definite its wrong pivots are turned around, so that the step still goes
downhill. A trial is accepted only if it lowers the value. Each turn evaluates the objective once,
at the trial. Everything is written for one fit, to be vmapped over many that run in step.

Parameters that are held (fixed by the user, or at a bound that the gradient pushes against) are
left out of the step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from surveyfit.fit.limits import Limits, held_by_bounds, project
from surveyfit.fit.model import Array
from surveyfit.fit.small import solve_made_positive
from surveyfit.schema import FitStatus

RUNNING = -1
"""Status of a fit that has not ended; never reported."""

FIRST_DAMPING = 0.3
DAMPING_STEP = 10.0
"""Factor by which the damping falls after an accepted step and grows after a refused one."""
NO_DAMPING = 0.02
"""Below this the damping is set to zero: near the end the steps are pure Newton steps."""
MAX_DAMPING = 1e6
"""Where even such short steps do not lower the value, the fit has stalled."""
ROUNDING_SLACK = 16.0
"""A sum over a thousand pixels is known to about this many units of rounding."""
SMALLEST_PIVOT = 1e-5
"""Of the matrix scaled to unit diagonal: below this two parameters cannot be told apart."""


class Derivatives(NamedTuple):
    """Value (), gradient (p,) and Hessian (p, p) of the objective."""

    value: Array
    gradient: Array
    hessian: Array


class State(NamedTuple):
    """Where a fit is: the best point so far, and the next one to try.

    ``distance`` is sqrt(gradient . H^-1 . gradient) over the free parameters: the distance from the
    optimum in units of the errors that belong to H.
    """

    params: Array
    derivatives: Derivatives
    trial: Array
    damping: Array
    distance: Array
    n_iter: Array
    status: Array


def begin(start: jax.Array) -> State:
    """Return the state that accepts ``start`` (p,) in its first turn."""
    p, dtype = start.shape[0], start.dtype
    nothing = Derivatives(
        value=jnp.array(jnp.inf, dtype),
        gradient=jnp.zeros(p, dtype),
        hessian=jnp.eye(p, dtype=dtype),
    )
    status = jnp.where(jnp.all(jnp.isfinite(start)), RUNNING, FitStatus.NOT_FINITE)
    return State(
        params=start,
        derivatives=nothing,
        trial=start,
        damping=jnp.array(FIRST_DAMPING, dtype),
        distance=jnp.array(jnp.inf, dtype),
        n_iter=jnp.zeros((), jnp.int32),
        status=status.astype(jnp.int32),
    )


def turn(
    state: State, new: Derivatives, limits: Limits, tolerance: jax.Array, max_iterations: jax.Array
) -> State:
    """Take the derivatives at the trial; return where the fit is then.

    Converged where `State.distance` falls below ``tolerance``.
    """
    return propose(judge(state, new), limits, tolerance, max_iterations)


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
    at_bound = held_by_bounds(state.params, state.derivatives.gradient, limits)
    free = ~(limits.fixed | at_bound)
    step, distance, positive = direction(state.derivatives, state.damping, free)
    cap = jnp.min(limits.largest_step / jnp.maximum(jnp.abs(step), jnp.finfo(step.dtype).tiny))
    trial = state.params + jnp.minimum(cap, 1.0) * step

    ended_at_bound = jnp.any(at_bound)
    good_end = jnp.where(ended_at_bound, FitStatus.AT_BOUND, FitStatus.CONVERGED)
    bad_end = jnp.where(ended_at_bound, FitStatus.AT_BOUND, FitStatus.STALLED)
    failed = ~(jnp.isfinite(state.derivatives.value) & jnp.isfinite(distance))
    status = jnp.select(
        [
            failed,
            positive & (state.damping == 0.0) & (distance < tolerance),
            (distance < tolerance) & (state.damping == 0.0),
            state.damping > MAX_DAMPING,
            state.n_iter >= max_iterations,
        ],
        [FitStatus.NOT_FINITE, good_end, bad_end, bad_end, FitStatus.MAX_ITERATIONS],
        RUNNING,
    )
    status = status.astype(jnp.int32)
    return state._replace(
        trial=project(trial, limits),
        distance=distance,
        n_iter=state.n_iter + (status == RUNNING),
        status=status,
    )


def direction(
    derivatives: Derivatives, damping: jax.Array, free: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the damped step (p,), the distance it covers, and if the damped matrix was positive.

    Everything is scaled to unit diagonal first: the parameters' own units differ by many orders of
    magnitude, more than single precision can solve.
    """
    diagonal = jnp.abs(jnp.diagonal(derivatives.hessian))
    unit = jnp.where(diagonal > 0.0, diagonal, 1.0) ** -0.5
    identity = jnp.eye(unit.size, dtype=unit.dtype)
    both = free[:, None] & free
    scaled = jnp.where(both, unit[:, None] * derivatives.hessian * unit, identity)
    gradient = jnp.where(free, unit * derivatives.gradient, 0.0)
    step, positive = solve_made_positive(
        scaled + damping * identity, -gradient[:, None], SMALLEST_PIVOT
    )
    square = -jnp.sum(gradient * step[:, 0])
    return unit * step[:, 0], jnp.sqrt(jnp.maximum(square, 0.0)), positive
