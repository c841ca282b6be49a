"""The fit of one source, and of a chunk of sources at once.

One source means: Newton at a fixed scale of the likelihood, until it is near its optimum; then the
scale that the fitted amplitude asks for, and on from there. Everything is in the units of
`surveyfit.fit.units`, in which single precision is enough.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from surveyfit.fit import newton
from surveyfit.fit.appraisal import Appraisal, appraise
from surveyfit.fit.bounds import LARGEST_ELLIPTICITY
from surveyfit.fit.information import Noise
from surveyfit.fit.limits import Limits
from surveyfit.fit.model import Array, pixel_scale
from surveyfit.fit.moments import gauss_newton
from surveyfit.fit.newton import RUNNING
from surveyfit.fit.objective import (
    AMP,
    SIGMA,
    derivatives,
    linear_hessian,
    logarithmic,
    to_linear,
)
from surveyfit.fit.scale import Progress, refresh, tolerances
from surveyfit.fit.slots import in_blocks, through_slots
from surveyfit.fit.source import Likelihood, Recipe, Source, local_scale, pixels_at
from surveyfit.schema import FitStatus

LARGEST_STEP = (0.5, 0.5, 1.0, 0.5, 0.3, 0.3, float("inf"))
"""Of one Newton step, in x0 and y0 (of the sigma or 1 px), log amp, log sigma, rho, diff, bkg."""


class Solution(NamedTuple):
    """How the fit of one source ended, in the units of `Source`.

    Attributes
    ----------
    params : array (7,)
        Linear parameters.
    scale : array ()
        Of the likelihood, for a pixel of the local noise.
    loss : array ()
        Sum of the loss at ``params``.
    hessian : array (7, 7)
        In linear parameters: exact, or expected.
    distance, n_iter, status : array ()
        As in `surveyfit.fit.newton.State`.
    appraisal : Appraisal
    """

    params: Array
    scale: Array
    loss: Array
    hessian: Array
    distance: Array
    n_iter: Array
    status: Array
    appraisal: Appraisal


@partial(jax.jit, static_argnames=("likelihood", "slots"))
def fit_chunk(
    sources: Source,
    count: jax.Array,
    recipe: Recipe,
    noise: Noise,
    likelihood: Likelihood,
    slots: int,
) -> Solution:
    """Fit the first ``count`` sources of a chunk, ``slots`` of them in step with each other.

    The number of sources must be a multiple of ``slots``: another remainder, another compile.
    """
    # GPUs multiply float32 matrices in fewer bits unless told otherwise.
    with jax.default_matmul_precision("highest"):
        progress = through_slots(
            sources,
            count,
            partial(begin, recipe=recipe),
            partial(advance, recipe=recipe, likelihood=likelihood),
            lambda progress: progress.newton.status != RUNNING,
            slots,
        )
        close = partial(solution_of, recipe=recipe, noise=noise, likelihood=likelihood)
        return in_blocks(close, (sources, progress), count, slots)


def begin(source: Source, recipe: Recipe) -> Progress:
    """Return the state in which the fit of a source starts."""
    state = newton.begin(source.start)
    amp = to_linear(source.start, logarithmic(source.linear_amp))[AMP]
    return Progress(
        newton=state,
        scale_amp=amp,
        gamma=recipe.gamma,
        rounds=jnp.zeros((), jnp.int32),
        settled=jnp.array(False),
    )


def advance(progress: Progress, source: Source, recipe: Recipe, likelihood: Likelihood) -> Progress:
    """Take a Newton step; look at the scale where the fit has come near its end."""
    pixels = pixels_at(source, progress.scale_amp, progress.gamma, recipe)
    log, limits = logarithmic(source.linear_amp), limits_of(source)
    first, last = tolerances(progress, source, recipe)
    tolerance = jnp.where(progress.settled, last, first)
    enough = jnp.sum(pixels.weight != 0.0) >= jnp.sum(~source.fixed)

    found = derivatives(progress.newton.trial, log, pixels, likelihood.loss)
    state = newton.turn(progress.newton, found, limits, tolerance, recipe.max_iterations)
    hopeless = (progress.newton.status == RUNNING) & ~enough
    status = jnp.where(hopeless, int(FitStatus.NO_DATA), state.status)
    progress = progress._replace(newton=state._replace(status=status))
    return refresh(progress, pixels, source, recipe, likelihood)


def solution_of(
    source: Source, progress: Progress, recipe: Recipe, noise: Noise, likelihood: Likelihood
) -> Solution:
    """Return the solution of one source, with what its errors and flags are made from."""
    state, log = progress.newton, logarithmic(source.linear_amp)
    params = to_linear(state.params, log)
    pixels = pixels_at(source, progress.scale_amp, progress.gamma, recipe)
    if likelihood.expected:
        weights = recipe.curvature * pixels.weight[None] ** 2
        hessian = gauss_newton(params[:6], weights, pixels)[0]
    else:
        hessian = linear_hessian(state.params, log, state.derivatives)
    return Solution(
        params=params,
        scale=local_scale(source, progress.scale_amp, progress.gamma, recipe),
        loss=state.derivatives.value,
        hessian=hessian,
        distance=state.distance,
        n_iter=state.n_iter,
        status=state.status,
        appraisal=appraise(
            params,
            pixels,
            source.noise,
            progress.gamma * pixel_scale(source.noise, progress.scale_amp, recipe.model_error),
            source.electrons,
            recipe.model_error,
            noise,
            ~source.fixed,
        ),
    )


def limits_of(source: Source) -> Limits:
    """Return bounds and step caps; a step in position is capped at half the starting size."""
    size = jnp.maximum(jnp.exp(source.start[SIGMA]), 1.0)
    cap = jnp.asarray(LARGEST_STEP, size.dtype) * jnp.where(jnp.arange(7) < AMP, size, 1.0)
    return Limits(source.lower, source.upper, source.fixed, cap, LARGEST_ELLIPTICITY)
