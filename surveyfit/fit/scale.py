"""When a fit is near its end: the scale of its likelihood that belongs to it, and the tolerance.

The scale depends on the fitted amplitude. It is held during a Newton solve, which goes on from
where it is when the scale has been refreshed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from surveyfit.fit import newton
from surveyfit.fit.loss import Loss, Pixels, score
from surveyfit.fit.model import Array, gaussian
from surveyfit.fit.newton import RUNNING
from surveyfit.fit.objective import AMP, logarithmic, to_linear
from surveyfit.fit.source import Likelihood, Recipe, Source, local_scale
from surveyfit.schema import FitStatus

SCALE_ROUNDS = 3
"""The scale is refreshed at most so often ..."""
GAMMA_ROUNDS = 12
"""... and where gamma itself is fitted, which takes longer, so often."""
SCALE_CHANGE = 1e-3
"""Relative change of the scale below which another solve changes less than the tolerance."""
TOLERANCE = 2e-4
"""Distance from the optimum, in published errors, at which a fit has converged.

Two fits that differ in their rounding only must agree to 1e-3 of the errors.
"""
FIRST_TOLERANCE = 0.3
"""Distance, in published errors, at which the scale is refreshed."""
TOLERANCE_ROUNDING = 50.0
"""Shorter distances than this many units of rounding cannot be seen in the gradient."""


class Progress(NamedTuple):
    """How far the fit of one source is.

    Attributes
    ----------
    newton : State
    scale_amp, gamma : array ()
        The amplitude and the gamma that set the scale of the likelihood.
    rounds : array ()
        Refreshes of the scale so far.
    settled : array () of bool
        Whether the scale is final, and the last tolerance holds.
    """

    newton: newton.State
    scale_amp: Array
    gamma: Array
    rounds: Array
    settled: Array


def refresh(
    progress: Progress, pixels: Pixels, source: Source, recipe: Recipe, likelihood: Likelihood
) -> Progress:
    """Give a fit that has come near its optimum the scale that belongs to it, and let it go on.

    A gamma that is fitted moves to where its own likelihood has the optimum: there the mean of
    z l'(z) is one.
    """
    state = progress.newton
    near = (state.status == FitStatus.CONVERGED) | (state.status == FitStatus.AT_BOUND)
    linear = to_linear(state.params, logarithmic(source.linear_amp))
    gamma = progress.gamma
    if likelihood.fit_gamma:
        gamma *= _gamma_ratio(linear, pixels, likelihood.loss) ** recipe.gamma_power
    old = local_scale(source, progress.scale_amp, progress.gamma, recipe)
    new = local_scale(source, linear[AMP], gamma, recipe)
    change = jnp.abs(new - old) > SCALE_CHANGE * old
    rounds = GAMMA_ROUNDS if likelihood.fit_gamma else SCALE_ROUNDS
    again = near & change & (progress.rounds < rounds)
    _, last = tolerances(progress, source, recipe)
    more = near & ~again & ~progress.settled & (state.distance >= last)
    # The likelihood is another one now: whatever it is at the next point, it is accepted.
    value = jnp.where(again, jnp.inf, state.derivatives.value)
    state = state._replace(
        derivatives=state.derivatives._replace(value=value),
        n_iter=state.n_iter + (again | more),
        status=jnp.where(again | more, RUNNING, state.status),
    )
    return Progress(
        newton=state,
        scale_amp=jnp.where(again, linear[AMP], progress.scale_amp),
        gamma=jnp.where(again, gamma, progress.gamma),
        rounds=progress.rounds + again,
        settled=progress.settled | more,
    )


def tolerances(progress: Progress, source: Source, recipe: Recipe) -> tuple[jax.Array, jax.Array]:
    """Return the first and the last distance to stop at, in errors that belong to the Hessian.

    Those are about the scale (in local noises) times the published ones: the errors that a wide
    Cauchy would have, where the real noise is the local one.
    """
    scale = local_scale(source, progress.scale_amp, progress.gamma, recipe) / source.local_noise
    least = TOLERANCE_ROUNDING * jnp.finfo(scale.dtype).eps
    return jnp.maximum(FIRST_TOLERANCE / scale, least), jnp.maximum(TOLERANCE / scale, least)


def _gamma_ratio(linear: jax.Array, pixels: Pixels, loss: Loss) -> jax.Array:
    z = (gaussian(linear, pixels.x, pixels.y, jnp) - pixels.data) * pixels.weight
    used = jnp.sum(pixels.weight > 0.0)
    return jnp.sum(z * score(loss, z)) / jnp.maximum(used, 1)
