"""``astropy.modeling``: Gaussian2D plus Const2D by least squares, one cutout a call."""

import warnings

import numpy as np
from astropy.modeling.fitting import TRFLSQFitter
from astropy.modeling.models import Const2D, Gaussian2D

from fitters.measured import Floats, Measured
from fitters.problem import Problem


def fit(problem: Problem) -> Measured:
    """Fit with the fitter that astropy recommends; there is no robust loss."""
    y, x = np.mgrid[: problem.pixels.shape[1], : problem.pixels.shape[2]].astype(float)
    fitter = TRFLSQFitter(calc_uncertainties=True)
    rows = []
    for start, data in zip(problem.start, problem.pixels.astype(float), strict=True):
        x0, y0, amp, sigma, _, _, bkg = start
        model = Gaussian2D(amp, x0, y0, sigma, sigma) + Const2D(bkg)
        # Fits that run away overflow, and warn of it.
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            found = fitter(model, x, y, data, weights=np.ones_like(data))
        info = fitter.fit_info
        rows.append(_row(found.parameters, info["param_cov"], not info.success))
    return Measured(*(np.array(column) for column in zip(*rows, strict=True)))


def _row(params: Floats, covariance: Floats | None, flagged: bool) -> tuple[float, ...]:
    """Return the numbers of `Measured` for one source; the flux is 2 pi amp |sx sy|."""
    amp, x0, y0, sx, sy, _, _ = params
    flux = 2 * np.pi * amp * abs(sx * sy)
    if covariance is None:
        return x0, y0, flux, np.nan, np.nan, True
    slope = np.array([1 / amp, 0, 0, 1 / sx, 1 / sy, 0, 0])
    flux_err = abs(flux) * np.sqrt(slope @ covariance @ slope)
    return x0, y0, flux, np.sqrt(covariance[1, 1]), flux_err, flagged
