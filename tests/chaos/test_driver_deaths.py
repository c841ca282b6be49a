"""P2: the driver may be killed at any moment: the next submit finishes what it began."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from catalogue_digest import read_catalogue
from command_line import record, surveyfit
from submission import Submission
from tiled_survey import Survey

# On a busy machine everything takes ten times as long; nothing here is judged by that.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

ORPHANS_LIVE = 10.0
"""Seconds after the driver's death until its workers must be gone."""


def kill_at_random_moments(survey: Survey, run: Path, kills: int, chance: random.Random) -> int:
    """Submit and kill the driver, again and again; return how often it died at work.

    A moment is a number of newly committed pieces, then a part of the time that one takes; the
    first moment is one at which the driver is still starting.
    """
    at_work = 0
    for number in range(kills):
        with Submission(run, *survey.words, "--workers", 2) as submission:
            if number == 0:
                time.sleep(chance.uniform(0, 3))
            else:
                left = survey.pieces - submission.receipts()
                more = chance.randint(1, max(1, left // 2))
                submission.wait_for_receipts(min(survey.pieces - 1, submission.receipts() + more))
                time.sleep(chance.uniform(0, 0.3))
                at_work += submission.process.poll() is None
            submission.family()
            os.kill(submission.process.pid, signal.SIGKILL)
            submission.process.wait()
            assert submission.left_alive(ORPHANS_LIVE) == []
    return at_work


@pytest.mark.parametrize(
    "kills", [2, pytest.param(20, marks=[pytest.mark.chaos_long, pytest.mark.timeout(1800)])]
)
def test_a_killed_driver_loses_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, kills: int
) -> None:
    survey: Survey = request.getfixturevalue("tiled" if kills == 2 else "large")
    run = tmp_path / "run"
    assert kill_at_random_moments(survey, run, kills, random.Random(kills)) >= kills // 2
    assert surveyfit("submit", *survey.words, "-o", run, "--workers", 0).status == 0
    assert record(run)["counts"]["pieces_resumed"] > 0
    found = read_catalogue(run)
    assert found.rows == found.ids
    assert found == survey.right
