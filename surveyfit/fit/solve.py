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
from surveyfit.fit.covariance import Noise
from surveyfit.fit.limits import Limits
from surveyfit.fit.loss import Loss, Pixels, score
from surveyfit.fit.model import Array, gaussian, pixel_scale
from surveyfit.fit.newton import RUNNING
from surveyfit.fit.objective import (
    AMP,
    SIGMA,
    derivatives,
    linear_hessian,
    logarithmic,
    to_linear,
)
from surveyfit.fit.slots import in_blocks, through_slots
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
LARGEST_STEP = (0.5, 0.5, 1.0, 0.5, 0.3, 0.3, float("inf"))
"""Of one Newton step, in x0 and y0 (of the sigma or 1 px), log amp, log sigma, rho, diff, bkg."""


class Source(NamedTuple):
    """One source as it is fitted, in the units of `surveyfit.fit.units`.

    Attributes
    ----------
    pixels : array (side, side)
        As given; a pixel that is not finite is not used.
    level, unit : array ()
        A value in the units of the fit is (pixel - level) / unit.
    noise : array (side, side) or (1, 1)
        1-sigma noise of each pixel in the units of the fit; where it is not positive the pixel is
        not used.
    local_noise : array ()
    origin : array (2,)
        Column and row, in the cutout, of the zero of the coordinates: whole numbers.
    start, lower, upper : array (7,)
        Starting point and bounds of the internal parameters.
    fixed : array (7,) of bool
    linear_amp : array () of bool
        Whether the internal amplitude is the amplitude and not its logarithm.
    electrons : array () or None
        Electrons per unit; infinite where the gain is unknown, None where no source has one.
    """

    pixels: Array
    level: Array
    unit: Array
    noise: Array
    local_noise: Array
    origin: Array
    start: Array
    lower: Array
    upper: Array
    fixed: Array
    linear_amp: Array
    electrons: Array | None = None


class Likelihood(NamedTuple):
    """What is minimised; every other one is compiled anew.

    ``fit_gamma``: whether gamma is fitted to each source, as if the loss were a density.
    """

    loss: Loss
    fit_gamma: bool


class Recipe(NamedTuple):
    """The settings that the compiled code takes as numbers."""

    gamma: Array
    model_error: Array
    max_iterations: Array


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
        In linear parameters, exact.
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
        close = partial(solution_of, recipe=recipe, noise=noise)
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
    first, last = _tolerances(progress, source, recipe)
    tolerance = jnp.where(progress.settled, last, first)
    enough = jnp.sum(pixels.weight != 0.0) >= jnp.sum(~source.fixed)

    found = derivatives(progress.newton.trial, log, pixels, likelihood.loss)
    state = newton.turn(progress.newton, found, limits, tolerance, recipe.max_iterations)
    hopeless = (progress.newton.status == RUNNING) & ~enough
    status = jnp.where(hopeless, int(FitStatus.NO_DATA), state.status)
    progress = progress._replace(newton=state._replace(status=status))
    return refresh(progress, pixels, source, recipe, likelihood)


def refresh(
    progress: Progress, pixels: Pixels, source: Source, recipe: Recipe, likelihood: Likelihood
) -> Progress:
    """Give a fit that has come near its optimum the scale that belongs to it, and let it go on.

    A gamma that is fitted moves to where the likelihood of a Cauchy has its optimum, at which
    the mean of z l'(z) is one; the step is twice that of expectation maximisation, whose error
    it halves.
    """
    state = progress.newton
    near = (state.status == FitStatus.CONVERGED) | (state.status == FitStatus.AT_BOUND)
    linear = to_linear(state.params, logarithmic(source.linear_amp))
    gamma = progress.gamma
    if likelihood.fit_gamma:
        gamma *= _gamma_ratio(linear, pixels, likelihood.loss)
    old = progress.gamma * _scale(source, progress.scale_amp, recipe)
    change = jnp.abs(gamma * _scale(source, linear[AMP], recipe) - old) > SCALE_CHANGE * old
    rounds = GAMMA_ROUNDS if likelihood.fit_gamma else SCALE_ROUNDS
    again = near & change & (progress.rounds < rounds)
    _, last = _tolerances(progress, source, recipe)
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


def _tolerances(progress: Progress, source: Source, recipe: Recipe) -> tuple[jax.Array, jax.Array]:
    """Return the first and the last distance to stop at, in errors that belong to the Hessian.

    Those are about the scale (in local noises) times the published ones: the errors that a wide
    Cauchy would have, where the real noise is the local one.
    """
    scale = progress.gamma * _scale(source, progress.scale_amp, recipe) / source.local_noise
    least = TOLERANCE_ROUNDING * jnp.finfo(scale.dtype).eps
    return jnp.maximum(FIRST_TOLERANCE / scale, least), jnp.maximum(TOLERANCE / scale, least)


def _gamma_ratio(linear: jax.Array, pixels: Pixels, loss: Loss) -> jax.Array:
    z = (gaussian(linear, pixels.x, pixels.y, jnp) - pixels.data) * pixels.weight
    used = jnp.sum(pixels.weight > 0.0)
    return jnp.sum(z * score(loss, z)) / jnp.maximum(used, 1)


def _scale(source: Source, amp: jax.Array, recipe: Recipe) -> jax.Array:
    return pixel_scale(source.local_noise, amp, recipe.model_error)


def solution_of(source: Source, progress: Progress, recipe: Recipe, noise: Noise) -> Solution:
    """Return the solution of one source, with what its errors and flags are made from."""
    state, log = progress.newton, logarithmic(source.linear_amp)
    params = to_linear(state.params, log)
    pixels = pixels_at(source, progress.scale_amp, progress.gamma, recipe)
    return Solution(
        params=params,
        scale=progress.gamma * _scale(source, progress.scale_amp, recipe),
        loss=state.derivatives.value,
        hessian=linear_hessian(state.params, log, state.derivatives),
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
        ),
    )


def pixels_at(source: Source, amp: jax.Array, gamma: jax.Array, recipe: Recipe) -> Pixels:
    """Return the pixels with the weights that belong to a source of amplitude ``amp``."""
    side, dtype = source.pixels.shape[-1], source.pixels.dtype
    used = jnp.isfinite(source.pixels) & (source.noise > 0.0) & jnp.isfinite(source.noise)
    scale = gamma * pixel_scale(source.noise, amp, recipe.model_error)
    return Pixels(
        x=(jnp.arange(side, dtype=dtype) - source.origin[0])[None, :],
        y=(jnp.arange(side, dtype=dtype) - source.origin[1])[:, None],
        data=jnp.where(used, (source.pixels - source.level) * (1.0 / source.unit), 0.0),
        weight=jnp.where(used, 1.0 / scale, 0.0),
    )


def limits_of(source: Source) -> Limits:
    """Return bounds and step caps; a step in position is capped at half the starting size."""
    size = jnp.maximum(jnp.exp(source.start[SIGMA]), 1.0)
    cap = jnp.asarray(LARGEST_STEP, size.dtype) * jnp.where(jnp.arange(7) < AMP, size, 1.0)
    return Limits(source.lower, source.upper, source.fixed, cap, LARGEST_ELLIPTICITY)
