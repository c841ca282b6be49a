"""Sizes with the beam removed are true, and limits hold, for sources of known size.

The same functions as benchmarks/deconvolution.py, on fewer sources: 64 of each size.
"""

from typing import NamedTuple

import numpy as np
import pytest
from deconvolution import CASES, GRID, MEAN_BEAM, SNR, compactness_pulls, deconvolve, judge, measure

ROUNDING = 1e-9
SMALL = GRID._replace(rows=24)
RESOLVED = {10.0: 1.5, 30.0: 0.75, 100.0: 0.5}
"""True axis in beams, by S/N, from which on nearly all are resolved: there the pulls are normal."""


class Outcome(NamedTuple):
    """Of one image: true sizes (n,) in beams and axes, which rows are good, what was found."""

    size: np.ndarray
    axes: dict[str, np.ndarray]
    good: np.ndarray
    found: dict[str, np.ndarray]
    compactness: np.ndarray


pytestmark = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=[pytest.param((name, snr), id=f"{name}, S/N {snr:g}") for name in CASES for snr in SNR],
)
def outcome(request: pytest.FixtureRequest) -> Outcome:
    name, snr = request.param
    injected, fitted = measure(CASES[name], snr, seed=5, grid=SMALL)
    good, found = deconvolve(fitted)
    axes = {"maj_axis_deconv": injected.major, "min_axis_deconv": injected.minor}
    return Outcome(injected.size, axes, good, found, compactness_pulls(injected, found))


def test_sizes_that_are_resolved_have_true_errors(
    outcome: Outcome, request: pytest.FixtureRequest
) -> None:
    snr = request.node.callspec.params["outcome"][1]
    for name, true in outcome.axes.items():
        found = outcome.found
        chosen = outcome.good & (true >= RESOLVED[snr] * MEAN_BEAM * (1 - ROUNDING))
        axis = judge(found[name][chosen], found[f"{name}_err"][chosen], true[chosen])
        # Measured on 1000 to 5500: means -0.06 to 0.11, spreads 0.97 to 1.04.
        assert abs(axis.pulls.mean()) < 0.1 + 3 / np.sqrt(len(axis.pulls))
        assert axis.pulls.std() == pytest.approx(1.0, abs=0.1 + 3 / np.sqrt(2 * len(axis.pulls)))


def test_limits_hold_whatever_the_true_size(outcome: Outcome) -> None:
    for size in np.unique(outcome.size):
        chosen = outcome.good & (outcome.size == size)
        for name, true in outcome.axes.items():
            found = outcome.found
            axis = judge(found[name][chosen], found[f"{name}_err"][chosen], true[chosen])
            # At most 5 % of 64: a binomial law gives more than 9 of them once in 800.
            assert np.count_nonzero(~axis.holds) <= 9


def test_point_sources_are_not_resolved(outcome: Outcome) -> None:
    points = outcome.good & (outcome.size == 0)
    # Measured 1 to 5 %; of 64, 5 % are more than 9 once in 800.
    assert np.count_nonzero(outcome.found["deconv_code"][points] < 2) <= 9


def test_the_compactness_has_a_true_error(outcome: Outcome, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["outcome"] == ("noise of the beam", 10.0):
        reason = "fits that came out too large have too small an error: mean -0.4, spread 1.6"
        request.applymarker(pytest.mark.xfail(reason=reason))
    pulls = outcome.compactness[outcome.good]
    assert len(pulls) > 500
    # 576 pulls know a spread to 3 % and a mean to 0.04.
    assert pulls.std() == pytest.approx(1.0, abs=0.1)
    assert abs(pulls.mean()) < 0.2
