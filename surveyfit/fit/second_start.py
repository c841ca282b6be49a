"""Another start for the fits whose end looks wrong, and the choice between the two."""

import warnings

import numpy as np

from surveyfit.fit.cutouts import Cutouts
from surveyfit.fit.moments import AMP
from surveyfit.fit.result import FitResult
from surveyfit.fit.units import local_noise
from surveyfit.schema import FitStatus

SECOND_SIGMA = 1.2
"""Pixels. A second start is no smaller: what looked smaller was an outlier."""

SAME_SOURCE = 0.5
"""Of the first start's amplitude: a second fit that finds less has found something else."""


def looks_wrong(result: FitResult) -> np.ndarray:
    """Return which fits (n,) deserve a second start: unfinished, at a bound, or at no minimum."""
    no_minimum = ~np.isfinite(result.cov_crb).all(axis=(1, 2))
    return (result.status != FitStatus.NO_DATA) & (
        (result.status != FitStatus.CONVERGED) | no_minimum
    )


def second_start(cutouts: Cutouts) -> np.ndarray:
    """Return another start (n, 7): round, and with medians, which outliers do not move.

    The level is the median of the cutout, the peak that of the 3 x 3 pixels around the old start.
    """
    start = np.array(cutouts.start, np.float64)
    side = cutouts.pixels.shape[-1]
    around = np.arange(-1, 2)
    x, y = (
        np.clip(np.rint(np.nan_to_num(start[:, k, None])).astype(int) + around, 0, side - 1)
        for k in (0, 1)
    )
    rows = np.arange(len(start))[:, None, None]
    with warnings.catch_warnings():
        # Cutouts without any pixel: their medians are NaN, and their status says so.
        warnings.simplefilter("ignore", RuntimeWarning)
        level = np.nanmedian(cutouts.pixels, axis=(1, 2))
        peak = np.nanmedian(cutouts.pixels[rows, y[:, :, None], x[:, None, :]], axis=(1, 2)) - level
    noise = local_noise(np.asarray(cutouts.noise, np.float64))
    start[:, 2], start[:, 6] = np.fmax(peak, noise), level
    start[:, 3] = np.maximum(start[:, 3], SECOND_SIGMA)
    start[:, 4:6] = 0.0
    if cutouts.fixed is not None:
        start = np.where(cutouts.fixed, cutouts.start, start)
    return start


def with_better_rows(
    first: FitResult, second: FitResult, rows: np.ndarray, start: np.ndarray
) -> FitResult:
    """Return the first result, with the rows that a second start made better.

    Better is a fit that ended where the first one did not, or at a minimum where that ended at a
    bound; and it must be of the source that was detected: a fit that takes a bright track for
    outliers and some noise for the source ends well, too.
    """
    old = FitResult(*(column[rows] for column in first))
    ended = (FitStatus.CONVERGED, FitStatus.AT_BOUND)
    better = np.isin(second.status, ended) & ~np.isin(old.status, ended)
    better |= (second.status == FitStatus.CONVERGED) & (old.status == FitStatus.AT_BOUND)
    taken = better & (second.params[:, AMP] > SAME_SOURCE * np.asarray(start)[:, AMP])
    result = FitResult(*(column.copy() for column in first))
    for column, new in zip(result, second, strict=True):
        column[rows[taken]] = new[taken]
    return result
