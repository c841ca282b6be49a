"""P3: without its scheduler a run stops cleanly, and says how to go on."""

import shlex
from pathlib import Path

import pytest
from catalogue_digest import read_catalogue
from command_line import surveyfit
from dask_cluster import DaskCluster
from submission import Submission
from tiled_survey import Survey

# On a busy machine everything takes ten times as long; nothing here is judged by that.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CLEAN_STOP = 30.0
"""Seconds from the scheduler's death to the end of the submit."""


def test_a_dead_scheduler_is_a_clean_stop(tiled: Survey, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with (
        DaskCluster(tmp_path, workers=1) as cluster,
        Submission(run, *tiled.words, "--scheduler", cluster.file) as submission,
    ):
        submission.wait_for_receipts(6)
        cluster.scheduler.kill()
        assert submission.wait(CLEAN_STOP) == 3, submission.text
        assert submission.left_alive() == []
    last = submission.text.splitlines()[-1]
    assert last.startswith("error: "), submission.text
    assert "Traceback" not in submission.text
    again = shlex.join(map(str, ["surveyfit", "submit", *tiled.words]))
    assert again in last, "the message must name the command that resumes"
    assert surveyfit("submit", *tiled.words, "-o", run, "--workers", 0).status == 0
    assert read_catalogue(run) == tiled.right
