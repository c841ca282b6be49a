"""The fit of one source, and of a chunk of sources at once.

One source means: Newton at a fixed scale of the likelihood, then the same again from where it
ended, with the scale that the fitted amplitude asks for. Everything is in the units of
`surveyfit.fit.units`, in which single precision is enough.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from surveyfit.fit.bounds import LARGEST_ELLIPTICITY
from surveyfit.fit.covariance import LogLaw, information
from surveyfit.fit.limits import Limits
from surveyfit.fit.loss import Pixels
from surveyfit.fit.model import Array, gaussian, pixel_scale, pixel_sigma
from surveyfit.fit.newton import RUNNING, State, begin, minimise
from surveyfit.fit.objective import AMP, SIGMA, derivatives, linear_hessian, to_linear
from surveyfit.schema import FitStatus

SCALE_ROUNDS = 3
"""The first solve, and at most two with a refreshed scale."""
SCALE_CHANGE = 1e-3
"""Relative change of the scale below which another solve changes less than the tolerance."""
TOLERANCE = 2e-4
"""Distance from the optimum, in published errors, at which a fit has converged.

Two fits that differ in their rounding only must agree to 1e-3 of the errors.
"""
TOLERANCE_ROUNDING = 50.0
"""Shorter distances than this many units of rounding cannot be seen in the gradient."""

LARGEST_STEP = (0.5, 0.5, 1.0, 0.5, 0.3, 0.3, float("inf"))
"""Of one Newton step, in x0 and y0 (of the sigma or 1 px), log amp, log sigma, rho, diff, bkg."""


class Source(NamedTuple):
    """One source as it is fitted, in the units of `surveyfit.fit.units`.

    Attributes
    ----------
    data : array (side, side)
        Pixels less the starting background; zero where not used.
    noise : array (side, side)
        1-sigma noise of each pixel; one where not used.
    used : array (side, side) of bool
    local_noise : array ()
    origin : array (2,)
        Column and row, in the cutout, of the zero of the coordinates: whole numbers.
    start, lower, upper : array (7,)
        Starting point and bounds of the internal parameters.
    electrons : array ()
        Electrons per unit; infinite where the gain is unknown.
    """

    data: Array
    noise: Array
    used: Array
    local_noise: Array
    origin: Array
    start: Array
    lower: Array
    upper: Array
    electrons: Array


class Recipe(NamedTuple):
    """The settings that the compiled code takes as numbers."""

    gamma: Array
    model_error: Array
    max_iterations: Array


class Solution(NamedTuple):
    """How the fit of one source ended, in the units of `Source`.

    Attributes
    ----------
    params : array (7,)
        Linear parameters.
    scale_amp : array ()
        The amplitude that set the scale of the likelihood.
    loss : array ()
        Sum of the loss at ``params``.
    hessian, curvature, score_variance : array (7, 7)
        In linear parameters: the exact Hessian, and A and B of the published covariance.
    distance, n_iter, status : array ()
        As in `surveyfit.fit.newton.State`.
    """

    params: Array
    scale_amp: Array
    loss: Array
    hessian: Array
    curvature: Array
    score_variance: Array
    distance: Array
    n_iter: Array
    status: Array


@partial(jax.jit, static_argnames="block")
def fit_chunk(sources: Source, recipe: Recipe, law: LogLaw, block: int) -> Solution:
    """Fit all sources of a chunk, ``block`` of them in step with each other.

    The number of sources must be a multiple of ``block``: another remainder, another compile.
    """
    # GPUs multiply float32 matrices in fewer bits unless told otherwise.
    with jax.default_matmul_precision("highest"):
        return lax.map(lambda source: fit_one(source, recipe, law), sources, batch_size=block)


def fit_one(source: Source, recipe: Recipe, law: LogLaw) -> Solution:
    """Fit one source; its status tells how it ended."""
    state, scale_amp = settle(source, recipe)
    params = to_linear(state.params)
    pixels = pixels_at(source, scale_amp, recipe)
    signal = gaussian(params.at[6].set(0.0), pixels.x, pixels.y, jnp)
    sigma = pixel_sigma(source.noise, signal, source.electrons, jnp)
    curved, scored = information(params, pixels, sigma, law)
    return Solution(
        params=params,
        scale_amp=scale_amp,
        loss=state.derivatives.value,
        hessian=linear_hessian(state.params, state.derivatives),
        curvature=curved,
        score_variance=scored,
        distance=state.distance,
        n_iter=state.n_iter,
        status=state.status,
    )


def settle(source: Source, recipe: Recipe) -> tuple[State, jax.Array]:
    """Minimise, refresh the scale of the likelihood, repeat; return the end and the scale's amp."""
    enough = jnp.sum(source.used) >= source.start.size
    first = begin(source.start, jnp.zeros((), jnp.int32))
    first = first._replace(status=jnp.where(enough, first.status, int(FitStatus.NO_DATA)))

    def scale_of(amp: jax.Array) -> jax.Array:
        return pixel_scale(source.local_noise, amp, recipe.model_error)

    def unsettled(carry: tuple[State, jax.Array, jax.Array]) -> jax.Array:
        state, scale_amp, rounds = carry
        old, new = scale_of(scale_amp), scale_of(jnp.exp(state.params[AMP]))
        ended_well = (state.status == FitStatus.CONVERGED) | (state.status == FitStatus.AT_BOUND)
        again = ended_well & (rounds < SCALE_ROUNDS) & (jnp.abs(new - old) > SCALE_CHANGE * old)
        return (state.status == RUNNING) | again

    def solve(carry: tuple[State, jax.Array, jax.Array]) -> tuple[State, jax.Array, jax.Array]:
        state, _, rounds = carry
        amp = jnp.exp(state.params[AMP])
        state = minimise(
            partial(derivatives, pixels=pixels_at(source, amp, recipe)),
            state.params,
            limits_of(source),
            tolerance_at(recipe.gamma * scale_of(amp) / source.local_noise),
            state.n_iter,
            recipe.max_iterations,
        )
        return state, amp, rounds + 1

    start_amp = jnp.exp(source.start[AMP])
    state, scale_amp, _ = lax.while_loop(
        unsettled, solve, (first, start_amp, jnp.zeros((), jnp.int32))
    )
    return state, scale_amp


def pixels_at(source: Source, amp: jax.Array, recipe: Recipe) -> Pixels:
    """Return the pixels with the weights that belong to a source of amplitude ``amp``."""
    side, dtype = source.data.shape[-1], source.data.dtype
    scale = recipe.gamma * pixel_scale(source.noise, amp, recipe.model_error)
    return Pixels(
        x=(jnp.arange(side, dtype=dtype) - source.origin[0])[None, :],
        y=(jnp.arange(side, dtype=dtype) - source.origin[1])[:, None],
        data=source.data,
        weight=jnp.where(source.used, 1.0 / scale, 0.0),
    )


def limits_of(source: Source) -> Limits:
    """Return bounds and step caps; a step in position is capped at half the starting size."""
    size = jnp.maximum(jnp.exp(source.start[SIGMA]), 1.0)
    cap = jnp.asarray(LARGEST_STEP, size.dtype).at[:2].multiply(size)
    return Limits(source.lower, source.upper, LARGEST_ELLIPTICITY, cap)


def tolerance_at(scale: jax.Array) -> jax.Array:
    """Return the distance at which to stop, in the errors that belong to the Hessian.

    Those are about ``scale`` (in local noises) times the published ones: the errors that a wide
    Cauchy would have, where the real noise is the local one.
    """
    return jnp.maximum(TOLERANCE / scale, TOLERANCE_ROUNDING * jnp.finfo(scale.dtype).eps)
