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
from jax import lax

from surveyfit.errors import InputError
from surveyfit.fit.loss import Loss, cauchy, curvature, score
from surveyfit.fit.model import Array

SMALLEST_T = 1e-6
LOG_T = np.linspace(np.log(SMALLEST_T), np.log(1e2), 256)
"""From sources of peak S/N near a million (model error over noise) to a scale far too small."""

LARGEST_SURPLUS = 3.0
"""Times the variance. The expansion means nothing where E[l''] is near zero: scales too small."""

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
    surplus : array (k,)
        What each unit of a pixel's leverage adds to that variance; see `surplus_variance`.
    """

    log_t: np.ndarray
    curvature: np.ndarray
    score_variance: np.ndarray
    surplus: np.ndarray


class LogLaw(NamedTuple):
    """A `NoiseLaw` in the form in which the compiled code looks it up.

    Attributes
    ----------
    first, step : array ()
        First log t, and the distance to the next; the table is evenly spaced.
    table : array (k, 3)
        Curvature, logarithm of the score's variance, and surplus.
    """

    first: Array
    step: Array
    table: Array

    def at(self, t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return curvature, variance of the score and surplus at each t; zero is the smallest t."""
        place = (jnp.log(jnp.maximum(t, SMALLEST_T)) - self.first) / self.step
        last = self.table.shape[0] - 2
        left = jnp.clip(jnp.floor(place), 0, last).astype(jnp.int32)
        part = jnp.clip(place - left, 0.0, 1.0)[..., None]
        found = (1.0 - part) * self.table[left] + part * self.table[left + 1]
        return found[..., 0], jnp.exp(found[..., 1]), found[..., 2]


def log_law(law: NoiseLaw, dtype: str) -> LogLaw:
    """Return the table of a noise law in ``dtype``."""
    columns = np.stack([law.curvature, np.log(law.score_variance), law.surplus], axis=1)
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
        found = _expectations(values, loss)
        return NoiseLaw(LOG_T, *(np.asarray(column) for column in found))


@partial(jax.jit, static_argnames="loss")
def _expectations(values: jax.Array, loss: Loss) -> tuple[jax.Array, ...]:
    def at(log_t: jax.Array) -> tuple[jax.Array, ...]:
        z = jnp.exp(log_t) * values
        first, second = score(loss, z), curvature(loss, z)
        return jnp.mean(second), jnp.mean(first**2), surplus_variance(loss, z)

    return lax.map(at, jnp.asarray(LOG_T))


def surplus_variance(loss: Loss, z: jax.Array) -> jax.Array:
    """Return how the variance of a score grows with the leverage of its pixel, to first order.

    A fit rests on few pixels. Where some of them are hit, less is known than expected, and a pixel
    that pulls at the fit changes its own residual. With a = E[l_2], b = E[l_1^2], l_k the k-th
    derivative of the loss, and the leverage h = w^2 dm^T A^-1 dm of a pixel, the covariance of an
    M-estimator is to second order in 1/n (von Mises expansion) that of scores of variance
    b + kappa h, ::

        kappa = -2 cov(l_2, l_1^2) + 3 (var(l_2) + E[l_3 l_1]) b / a - E[l_4] (b / a)^2
    """
    orders: list[Loss] = [partial(score, loss)]
    for _ in range(3):
        orders.append(partial(_derivative, orders[-1]))
    l1, l2, l3, l4 = (order(z) for order in orders)
    a, b = jnp.mean(l2), jnp.mean(l1**2)
    together = jnp.mean(l2 * l1**2) - a * b
    spread = jnp.mean(l2**2) - a**2 + jnp.mean(l3 * l1)
    kappa = -2.0 * together + 3.0 * spread * b / a - jnp.mean(l4) * (b / a) ** 2
    return jnp.clip(kappa, 0.0, LARGEST_SURPLUS * b)


def _derivative(function: Loss, z: jax.Array) -> jax.Array:
    return jax.jvp(function, (z,), (jnp.ones_like(z),))[1]
