"""``photutils.psf``: a Gaussian of free shape, all cutouts laid side by side in one image."""

import warnings

import numpy as np
from astropy.table import Table
from photutils.background import LocalBackground
from photutils.psf import GaussianPSF, PSFPhotometry

from fitters.measured import Measured
from fitters.problem import Problem

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))


def fit(problem: Problem) -> Measured:
    """Fit centre, flux, both widths and the angle; the level is the median of a ring around."""
    n, side, _ = problem.pixels.shape
    image = problem.pixels.astype(float).transpose(1, 0, 2).reshape(side, n * side)
    first = side * np.arange(n)
    x0, y0, amp, sigma = problem.start[:, :4].T
    start = Table(
        {
            "x_init": x0 + first,
            "y_init": y0,
            "flux_init": 2 * np.pi * amp * sigma**2,
            "x_fwhm_init": FWHM_PER_SIGMA * sigma,
            "y_fwhm_init": FWHM_PER_SIGMA * sigma,
        }
    )
    model = GaussianPSF()
    for name in ("x_fwhm", "y_fwhm", "theta"):
        getattr(model, name).fixed = False
    ring = LocalBackground(inner_radius=0.6 * side / 2, outer_radius=0.9 * side / 2)
    photometry = PSFPhotometry(model, side - 1, local_bkg_estimator=ring)
    # Fits that run away overflow, and warn of it.
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        found = photometry(image, error=np.ones_like(image), init_params=start)
    columns = ("x_fit", "y_fit", "flux_fit", "x_err", "flux_err")
    x, y, flux, x_err, flux_err = (np.asarray(found[name], float) for name in columns)
    return Measured(x - first, y, flux, x_err, flux_err, np.asarray(found["flags"]) != 0)
