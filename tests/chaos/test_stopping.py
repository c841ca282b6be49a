"""P13: asked to stop, a run stops: nobody is left behind, and the next submit goes on."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from catalogue_digest import read_catalogue
from command_line import record, surveyfit
from submission import Submission
from tiled_survey import Survey

# On a busy machine everything takes ten times as long; nothing here is judged by that.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SOON = 30.0
"""Seconds from the request to the end: what is in hand (a compile of ten seconds) may be ended."""


def terminate(submission: Submission) -> None:
    submission.process.send_signal(signal.SIGTERM)


def terminate_twice(submission: Submission) -> None:
    terminate(submission)
    time.sleep(0.3)
    terminate(submission)


def press_ctrl_c(submission: Submission) -> None:
    """Do what a terminal does: every process of the group gets the signal."""
    os.killpg(submission.process.pid, signal.SIGINT)


@pytest.mark.parametrize(
    "stop",
    [
        terminate,
        pytest.param(terminate_twice, marks=pytest.mark.chaos_long),
        pytest.param(press_ctrl_c, marks=pytest.mark.chaos_long),
    ],
)
def test_a_stopped_run_leaves_nobody_and_is_continued(
    tiled: Survey, tmp_path: Path, stop: Callable[[Submission], None]
) -> None:
    run = tmp_path / "run"
    with Submission(run, *tiled.words, "--workers", 2) as submission:
        # Past the opening of the files; later stages are ahead.
        submission.wait_for_receipts(6)
        assert len(submission.workers()) == 2
        stop(submission)
        assert submission.wait(SOON) == 130, submission.text
        assert submission.left_alive() == []
        assert "Traceback" not in submission.text
        assert "a run goes on when it is submitted again" in submission.text
    assert record(run)["state"] == "interrupted"
    before = submission.receipts()
    assert before < tiled.pieces, "it was asked too late to show anything"
    assert surveyfit("submit", *tiled.words, "-o", run, "--workers", 0).status == 0
    assert record(run)["counts"]["pieces_resumed"] > 0
    assert read_catalogue(run) == tiled.right
