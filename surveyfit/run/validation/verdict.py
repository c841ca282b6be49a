"""The one line of a certificate: whether the errors of a run can be believed.

The rule looks at sources well above the detection limit only. Near it those that noise has made
brighter are the ones that are found (Eddington bias), which is no fault of their errors.

A quantity's errors are wrong if the spread of its pulls is not between 0.85 and 1.15, if their
median is more than 0.3 off zero, or if fewer than 90 % are within two errors, each by more than
three sampling errors. The spread and the median are robust: a few blends do not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from surveyfit.run.validation.images import Rows
from surveyfit.run.validation.match import QUANTITIES
from surveyfit.run.validation.statistics import SPREAD_ERROR, Pulls, pulls

WELL_ABOVE = 10.0
"""S/N from which on errors are judged; detection needs about 5, and below 10 sizes are biased."""

BRIGHT = 50.0
"""S/N above which sources are judged by themselves, where there are enough."""

SPREADS = (0.85, 1.15)
LARGEST_MEDIAN = 0.3
LEAST_WITHIN_2 = 0.90
"""What is still right: a spread of 1.15 leaves 92 % within two errors."""

SAMPLING_ERRORS = 3.0

ENOUGH = int(np.ceil((SAMPLING_ERRORS * SPREAD_ERROR / (1 - SPREADS[1] / 2)) ** 2))
"""Sources without which nothing is said, 47: with fewer, errors too small by a factor of two would
not stand out of the sampling errors."""


class Answer(StrEnum):
    """Whether the errors can be believed."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Verdict:
    """The answer, and why.

    Attributes
    ----------
    answer : Answer
    line : str
        One sentence for people.
    judged : tuple of Pulls
        On what it rests.
    faults : tuple of str
        What is wrong, in words, the worst of each quantity first.
    """

    answer: Answer
    line: str
    judged: tuple[Pulls, ...]
    faults: tuple[str, ...]


def judge(rows: Rows) -> Verdict:
    """Judge the errors by the columns of a certificate."""
    judged = tuple(p for name in QUANTITIES for p in _judged(rows, name) if p.n >= ENOUGH)
    if not judged:
        n = pulls(rows, "flux_peak", WELL_ABOVE, np.inf).n
        return Verdict(Answer.CANNOT_TELL, _too_few(n), (), ())
    faults = tuple(words for p in judged for words in _faults(p))
    if faults:
        line = f"No: {'; '.join(faults)}."
        return Verdict(Answer.NO, line, judged, faults)
    return Verdict(Answer.YES, _right(judged), judged, ())


def _judged(rows: Rows, quantity: str) -> list[Pulls]:
    """Describe a quantity at middling and at high S/N, together where there are too few in one."""
    apart = [pulls(rows, quantity, *r) for r in ((WELL_ABOVE, BRIGHT), (BRIGHT, np.inf))]
    enough = all(p.n >= ENOUGH for p in apart)
    return apart if enough else [pulls(rows, quantity, WELL_ABOVE, np.inf)]


def _faults(p: Pulls) -> Iterator[str]:
    """Yield what is wrong with the errors of a quantity, in words."""
    where = f"{p.quantity} at S/N {snr_words(p.low, p.high)}"
    margin = SAMPLING_ERRORS * p.spread_err
    if p.spread - margin > SPREADS[1]:
        yield f"errors of {where} are too small by a factor of {p.spread:.2f}"
    elif p.spread + margin < SPREADS[0]:
        yield f"errors of {where} are too large by a factor of {1 / p.spread:.2f}"
    elif p.within_2 + SAMPLING_ERRORS * p.within_2_err < LEAST_WITHIN_2:
        yield f"only {p.within_2:.0%} of {where} are within two errors"
    if abs(p.median) - SAMPLING_ERRORS * p.median_err > LARGEST_MEDIAN:
        yield f"{where} is off by {p.median:+.2f} errors"


def _right(judged: tuple[Pulls, ...]) -> str:
    spreads = [p.spread for p in judged]
    n = sum(p.n for p in judged if p.quantity == "flux_peak")
    names = {p.quantity: None for p in judged}
    left_out = [name for name in QUANTITIES if name not in names]
    but = f" ({', '.join(left_out)}: too few sources to tell)" if left_out else ""
    fewest = min(p.n for p in judged if p.quantity == "flux_peak")
    noticed = SPREADS[1] / (1 - SAMPLING_ERRORS * SPREAD_ERROR / np.sqrt(fewest))
    return (
        f"Yes, at S/N above {WELL_ABOVE:g}: of {n} artificial sources (fitted - true) / error"
        f" has a spread of {min(spreads):.2f} to {max(spreads):.2f}, where 1 is right{but}; flux"
        f" errors too small by a factor of {noticed:.1f} would have been noticed."
    )


def _too_few(n: int) -> str:
    return (
        f"Cannot tell: {n} good artificial sources of S/N above {WELL_ABOVE:g} came back,"
        f" {ENOUGH} are needed."
    )


def snr_words(low: float, high: float) -> str:
    """Spell a range of S/N: ``10 to 20``, ``above 100``."""
    return f"{low:g} to {high:g}" if np.isfinite(high) else f"above {low:g}"
