"""The catalogue columns that come from a fit alone, by the names of `surveyfit.schema`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveyfit.fit.moments import AMP
from surveyfit.fit.result import FitResult
from surveyfit.schema import PACKED, PARAMETERS

Columns = dict[str, NDArray[Any]]


def model_columns(params: np.ndarray, cov: np.ndarray, cov_crb: np.ndarray) -> Columns:
    """Return parameters, errors and covariances, position, peak flux and its S/N.

    Parameters
    ----------
    params : array (n, 7)
        Linear; positions are reported as they stand here.
    cov, cov_crb : array (n, 7, 7)
        Published covariance, and the Cramer-Rao one.
    """
    errors, bounds = (np.sqrt(np.diagonal(c, axis1=1, axis2=2)) for c in (cov, cov_crb))
    columns: Columns = {}
    for i, name in enumerate(PARAMETERS):
        columns[f"fit_{name}"] = params[:, i]
        columns[f"fit_{name}_err"] = errors[:, i]
        columns[f"fit_{name}_crb"] = bounds[:, i]
    rows, places = np.array(PACKED).T
    columns["fit_cov"] = cov[:, rows, places]
    columns["fit_cov_crb"] = cov_crb[:, rows, places]
    for name, parameter in (("x", "x0"), ("y", "y0"), ("flux_peak", "amp")):
        columns[name] = columns[f"fit_{parameter}"]
        columns[f"{name}_err"] = columns[f"fit_{parameter}_err"]
    # A peak that is held has no error, and no S/N.
    amp, amp_error = params[:, AMP], errors[:, AMP]
    columns["snr"] = amp / np.where(amp_error > 0, amp_error, np.nan)
    return columns


def quality_columns(result: FitResult) -> Columns:
    """Return what tells how the fits went."""
    names = ("gamma", "nll", "gof", "n_pix", "n_outlier", "resid_max", "n_iter", "grad_norm")
    return {
        **{name: getattr(result, name) for name in (*names, "hess_cond")},
        "fit_status": result.status,
        "corr_noise_factor": result.correlation_factor,
    }
