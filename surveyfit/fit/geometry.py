"""Axes and angles of ellipses, from the parameters or from a 2 x 2 covariance, and their flux.

Written for one source in jax.numpy, to be differentiated: where a square root or an angle has no
derivative (a round source), the derivative is made zero, and the value stays right.
"""

import jax
import jax.numpy as jnp

from surveyfit.fit.model import FWHM_PER_SIGMA


def safe_sqrt(value: jax.Array) -> jax.Array:
    """Return sqrt(max(value, 0)) with a derivative of zero where value <= 0."""
    zero = value <= 0.0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, value)))


def half_turn_angle(sine: jax.Array, cosine: jax.Array) -> jax.Array:
    """Return half the angle of (cosine, sine), degrees in [0, 180); zero for a null vector."""
    null = (sine == 0.0) & (cosine == 0.0)
    angle = 0.5 * jnp.arctan2(sine, jnp.where(null, 1.0, cosine))
    return jnp.mod(jnp.degrees(angle), 180.0)


def shape_covariance(params: jax.Array) -> jax.Array:
    """Return the covariance (2, 2) of the Gaussian of ``params`` (7,) as a distribution in x, y.

    The inverse of ((1 + diff, rho/2), (rho/2, 1 - diff)) / sigma^2.
    """
    _, _, _, sigma, rho, diff, _ = params
    adjugate = jnp.array([[1.0 - diff, -0.5 * rho], [-0.5 * rho, 1.0 + diff]])
    return adjugate * sigma**2 / (1.0 - diff**2 - 0.25 * rho**2)


def sky_covariance(params: jax.Array, jacobian: jax.Array) -> jax.Array:
    """Return the source's shape (2, 2), arcsec^2, as covariance in (north, east)."""
    north_east = jacobian[::-1]
    return north_east @ shape_covariance(params) @ north_east.T


def principal_variances(matrix: jax.Array) -> jax.Array:
    """Return the eigenvalues (2,) of a symmetric matrix (2, 2), the larger first."""
    mean = 0.5 * (matrix[0, 0] + matrix[1, 1])
    half = safe_sqrt((0.5 * (matrix[0, 0] - matrix[1, 1])) ** 2 + matrix[0, 1] ** 2)
    return jnp.array([mean + half, mean - half])


def major_angle(matrix: jax.Array) -> jax.Array:
    """Return the angle of the major axis from the first axis to the second, in [0, 180)."""
    return half_turn_angle(2.0 * matrix[0, 1], matrix[0, 0] - matrix[1, 1])


def fwhm_ellipse(matrix: jax.Array) -> jax.Array:
    """Return FWHM along the axes, and the angle (degrees), of a Gaussian's covariance (2, 2)."""
    axes = FWHM_PER_SIGMA * safe_sqrt(principal_variances(matrix))
    return jnp.array([axes[0], axes[1], major_angle(matrix)])


def fwhm_covariance(major: jax.Array, minor: jax.Array, angle: jax.Array) -> jax.Array:
    """Return the covariance (2, 2) of a Gaussian of these FWHM, angle in degrees as above."""
    turn = jnp.radians(angle)
    along = jnp.array([jnp.cos(turn), jnp.sin(turn)])
    across = jnp.array([-along[1], along[0]])
    spread = major**2 * jnp.outer(along, along) + minor**2 * jnp.outer(across, across)
    return spread / FWHM_PER_SIGMA**2


def integrated_flux(params: jax.Array) -> jax.Array:
    """Return 2 pi amp sigma^2 / sqrt(1 - e^2), in amp * pixel^2."""
    _, _, amp, sigma, rho, diff, _ = params
    return 2.0 * jnp.pi * amp * sigma**2 * (1.0 - diff**2 - 0.25 * rho**2) ** -0.5
