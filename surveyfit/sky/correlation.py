"""Correlation of the noise from pixel to pixel, by lag, on source-free pixels.

Outliers would drown the mean of q_i q_j, q = (pixel - background) / noise. So the mean is taken of
a bounded score s(z) = 2 z / (1 + z**2), z = q / SCORE_SCALE. For Gaussian q the covariance of the
scores is, to first order in that of q (Price's theorem),

    cov(s_i, s_j) = E[s'(z)]**2 cov(q_i, q_j) / SCORE_SCALE**2

and isolated outliers on top dilute both sides alike.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from surveyfit.sky.noise_sample import MIN_SAMPLE, Sample

SCORE_SCALE = 4.0
"""In sigmas. Wide enough for the first order: correlations come out too large by 0.004 at 0.7 and
by 0.009 at 0.9 (2.4 sigmas: 0.017 and 0.037). An outlier of 20 sigmas still weighs less than a
pixel of the noise."""

LARGEST_LAG = 31
"""Pixels, just under half a cell; beams of up to 15 pixels FWHM fit into it."""

SIGNIFICANCE = 4.0
"""Sampling errors by which the mean of a ring of lags must differ from zero: with 31 rings, one
white image in 500 is taken to be correlated."""

BEYOND = 3
"""One part in so many is added to the last significant lag, since a correlation does not end
where it gets lost in its sampling error: of a beam of 4 pixels FWHM that would lose 4 %."""


def noise_correlation(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Measure the correlation of the noise out to the largest lag where it is significant.

    Returns
    -------
    array (2 L + 1, 2 L + 1)
        Element [dy + L, dx + L]: covariance of pixels (y, x) and (y + dy, x + dx) over the noise
        squared; 1 at zero lag, which outliers do not touch, and zero farther than L. L = 0 for
        independent pixels, and where there are too few to tell.
    """
    if sum(np.count_nonzero(s.free) for s in samples) < MIN_SAMPLE:
        return np.ones((1, 1))
    covariance, pairs, all_pairs = _masked_autocorrelation(samples)
    lags = np.hypot(*np.indices(pairs.shape) - LARGEST_LAG)
    reach = min(LARGEST_LAG, _side(samples) // 2)
    while True:
        within = lags < reach + 0.5
        correlation = _with_level(covariance, pairs, all_pairs, within)
        significant = _last_significant_ring(correlation, pairs, lags, reach)
        if significant + significant // BEYOND >= reach:
            break
        reach = significant + significant // BEYOND
    correlation[LARGEST_LAG, LARGEST_LAG] = 1
    inner = slice(LARGEST_LAG - reach, LARGEST_LAG + reach + 1)
    return np.where(within, correlation, 0)[inner, inner]


def _side(samples: Sequence[Sample]) -> int:
    return max(max(s.free.shape) for s in samples)


def _masked_autocorrelation(
    samples: Sequence[Sample],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Covariance and number of pairs by lag, each array (2 M + 1, 2 M + 1); pairs of any lag.

    The covariance is that about the mean score of each cell.
    """
    size = (fft.next_fast_len(_side(samples) + LARGEST_LAG, real=True),) * 2
    products, counts = np.zeros((2, size[0], size[1] // 2 + 1))
    slopes, all_pairs = 0.0, 0.0
    for sample in samples:
        use = sample.free
        z = np.where(use, sample.scaled, 0) / np.float32(SCORE_SCALE)
        score = 2 * z / (1 + z**2)
        score = np.where(use, score - score[use].mean(), 0)
        slopes += float(np.sum(2 * (1 - z**2) / (1 + z**2) ** 2, where=use))
        all_pairs += float(np.count_nonzero(use)) ** 2
        products += np.abs(fft.rfft2(score, size)) ** 2
        counts += np.abs(fft.rfft2(use.astype(np.float32), size)) ** 2
    pairs = np.rint(_by_lag(counts, size))
    slope = slopes / pairs[LARGEST_LAG, LARGEST_LAG] / SCORE_SCALE
    return _by_lag(products, size) / np.maximum(pairs, 1) / slope**2, pairs, all_pairs


def _by_lag(power: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Autocorrelation (2 M + 1, 2 M + 1) from a power spectrum, zero lag in the middle."""
    lags = np.arange(-LARGEST_LAG, LARGEST_LAG + 1)
    return np.asarray(fft.irfft2(power, size)[np.ix_(lags, lags)])


def _with_level(
    covariance: NDArray[np.float64],
    pairs: NDArray[np.float64],
    all_pairs: float,
    within: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Give back what the mean score of each cell took from every lag.

    That is the variance v of a cell's mean: the mean covariance of all pairs of its pixels. With
    no correlation but ``within``, v = sum (covariance + v) pairs / all pairs. The noise squared
    of a cell is low by the same v.
    """
    share = np.sum(pairs, where=within) / all_pairs
    variance = np.sum(covariance * pairs, where=within) / all_pairs / (1 - share)
    return (covariance + variance) / (1 + variance)


def _last_significant_ring(
    correlation: NDArray[np.float64],
    pairs: NDArray[np.float64],
    lags: NDArray[np.float64],
    reach: int,
) -> int:
    """Return the largest ring k - 0.5 <= lag < k + 0.5, k <= reach, that stands out; 0 if none.

    The sampling error of a ring's mean is Bartlett's (1946, J. R. Stat. Soc. Suppl. 8, 27), that
    of correlated noise, written with the spectrum P of the noise and W of the ring:
    2 mean(P**2 W**2) / pairs.
    """
    spectrum = fft.fft2(fft.ifftshift(correlation)).real
    for k in range(reach, 0, -1):
        ring = (lags >= k - 0.5) & (lags < k + 0.5)
        ring_spectrum = fft.fft2(fft.ifftshift(ring / np.count_nonzero(ring))).real
        variance = 2 * np.mean((spectrum * ring_spectrum) ** 2) / max(np.mean(pairs[ring]), 1)
        if abs(np.mean(correlation[ring])) > SIGNIFICANCE * np.sqrt(variance):
            return k
    return 0
