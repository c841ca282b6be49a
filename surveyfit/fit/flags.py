"""The flag bits that the fit itself decides."""

import numpy as np

from surveyfit.fit.bounds import LARGEST_ELLIPTICITY, SMALLEST_AMP, SMALLEST_SIGMA, largest_sigma
from surveyfit.fit.cutouts import Cutouts
from surveyfit.fit.model import FWHM_PER_SIGMA, ellipticity
from surveyfit.fit.result import FAILED, FitResult
from surveyfit.fit.units import local_noise
from surveyfit.schema import FitStatus, Flag

FEWEST_PIXELS = 21
"""Three for each parameter."""
FEWEST_CORE_FRACTION = 0.5
"""Of the pixels inside the half-maximum ellipse."""
LARGEST_CONDITION = 1e4
"""Of the scaled Hessian; well-sampled isolated sources have 5 to 15."""
SMALLEST_DRIFT = 2.0
"""Pixels that a centre may move, however small the source."""
ROUND_SIGMAS = 3.0
"""Below this ratio of ellipticity and its error the angle means nothing."""
OUTLIER_FRACTION = 0.2
"""None of 4096 fits is wrong with up to 30 % of the pixels hit, but their errors are uncertain."""
LARGEST_MISMATCH = 1.75
"""Noise alone stays below 1.55 in 8192 simulated sources of S/N 10 to 300."""
MISMATCH_SNR = 10.0
"""Fainter sources do not tell a wrong model from noise."""
BOUND_MARGIN = 1e-3
"""Relative distance from a bound that counts as being there."""


def fit_flags(cutouts: Cutouts, result: FitResult) -> np.ndarray:
    """Return flags (n,) int32, bits of `surveyfit.schema.Flag`; zero is a checked success."""
    failed = np.isin(result.status, FAILED)
    fitted = {
        Flag.FEW_PIXELS: _few_pixels(result),
        # A fit that stalled has not converged either.
        Flag.MAX_ITERATIONS: np.isin(result.status, (FitStatus.MAX_ITERATIONS, FitStatus.STALLED)),
        Flag.HESSIAN_NOT_PD: ~np.isfinite(result.cov_crb).all(axis=(1, 2)),
        Flag.ILL_CONDITIONED: result.hess_cond > LARGEST_CONDITION,
        Flag.POSITION_DRIFT: _drifted(cutouts, result),
        Flag.NEGATIVE_AMP: _no_amplitude(cutouts, result),
        Flag.SHAPE_AT_BOUND: _ellipticity(result) >= LARGEST_ELLIPTICITY * (1 - BOUND_MARGIN),
        Flag.SIZE_AT_BOUND: _size_at_bound(cutouts, result),
        Flag.PA_UNDEFINED: _round(result),
        Flag.OUTLIER_HEAVY: result.n_outlier > OUTLIER_FRACTION * result.n_pix,
        Flag.MODEL_MISMATCH: _mismatched(result),
        Flag.MASKED_PIXELS: result.missing > 0,
        Flag.FORCED: _forced(cutouts),
    }
    flags = np.where(failed, int(Flag.NO_DATA), 0)
    for flag, raised in fitted.items():
        flags |= np.where(raised & ~failed, int(flag), 0)
    return flags.astype(np.int32)


def _ellipticity(result: FitResult) -> np.ndarray:
    return ellipticity(result.params[:, 4], result.params[:, 5])


def _few_pixels(result: FitResult) -> np.ndarray:
    few_core = result.core_used < FEWEST_CORE_FRACTION * result.core
    return (result.n_pix < FEWEST_PIXELS) | few_core


def _drifted(cutouts: Cutouts, result: FitResult) -> np.ndarray:
    start = np.asarray(cutouts.start, float)
    moved = np.hypot(*(result.params - start)[:, :2].T)
    return moved > np.maximum(SMALLEST_DRIFT, FWHM_PER_SIGMA * start[:, 3])


def _forced(cutouts: Cutouts) -> np.ndarray:
    if cutouts.fixed is None:
        return np.zeros(len(cutouts.start), bool)
    return np.any(cutouts.fixed, axis=1)


def _no_amplitude(cutouts: Cutouts, result: FitResult) -> np.ndarray:
    smallest = SMALLEST_AMP * local_noise(np.asarray(cutouts.noise, float))
    return result.params[:, 2] <= smallest * (1 + BOUND_MARGIN)


def _size_at_bound(cutouts: Cutouts, result: FitResult) -> np.ndarray:
    sigma, largest = result.params[:, 3], largest_sigma(cutouts.pixels.shape[-1])
    return (sigma <= SMALLEST_SIGMA * (1 + BOUND_MARGIN)) | (sigma >= largest * (1 - BOUND_MARGIN))


def _round(result: FitResult) -> np.ndarray:
    """Return whether the ellipticity is zero within its error (delta method)."""
    rho, diff, e = result.params[:, 4], result.params[:, 5], _ellipticity(result)
    slope = np.stack([0.25 * rho, diff], axis=1)
    # e * error(e): no division by an ellipticity of zero.
    variance = np.einsum("ni,nij,nj->n", slope, result.cov[:, 4:6, 4:6], slope)
    return e * e <= ROUND_SIGMAS * np.sqrt(variance)


def _mismatched(result: FitResult) -> np.ndarray:
    bright = result.params[:, 2] > MISMATCH_SNR * np.sqrt(result.cov[:, 2, 2])
    return bright & (result.mismatch > LARGEST_MISMATCH)
