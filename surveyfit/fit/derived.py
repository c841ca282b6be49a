"""What astronomers read from the fit: flux, axes, angles, in pixels and on the sky, with errors.

Errors are by the delta method with the full covariance, derivatives by automatic differentiation,
in float64 on the host: it is little work, and image units of 1e-12 need it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from surveyfit.fit.deconvolution import upper_limit, without_beam
from surveyfit.fit.geometry import (
    fwhm_covariance,
    fwhm_ellipse,
    integrated_flux,
    safe_sqrt,
    shape_covariance,
    sky_covariance,
)
from surveyfit.fit.model import FWHM_PER_SIGMA
from surveyfit.fit.on_host import in_chunks

LARGEST_ANGLE_ERROR = 180.0 / 12.0**0.5
"""Degrees: the standard deviation of an angle of which nothing is known."""

RESOLVED_SIGMAS = 2.0
"""A size counts as resolved where its square exceeds the beam's by this many errors: 1 to 5 % of
point sources do (benchmarks/deconvolution.py)."""


def pixel_quantities(params: np.ndarray, cov: np.ndarray) -> dict[str, np.ndarray]:
    """Return flux and shape in pixels.

    Parameters
    ----------
    params : array (n, 7)
        Linear parameters.
    cov : array (n, 7, 7)
        Their covariance.

    Returns
    -------
    dict of array (n,)
        flux_int (amp * pixel^2), maj_pix, min_pix (FWHM, pixels), pa_pix (degrees in [0, 180),
        from +x to +y), each with its ``_err``. NaN where the parameters are. An error of an angle
        is at most 52 degrees, that of an unknown angle.
    """
    quantities: dict[str, np.ndarray] = in_chunks(_pixel_one, params, cov)
    return quantities


def sky_quantities(
    params: np.ndarray, cov: np.ndarray, jacobian: np.ndarray, beam: np.ndarray
) -> dict[str, np.ndarray]:
    """Return position errors and shape on the sky, and the shape with the beam removed.

    Parameters
    ----------
    params, cov : array (n, 7), (n, 7, 7)
        As for `pixel_quantities`.
    jacobian : array (n, 2, 2)
        Arcsec per pixel at the source: rows east and north, columns x and y.
    beam : array (n, 3)
        FWHM of major and minor axis in arcsec, position angle in degrees east of north.

    Returns
    -------
    dict of array (n,)
        ra_err, dec_err (arcsec on the sky), ra_dec_corr; maj_axis, min_axis (FWHM, arcsec),
        pos_ang (degrees east of north) with ``_err``; compactness with ``_err``: the area of the
        beam over that of the source; maj_axis, min_axis and pos_ang with ``_deconv``; deconv_code:
        the number of axes that are not resolved, 0 to 2. An axis that is not resolved holds an
        upper limit (`upper_limit`) and no ``_err``. NaN where jacobian, beam or parameters are.
    """
    quantities: dict[str, np.ndarray] = in_chunks(_sky_one, params, cov, jacobian, beam)
    return quantities


def _with_errors(
    function: Callable[[jax.Array], jax.Array], params: jax.Array, cov: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the values of a function of the parameters, and their errors by the delta method."""
    slope = jax.jacfwd(function)(params)
    return function(params), jnp.sqrt(jnp.einsum("ij,jk,ik->i", slope, cov, slope))


def _named(names: tuple[str, ...], values: jax.Array, errors: jax.Array) -> dict[str, jax.Array]:
    return {
        key: column
        for name, value, error in zip(names, values, errors, strict=True)
        for key, column in ((name, value), (f"{name}_err", error))
    }


def _angle_error(error: jax.Array, value: jax.Array, round_: jax.Array) -> jax.Array:
    """Return the error of an angle: the one of an unknown angle for a round ellipse."""
    capped = jnp.where(round_, LARGEST_ANGLE_ERROR, jnp.minimum(error, LARGEST_ANGLE_ERROR))
    return jnp.where(jnp.isfinite(value), capped, jnp.nan)


def _pixel_one(params: jax.Array, cov: jax.Array) -> dict[str, jax.Array]:
    def values_of(p: jax.Array) -> jax.Array:
        return jnp.append(integrated_flux(p), fwhm_ellipse(shape_covariance(p)))

    values, errors = _with_errors(values_of, params, cov)
    errors = errors.at[3].set(_angle_error(errors[3], values[3], values[1] == values[2]))
    return _named(("flux_int", "maj_pix", "min_pix", "pa_pix"), values, errors)


def _sky_one(
    params: jax.Array, cov: jax.Array, jacobian: jax.Array, beam: jax.Array
) -> dict[str, jax.Array]:
    position = jacobian @ cov[:2, :2] @ jacobian.T
    ra_err, dec_err = jnp.sqrt(position[0, 0]), jnp.sqrt(position[1, 1])
    values, errors = _with_errors(lambda p: fwhm_ellipse(sky_covariance(p, jacobian)), params, cov)
    errors = errors.at[2].set(_angle_error(errors[2], values[2], values[0] == values[1]))
    return {
        "ra_err": ra_err,
        "dec_err": dec_err,
        "ra_dec_corr": position[0, 1] / (ra_err * dec_err),
        **_named(("maj_axis", "min_axis", "pos_ang"), values, errors),
        **_compactness(params, cov, jacobian, beam),
        **_deconvolved(params, cov, jacobian, beam),
    }


def _compactness(
    params: jax.Array, cov: jax.Array, jacobian: jax.Array, beam: jax.Array
) -> dict[str, jax.Array]:
    """Divide the beam's area by the source's: the root of the ratio of the determinants."""
    beam_determinant = jnp.linalg.det(fwhm_covariance(*beam))

    def ratio(p: jax.Array) -> jax.Array:
        return jnp.sqrt(beam_determinant / jnp.linalg.det(sky_covariance(p, jacobian)))[None]

    return _named(("compactness",), *_with_errors(ratio, params, cov))


def _deconvolved(
    params: jax.Array, cov: jax.Array, jacobian: jax.Array, beam: jax.Array
) -> dict[str, jax.Array]:
    """Subtract the beam's covariance; judge each axis by the error of what is left."""
    squares, errors, angle, angle_error = without_beam(params, cov, jacobian, beam)
    resolved = squares > RESOLVED_SIGMAS * errors
    resolved = resolved.at[1].set(resolved[0] & resolved[1])
    sizes = FWHM_PER_SIGMA * safe_sqrt(jnp.where(resolved, squares, upper_limit(squares, errors)))
    sizes = sizes.at[1].set(jnp.minimum(sizes[0], sizes[1]))
    size_errors = jnp.where(resolved, 0.5 * FWHM_PER_SIGMA**2 * errors / sizes, jnp.nan)
    angle = jnp.where(resolved[0], angle, jnp.nan)
    code = jnp.where(jnp.all(jnp.isfinite(squares)), 2.0 - jnp.sum(resolved), jnp.nan)
    names = ("maj_axis_deconv", "min_axis_deconv", "pos_ang_deconv")
    angle_error = _angle_error(angle_error, angle, squares[0] == squares[1])
    named = _named(names, jnp.append(sizes, angle), jnp.append(size_errors, angle_error))
    return named | {"deconv_code": code}
