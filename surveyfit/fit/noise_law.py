"""What the noise does to the loss: expected curvature and variance of the score.

The Cauchy likelihood is a way to be robust, not a claim about the noise. The published errors need
E[loss''] and E[loss'^2] under the noise that the image really has, as a function of
t = (1-sigma noise of a pixel) / (its Cauchy scale), because a source's own photons and the model
error change t from pixel to pixel and from source to source.
"""

from functools import partial
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surveyfit.errors import InputError
from surveyfit.fit.loss import Loss, cauchy, curvature, score
from surveyfit.fit.model import Array

SMALLEST_T = 1e-6
LOG_T = np.linspace(np.log(SMALLEST_T), np.log(1e2), 256)
"""From sources of peak S/N near a million (model error over noise) to a scale far too small."""

GAUSSIAN_QUANTILES = 2001
"""Midpoints that stand for Gaussian noise; E[q^2] is then right to 1e-3."""


class NoiseLaw(NamedTuple):
    """Expectations over the noise, each (k,), against the logarithm of t.

    Attributes
    ----------
    log_t : array (k,)
        Increasing, evenly spaced.
    curvature : array (k,)
        E[loss''(t q)] for noise q of unit local noise.
    score_variance : array (k,)
        E[loss'(t q)^2]; goes as t^2 for small t, so it is interpolated in its logarithm.
    """

    log_t: np.ndarray
    curvature: np.ndarray
    score_variance: np.ndarray


class LogLaw(NamedTuple):
    """A `NoiseLaw` in the form in which the compiled code looks it up.

    Attributes
    ----------
    first, step : array ()
        First log t, and the distance to the next; the table is evenly spaced.
    table : array (k, 2)
        Curvature, and logarithm of the score's variance.
    """

    first: Array
    step: Array
    table: Array

    def at(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return expected curvature and variance of the score at each t; zero is the smallest t."""
        place = (jnp.log(jnp.maximum(t, SMALLEST_T)) - self.first) / self.step
        last = self.table.shape[0] - 2
        left = jnp.clip(jnp.floor(place), 0, last).astype(jnp.int32)
        part = jnp.clip(place - left, 0.0, 1.0)[..., None]
        found = (1.0 - part) * self.table[left] + part * self.table[left + 1]
        return found[..., 0], jnp.exp(found[..., 1])


def log_law(law: NoiseLaw, dtype: str) -> LogLaw:
    """Return the table of a noise law in ``dtype``."""
    columns = np.stack([law.curvature, np.log(law.score_variance)], axis=1)
    step = (law.log_t[-1] - law.log_t[0]) / (len(law.log_t) - 1)
    return LogLaw(*(np.asarray(value, dtype) for value in (law.log_t[0], step, columns)))


def noise_law(quantiles: np.ndarray | None = None, loss: Loss = cauchy) -> NoiseLaw:
    """Tabulate the expectations for noise with these quantiles.

    Parameters
    ----------
    quantiles : array (k,), optional
        Equally probable values of (pixel - background) / (local noise), from source-free pixels.
        Gaussian noise of unit width if left out.
    loss : callable
        The loss that is fitted.

    Raises
    ------
    InputError
        If there are no quantiles, all are zero, or any is not finite.
    """
    if quantiles is None:
        probabilities = (np.arange(GAUSSIAN_QUANTILES) + 0.5) / GAUSSIAN_QUANTILES
        quantiles = np.array([NormalDist().inv_cdf(p) for p in probabilities])
    values = np.asarray(quantiles, float)
    if not (np.isfinite(values).all() and np.any(values)):
        raise InputError("the quantiles of the noise", "give finite values that are not all zero")
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        mean_curvature, mean_score = _expectations(values, loss)
        return NoiseLaw(LOG_T, np.asarray(mean_curvature), np.asarray(mean_score))


@partial(jax.jit, static_argnames="loss")
def _expectations(values: jax.Array, loss: Loss) -> tuple[jax.Array, jax.Array]:
    z = jnp.exp(LOG_T)[:, None] * values
    return jnp.mean(curvature(loss, z), axis=1), jnp.mean(score(loss, z) ** 2, axis=1)
