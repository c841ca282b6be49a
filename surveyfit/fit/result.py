"""What comes out of a batch of fits, in image units."""

from typing import NamedTuple

import numpy as np

from surveyfit.schema import FitStatus

FAILED = (FitStatus.NOT_FINITE, FitStatus.NO_DATA)
"""Rows of these statuses hold no numbers."""


class FitResult(NamedTuple):
    """The fits, one row a cutout, in image units; NaN in the rows of a failed status.

    Attributes
    ----------
    params : array (n, 7)
        Linear, in pixels from the cutout's first pixel.
    cov, cov_crb : array (n, 7, 7)
        Published covariance, and the inverse of the Hessian (NaN where not positive definite).
    correlation_factor : array (n,)
        Published error of the amplitude over the one for independent pixels.
    gamma : array (n,)
        Scale of the likelihood for a pixel of the local noise.
    nll : array (n,)
        Sum of the loss + log(norm gamma_i) over the used pixels; for a Cauchy norm is pi.
    gof, resid_max, mismatch, n_pix, n_outlier, core, core_used, missing : array (n,)
        See `surveyfit.fit.appraisal`.
    grad_norm : array (n,)
        Distance from the optimum at the end, in errors of ``cov_crb``.
    hess_cond : array (n,)
        Condition number (1-norm) of the Hessian scaled to unit diagonal.
    n_iter, status : array (n,) of int32
        Newton steps; `surveyfit.schema.FitStatus`.
    """

    params: np.ndarray
    cov: np.ndarray
    cov_crb: np.ndarray
    correlation_factor: np.ndarray
    gamma: np.ndarray
    nll: np.ndarray
    gof: np.ndarray
    resid_max: np.ndarray
    grad_norm: np.ndarray
    hess_cond: np.ndarray
    mismatch: np.ndarray
    n_pix: np.ndarray
    n_outlier: np.ndarray
    core: np.ndarray
    core_used: np.ndarray
    missing: np.ndarray
    n_iter: np.ndarray
    status: np.ndarray


def without_failed_numbers(result: FitResult) -> FitResult:
    """Return the result with NaN for every number of the rows that failed."""
    failed = np.isin(result.status, FAILED)

    def blank(column: np.ndarray) -> np.ndarray:
        if np.issubdtype(column.dtype, np.integer):
            return column
        return np.where(failed.reshape(-1, *[1] * (column.ndim - 1)), np.nan, column)

    return FitResult(*(blank(column) for column in result))
