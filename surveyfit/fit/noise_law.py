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

LOG_T = np.linspace(np.log(1e-6), np.log(1e2), 256)
"""From sources of peak S/N near a million (model error over noise) to a scale far too small."""

GAUSSIAN_QUANTILES = 2001
"""Midpoints that stand for Gaussian noise; E[q^2] is then right to 1e-3."""


class NoiseLaw(NamedTuple):
    """Expectations over the noise, each (k,), against the logarithm of t.

    Attributes
    ----------
    log_t : array (k,)
        Increasing.
    curvature : array (k,)
        E[loss''(t q)] for noise q of unit local noise.
    score_variance : array (k,)
        E[loss'(t q)^2]; goes as t^2 for small t, so it is interpolated in its logarithm.
    """

    log_t: np.ndarray
    curvature: np.ndarray
    score_variance: np.ndarray


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
