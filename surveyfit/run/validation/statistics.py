"""What artificial sources say, by S/N: how many are found, how far off, how right the errors."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from surveyfit.run.validation.images import Rows
from surveyfit.run.validation.match import AMBIGUOUS, FOUND, MISSED, QUANTITIES

SNR_EDGES = (2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 50.0, 100.0, np.inf)
SNR_BINS = tuple(pairwise(SNR_EDGES))
"""S/N here is the true peak over the error expected of it (`surveyfit.sky.peak_error`): what was
put in decides the bin, so that noise, which moves ``snr``, selects nothing."""

WITHIN = {1: 0.6827, 2: 0.9545}
"""Share of a normal distribution within so many standard deviations."""

CENTRAL = (0.15865, 0.84135)
"""Quantiles of a normal distribution at one standard deviation to either side."""

MEDIAN_ERROR = 1.2533
SPREAD_ERROR = 0.962
"""Sampling errors, times sqrt(n), in standard deviations: of the median of a normal sample, and of
half the distance of its `CENTRAL` quantiles. Quantiles p <= q of a density f have the covariance
p (1 - q) / (n f_p f_q)."""


@dataclass(frozen=True)
class Recovery:
    """How many of the sources of a bin came back.

    Attributes
    ----------
    low, high : float
        S/N; high is infinite in the last bin.
    injected, found, good : int
        Without ambiguous ones; found: with any flags.
    completeness, completeness_err : float
        found / injected and its binomial error (Wilson: half the 68 % interval).
    flux_peak_bias, flux_int_bias, flux_peak_bias_err, flux_int_bias_err : float
        Median of measured / true - 1 of the good ones, and its sampling error.
    x_bias, y_bias, x_bias_err, y_bias_err : float
        Median of measured - true, pixels.
    """

    low: float
    high: float
    injected: int
    found: int
    good: int
    completeness: float
    completeness_err: float
    flux_peak_bias: float
    flux_peak_bias_err: float
    flux_int_bias: float
    flux_int_bias_err: float
    x_bias: float
    x_bias_err: float
    y_bias: float
    y_bias_err: float


@dataclass(frozen=True)
class Pulls:
    """How (measured - true) / error of a quantity is distributed in an S/N range.

    A normal distribution of mean 0 and standard deviation 1 is what right errors give.

    Attributes
    ----------
    quantity : str
    low, high : float
        S/N.
    n : int
    mean, deviation : float
        Plain ones: a single stray source can spoil them.
    median, median_err : float
    spread, spread_err : float
        Half the width of the central 68.3 %: up to a sixth strays to either side do not count.
    within_1, within_2 : float
        Share within one and two errors of the truth; 0.683 and 0.954 are right.
    within_1_err, within_2_err : float
    """

    quantity: str
    low: float
    high: float
    n: int
    mean: float
    deviation: float
    median: float
    median_err: float
    spread: float
    spread_err: float
    within_1: float
    within_1_err: float
    within_2: float
    within_2_err: float


def recoveries(rows: Rows) -> list[Recovery]:
    """Count what came back, by S/N; rows are the columns of a certificate."""
    return [_recovery(rows, low, high) for low, high in SNR_BINS]


def pulls_by_snr(rows: Rows) -> list[Pulls]:
    """Describe the pulls of every quantity in every S/N bin."""
    return [pulls(rows, name, *snr_bin) for snr_bin in SNR_BINS for name in QUANTITIES]


def pulls(rows: Rows, quantity: str, low: float, high: float) -> Pulls:
    """Describe the pulls of a quantity for sources of a range of S/N; NaN where there are none."""
    pull = _of(rows, f"pull_{quantity}", low, high)
    n = len(pull)
    if n == 0:
        return Pulls(quantity, low, high, 0, *(float("nan"),) * 10)
    median, spread = _median_and_spread(pull)
    shares = [float(np.mean(np.abs(pull) <= errors)) for errors in WITHIN]
    return Pulls(
        quantity=quantity,
        low=low,
        high=high,
        n=n,
        mean=float(np.mean(pull)),
        deviation=float(np.std(pull)),
        median=median,
        median_err=MEDIAN_ERROR * spread / np.sqrt(n),
        spread=spread,
        spread_err=SPREAD_ERROR * spread / np.sqrt(n),
        within_1=shares[0],
        within_1_err=_share_error(shares[0], n),
        within_2=shares[1],
        within_2_err=_share_error(shares[1], n),
    )


def _recovery(rows: Rows, low: float, high: float) -> Recovery:
    inside = (rows["snr"] >= low) & (rows["snr"] < high)
    outcome = rows["outcome"][inside]
    injected = int(np.count_nonzero(outcome != AMBIGUOUS))
    found = injected - int(np.count_nonzero(outcome == MISSED))
    completeness = found / injected if injected else float("nan")
    biases = {}
    for name in ("flux_peak", "flux_int", "x", "y"):
        good = inside & (rows["outcome"] == FOUND)
        off = rows[name][good] - rows[f"true_{name}"][good]
        if name.startswith("flux"):
            off = off / rows[f"true_{name}"][good]
        median, spread = _median_and_spread(off[np.isfinite(off)])
        biases[f"{name}_bias"] = median
        biases[f"{name}_bias_err"] = MEDIAN_ERROR * spread / np.sqrt(max(len(off), 1))
    return Recovery(
        low=low,
        high=high,
        injected=injected,
        found=found,
        good=int(np.count_nonzero(outcome == FOUND)),
        completeness=completeness,
        completeness_err=_share_error(completeness, injected),
        **biases,
    )


def _of(rows: Rows, column: str, low: float, high: float) -> NDArray[np.float64]:
    values = rows[column][(rows["snr"] >= low) & (rows["snr"] < high)]
    return values[np.isfinite(values)]


def _median_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    low, median, high = np.quantile(values, [CENTRAL[0], 0.5, CENTRAL[1]]).tolist()
    return median, (high - low) / 2


def _share_error(share: float, n: int) -> float:
    """Half the width of Wilson's 68 % interval, which is not zero at shares of 0 and 1."""
    return float(np.sqrt(share * (1 - share) / n + 1 / (4 * n**2)) / (1 + 1 / n)) if n else np.nan
