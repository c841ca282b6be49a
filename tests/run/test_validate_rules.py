"""When a certificate says yes, no, or that it cannot tell, by rows whose truth is known."""

import numpy as np
import pytest

from surveyfit.run.validation.images import Rows
from surveyfit.run.validation.match import FOUND, MISSED, QUANTITIES
from surveyfit.run.validation.statistics import pulls, recoveries
from surveyfit.run.validation.verdict import ENOUGH, Answer, judge


def certificate_rows(n: int, seed: int = 1) -> Rows:
    """Return n sources of S/N 10 to 300 whose errors are right."""
    rng = np.random.default_rng(seed)
    rows: Rows = {f"pull_{name}": rng.normal(size=n) for name in QUANTITIES}
    rows["snr"] = np.geomspace(10, 300, n)
    rows["outcome"] = np.full(n, FOUND, "U9")
    for name in QUANTITIES:
        rows[f"true_{name}"] = np.full(n, 100.0)
        rows[name] = 100 + rows[f"pull_{name}"]
    return rows


def with_errors_scaled(rows: Rows, factor: float) -> Rows:
    return rows | {f"pull_{name}": rows[f"pull_{name}"] / factor for name in QUANTITIES}


@pytest.mark.parametrize("seed", range(5))
def test_right_errors_are_believed(seed: int) -> None:
    verdict = judge(certificate_rows(300, seed))
    assert verdict.answer is Answer.YES, verdict.line
    assert verdict.line.startswith("Yes, at S/N above 10: of 300 artificial sources")


@pytest.mark.parametrize(("factor", "words"), [(0.5, "too small"), (2.0, "too large")])
def test_errors_wrong_by_two_are_not(factor: float, words: str) -> None:
    verdict = judge(with_errors_scaled(certificate_rows(300), factor))
    assert verdict.answer is Answer.NO
    assert {(p.quantity, p.low) for p in verdict.judged} == {
        (name, low) for name in QUANTITIES for low in (10, 50)
    }
    assert len(verdict.faults) == len(verdict.judged)
    assert all(words in fault for fault in verdict.faults)


def test_as_few_as_are_judged_show_errors_wrong_by_two() -> None:
    halves = [judge(with_errors_scaled(certificate_rows(ENOUGH, seed), 0.5)) for seed in range(10)]
    assert {verdict.answer for verdict in halves} == {Answer.NO}


def test_one_wrong_error_is_named_with_its_factor_and_range() -> None:
    rows = certificate_rows(600)
    bright = rows["snr"] >= 50
    rows["pull_flux_int"] = np.where(bright, 3, 1) * rows["pull_flux_int"]
    verdict = judge(rows)
    (fault,) = verdict.faults
    spread = pulls(rows, "flux_int", 50, np.inf).spread
    assert spread == pytest.approx(3, abs=0.6)  # 3 sampling errors of 316 sources: 0.49
    assert fault == f"errors of flux_int at S/N above 50 are too small by a factor of {spread:.2f}"


def test_a_bias_of_an_error_is_noticed() -> None:
    rows = certificate_rows(300)
    verdict = judge(rows | {"pull_y": rows["pull_y"] + 1})
    assert verdict.answer is Answer.NO
    assert all(fault.startswith("y at S/N") for fault in verdict.faults)


def test_a_few_blends_do_not_count_and_many_do() -> None:
    rows = certificate_rows(300)
    blended = np.arange(300)
    few = np.where(blended % 33 == 0, 50.0, rows["pull_x"])
    many = np.where(blended % 4 == 0, 50.0, rows["pull_x"])
    assert judge(rows | {"pull_x": few}).answer is Answer.YES
    assert judge(rows | {"pull_x": many}).answer is Answer.NO


def test_the_detection_limit_is_not_judged() -> None:
    rows = certificate_rows(300)
    faint = certificate_rows(200, seed=2)
    faint["snr"] = np.geomspace(2, 9.9, 200)
    lifted = faint | {"pull_flux_peak": np.abs(faint["pull_flux_peak"]) + 1}
    joined = {name: np.concatenate([rows[name], lifted[name]]) for name in rows}
    assert judge(joined).answer is Answer.YES


def test_few_sources_cannot_tell() -> None:
    verdict = judge(certificate_rows(10))
    assert verdict.answer is Answer.CANNOT_TELL
    assert verdict.line == (
        "Cannot tell: 10 good artificial sources of S/N above 10 came back, 47 are needed."
    )


def test_statistics_are_those_of_a_normal_distribution() -> None:
    # Sampling errors at this number are below 0.006; three of them.
    p = pulls(certificate_rows(40_000), "x", 10, np.inf)
    assert (p.mean, p.median) == pytest.approx((0, 0), abs=0.018)
    assert (p.deviation, p.spread) == pytest.approx((1, 1), abs=0.018)
    assert (p.within_1, p.within_2) == pytest.approx((0.6827, 0.9545), abs=0.01)
    many = [pulls(certificate_rows(200, seed), "x", 10, np.inf) for seed in range(200)]
    for name in ("median", "spread", "within_1", "within_2"):
        scatter = np.std([getattr(q, name) for q in many])
        told = np.mean([getattr(q, f"{name}_err") for q in many])
        assert told == pytest.approx(scatter, rel=0.25), name  # of 200: 5 %, and their medians


def test_completeness_counts_what_was_missed() -> None:
    rows = certificate_rows(400)
    rows["outcome"][::4] = MISSED
    total = recoveries(rows)
    assert sum(r.injected for r in total) == 400
    assert sum(r.found for r in total) == 300
    (empty, *_) = total
    assert empty.injected == 0
    assert np.isnan(empty.completeness)
