"""The fit of one's own model to one image, and to a chunk of images at once: the compiled part."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.signal import fftconvolve

from surveyfit.fit import newton
from surveyfit.fit.any_model_input import Images, ModelFunction
from surveyfit.fit.limits import Limits, project
from surveyfit.fit.loss import Loss, Pixels
from surveyfit.fit.model import Array
from surveyfit.fit.newton import RUNNING
from surveyfit.fit.scale import TOLERANCE
from surveyfit.fit.slots import in_blocks, through_slots
from surveyfit.schema import FitStatus

LARGEST_CHANGE = 0.15
"""Of the model's own range of values. One step in one parameter may change no pixel by more (and
one scale of the likelihood), to first order: far from the optimum of a Cauchy likelihood Newton's
steps are wild. Of 1500 Moffat sources of S/N 20 to 200 all converge with 0.15, 1477 with 0.5, and
1393 without a limit."""


class Task(NamedTuple):
    """What all images share, apart from the function and the loss.

    Attributes
    ----------
    gamma : array ()
        Scale of the likelihood, in noises of a pixel.
    max_iterations : array () of int32
    leaders : array (p,) of int
        The place of the parameter whose value each parameter takes.
    correlation : array (2 L + 1, 2 L + 1) or None
    """

    gamma: Array
    max_iterations: Array
    leaders: Array
    correlation: Array | None


class Solution(NamedTuple):
    """How the fit of one image ended.

    Attributes
    ----------
    params : array (p,)
    loss : array ()
        Sum of the loss.
    log_scale : array ()
        Sum of the logarithm of the likelihood's scale over the used pixels.
    hessian : array (p, p)
    squares : array (p, p)
        Sum over the used pixels of w^2 dm dm^T, w = 1 / scale.
    pairs : array (p, p)
        Sum over the pairs i != j of them of R(i - j) w_i w_j dm_i dm_j^T, R the correlation.
    n_pix, n_iter, status : array () of int
    """

    params: Array
    loss: Array
    log_scale: Array
    hessian: Array
    squares: Array
    pairs: Array
    n_pix: Array
    n_iter: Array
    status: Array


@partial(jax.jit, static_argnames=("function", "loss", "slots"))
def fit_chunk(
    images: Images,
    count: jax.Array,
    task: Task,
    function: ModelFunction,
    loss: Loss,
    slots: int,
) -> Solution:
    """Fit the first ``count`` images of a chunk, ``slots`` of them in step with each other."""

    def model(params: jax.Array, pixels: Pixels) -> jax.Array:
        values = function(params[task.leaders], pixels.x, pixels.y, jnp)
        return jnp.broadcast_to(values, pixels.data.shape)

    def objective(params: jax.Array, pixels: Pixels) -> jax.Array:
        return jnp.sum(loss((model(params, pixels) - pixels.data) * pixels.weight))

    def largest_step(params: jax.Array, pixels: Pixels) -> jax.Array:
        values, slopes = model(params, pixels), jax.jacfwd(model)(params, pixels)
        # A model that starts flat (an amplitude of zero) must be able to leave it.
        change = LARGEST_CHANGE * jnp.ptp(values) + 1.0 / jnp.max(pixels.weight)
        return change / jnp.max(jnp.abs(slopes), axis=(0, 1))

    def begin(image: Images) -> newton.State:
        return newton.begin(project(image.start, limits_of(image)))

    def advance(state: newton.State, image: Images) -> newton.State:
        pixels = pixels_of(image, task.gamma)
        value, gradient = jax.value_and_grad(objective)(state.trial, pixels)
        hessian = jax.jacfwd(jax.jacrev(objective))(state.trial, pixels)
        found = newton.Derivatives(value, gradient, hessian)
        limits = limits_of(image)._replace(largest_step=largest_step(state.params, pixels))
        turned = newton.turn(state, found, limits, TOLERANCE / task.gamma, task.max_iterations)
        enough = jnp.sum(pixels.weight > 0.0) >= jnp.sum(~image.fixed)
        hopeless = (state.status == RUNNING) & ~enough
        return turned._replace(status=jnp.where(hopeless, int(FitStatus.NO_DATA), turned.status))

    def close(image: Images, state: newton.State) -> Solution:
        pixels = pixels_of(image, task.gamma)
        used = pixels.weight > 0.0
        slopes = jnp.moveaxis(jax.jacfwd(model)(state.params, pixels), -1, 0) * pixels.weight
        return Solution(
            params=state.params,
            loss=state.derivatives.value,
            log_scale=-jnp.sum(jnp.log(jnp.where(used, pixels.weight, 1.0))),
            hessian=state.derivatives.hessian,
            squares=jnp.einsum("pyx,qyx->pq", slopes, slopes),
            pairs=correlated_pairs(slopes, task.correlation),
            n_pix=jnp.sum(used),
            n_iter=state.n_iter,
            status=state.status,
        )

    # GPUs multiply matrices in fewer bits unless told otherwise.
    with jax.default_matmul_precision("highest"):
        states = through_slots(
            images, count, begin, advance, lambda state: state.status != RUNNING, slots
        )
        return in_blocks(close, (images, states), count, slots)


def pixels_of(image: Images, gamma: jax.Array) -> Pixels:
    """Return the pixels of one image with their weights."""
    height, width = image.data.shape
    used = jnp.isfinite(image.data) & jnp.isfinite(image.noise) & (image.noise > 0.0)
    return Pixels(
        x=jnp.arange(width, dtype=image.data.dtype)[None, :],
        y=jnp.arange(height, dtype=image.data.dtype)[:, None],
        data=jnp.where(used, image.data, 0.0),
        weight=jnp.where(used, 1.0 / (gamma * image.noise), 0.0),
    )


def limits_of(image: Images) -> Limits:
    """Return the bounds of one image's fit; a parameter that is held may lie outside of them."""
    lower = jnp.where(image.fixed, -jnp.inf, image.lower)
    upper = jnp.where(image.fixed, jnp.inf, image.upper)
    return Limits(lower, upper, image.fixed, largest_step=jnp.full_like(lower, jnp.inf))


def correlated_pairs(slopes: jax.Array, correlation: jax.Array | None) -> jax.Array:
    """Return the sum over pairs i != j of R(i - j) s_i s_j^T for maps s (p, height, width)."""
    if correlation is None:
        return jnp.zeros((len(slopes), len(slopes)), slopes.dtype)
    middle = len(correlation) // 2
    others = correlation.at[middle, middle].set(0.0)
    smoothed = jax.vmap(lambda slope: fftconvolve(slope, others, mode="same"))(slopes)
    return jnp.einsum("pyx,qyx->pq", slopes, smoothed)
