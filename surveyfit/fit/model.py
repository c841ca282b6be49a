"""The elliptical Gaussian that is fitted to every source, and its geometry.

With dx = x - x0, dy = y - y0 the model is ::

    m = amp * exp(-(r2 + rho*dx*dy + diff*(dx2 - dy2)) / (2 sigma2)) + bkg,    r2 = dx2 + dy2

an ellipse for e = sqrt(diff2 + rho2/4) < 1. Parameters stand on the last axis, in the order of
`surveyfit.schema.PARAMETERS`. The functions take any array module, so that the same lines run
under NumPy and under JAX.
"""

from math import log, sqrt
from types import ModuleType
from typing import Any

Array = Any
"""A NumPy or a JAX array; in the records that travel to the device and back it is either."""

FWHM_PER_SIGMA = 2.0 * sqrt(2.0 * log(2.0))
"""Full width at half maximum of a Gaussian of unit sigma."""

HALF_MAXIMUM_FORM = 2.0 * log(2.0)
"""Value of `quadratic_form` on the ellipse where the Gaussian has fallen to half its peak."""


def quadratic_form(params: Array, x: Array, y: Array, xp: ModuleType) -> Array:
    """Return the squared distance from the centre in units of the elliptical sigma.

    Parameters
    ----------
    params : array (..., 7)
    x, y : array
        Column and row in pixels; broadcast against the leading axes of ``params``.
    xp : module
        numpy or jax.numpy.
    """
    x0, y0, _, sigma, rho, diff, _ = xp.unstack(params, axis=-1)
    dx, dy = x - x0, y - y0
    return ((1.0 + diff) * dx * dx + rho * dx * dy + (1.0 - diff) * dy * dy) / (sigma * sigma)


def gaussian(params: Array, x: Array, y: Array, xp: ModuleType) -> Array:
    """Return the model at (x, y) in the units of ``amp``; arguments as for `quadratic_form`."""
    _, _, amp, _, _, _, bkg = xp.unstack(params, axis=-1)
    return amp * xp.exp(-0.5 * quadratic_form(params, x, y, xp)) + bkg


def ellipticity(rho: Array, diff: Array) -> Array:
    """Return e = sqrt(diff2 + rho2/4); its gradient is not finite at e = 0."""
    return (diff * diff + 0.25 * rho * rho) ** 0.5


def pixel_scale(noise: Array, amp: Array, model_error: Array) -> Array:
    """Return the width s that is expected of a residual: s2 = noise2 + (model_error * amp)2.

    The second term is what an elliptical Gaussian cannot describe of a real source. It is the
    same over the whole cutout: let it grow with the model, and the wings win over the core.
    """
    return (noise * noise + (model_error * amp) ** 2) ** 0.5


def pixel_sigma(noise: Array, signal: Array, electrons: Array, xp: ModuleType) -> Array:
    """Return the 1-sigma random noise of a pixel, with the photon noise of the source.

    Parameters
    ----------
    noise : array
        Noise without the source.
    signal : array
        Model above the background, same unit as ``noise``.
    electrons : array
        Electrons per unit; infinite adds no photon noise.
    """
    return (noise * noise + xp.maximum(signal, 0.0) / electrons) ** 0.5
