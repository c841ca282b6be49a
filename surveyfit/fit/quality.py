"""How well a fitted model describes its pixels: numbers for the catalogue and for the flags."""

from typing import NamedTuple

import numpy as np

from surveyfit.fit.model import gaussian, pixel_scale, pixel_sigma
from surveyfit.fit.solve import Solution, Source

SIGMA_PER_MEDIAN = 1.4826
"""Standard deviation over the median of |x| for Gaussian x."""

CORE_FRACTION = 0.1
"""Pixels where the model exceeds this fraction of its peak are the pixels of the source."""

OUTLIER_SIGMAS = 5.0
"""Beyond this a pixel is an outlier: Gaussian noise reaches it once in two million pixels."""


class Quality(NamedTuple):
    """Numbers (n,) about the residuals.

    Attributes
    ----------
    gof : float
        1.4826 median |residual| / sigma_i over the pixels of the source; sigma_i is random noise
        (with photons); NaN where the source has no used pixel.
    mismatch : float
        The same with the model error in the denominator: sqrt(sigma_i^2 + (model_error amp)^2).
    resid_max : float
        Largest |residual| / sigma_i of the used pixels.
    log_scale : float
        Sum of the logarithm of the Cauchy scale over the used pixels.
    n_pix, n_outlier : int32
        Used pixels; those of them further off than 5 sqrt(sigma_i^2 + (model_error amp)^2).
    """

    gof: np.ndarray
    mismatch: np.ndarray
    resid_max: np.ndarray
    log_scale: np.ndarray
    n_pix: np.ndarray
    n_outlier: np.ndarray


def quality(source: Source, solution: Solution, gamma: float, model_error: float) -> Quality:
    """Judge the solutions of n sources; arrays of `Source` and `Solution` have a leading n."""
    side = source.data.shape[-1]
    params = solution.params[:, None, None, :]
    x = np.arange(side) - source.origin[:, 0, None, None]
    y = np.arange(side)[:, None] - source.origin[:, 1, None, None]
    model = gaussian(params, x, y, np)
    amp, signal = params[..., 2], model - params[..., 6]
    sigma = pixel_sigma(source.noise, signal, source.electrons[:, None, None], np)
    residual = np.where(source.used, np.abs(model - source.data), np.nan)
    expected = pixel_scale(sigma, amp, model_error)
    core = source.used & (signal > CORE_FRACTION * amp)
    scale = gamma * pixel_scale(source.noise, solution.scale_amp[:, None, None], model_error)
    # A fit that ran away may have no noise left in its own units; its row says so.
    with np.errstate(divide="ignore", invalid="ignore"):
        return Quality(
            gof=SIGMA_PER_MEDIAN * _median(residual / sigma, core),
            mismatch=SIGMA_PER_MEDIAN * _median(residual / expected, core),
            resid_max=np.max(residual / sigma, axis=(1, 2), where=source.used, initial=0.0),
            log_scale=np.sum(np.log(scale), axis=(1, 2), where=source.used),
            n_pix=np.sum(source.used, axis=(1, 2)).astype(np.int32),
            n_outlier=np.sum(residual > OUTLIER_SIGMAS * expected, axis=(1, 2)).astype(np.int32),
        )


def _median(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the median (n,) of values (n, side, side) over the pixels ``where``; NaN if none."""
    n, height, width = values.shape
    ordered = np.sort(np.where(where, values, np.inf).reshape(n, height * width), axis=1)
    count = where.sum(axis=(1, 2))
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[:, None] // 2, axis=1)
    high = np.take_along_axis(ordered, count[:, None] // 2, axis=1)
    return np.where(count > 0, 0.5 * (low + high)[:, 0], np.nan)
