"""A source with the beam removed: both are Gaussians, so their covariances are subtracted."""

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri

from surveyfit.fit.geometry import fwhm_covariance, half_turn_angle, safe_sqrt, sky_covariance

LIMIT_CONFIDENCE = 0.95
"""Of an upper limit: whatever the true size, at most one source in twenty gets a limit below it."""


def without_beam(
    params: jax.Array, cov: jax.Array, jacobian: jax.Array, beam: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return squared sigmas (2,) along the axes of what the beam leaves, their errors, the angle.

    The elongation is the length of a vector, and noise makes a vector longer whatever its
    direction. What it adds is taken off as for polarised light (Wardle & Kronberg 1974, ApJ 194,
    249): from the square of the length, the variance across it. That removes the bias of the axes
    of an elongated source, and two fifths of that of a round one.

    Returns
    -------
    squares, errors : array (2,)
        Of the major axis and of the minor one, arcsec^2; noise can make squares negative.
    angle, angle_error : array ()
        Degrees east of north.
    """
    beam_covariance = fwhm_covariance(*beam)

    def mean_and_elongation(p: jax.Array) -> jax.Array:
        rest = sky_covariance(p, jacobian) - beam_covariance
        total, difference = rest[0, 0] + rest[1, 1], rest[0, 0] - rest[1, 1]
        return jnp.array([0.5 * total, 0.5 * difference, rest[0, 1]])

    slope = jax.jacfwd(mean_and_elongation)(params)
    covariance = slope @ cov @ slope.T
    mean, along_north, across = mean_and_elongation(params)
    length = jnp.hypot(along_north, across)
    cosine = jnp.where(length == 0.0, 1.0, along_north / length)
    sine = jnp.where(length == 0.0, 0.0, across / length)
    axes = jnp.array([[1.0, cosine, sine], [1.0, -cosine, -sine], [0.0, -sine, cosine]])
    variances = jnp.einsum("ki,ij,kj->k", axes, covariance, axes)
    elongation = safe_sqrt(length**2 - variances[2])
    squares = jnp.array([mean + elongation, mean - elongation])
    angle_error = jnp.degrees(0.5 * jnp.sqrt(variances[2]) / length)
    return squares, jnp.sqrt(variances[:2]), half_turn_angle(across, along_north), angle_error


def upper_limit(value: jax.Array, error: jax.Array) -> jax.Array:
    """Return the upper limit of a quantity that cannot be negative, at `LIMIT_CONFIDENCE`.

    One-sided, of a normal law about the value, cut off at zero (Helene 1983, NIM 212, 319). A
    value below zero counts as zero, so that no limit is better than the error allows.
    """
    known = jnp.maximum(value, 0.0)
    exceeded = (1.0 - LIMIT_CONFIDENCE) * ndtr(known / jnp.where(error > 0.0, error, 1.0))
    return known - error * ndtri(exceeded)
