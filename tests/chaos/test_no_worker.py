"""Without any worker a run waits for a while, and then says what it waited for."""

from pathlib import Path

import pytest
from command_line import record
from dask_cluster import DaskCluster
from submission import PATIENCE, Submission
from tiled_survey import Survey

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

WAIT = 3


def test_a_run_without_workers_stops_and_can_go_on(tiled: Survey, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with (
        DaskCluster(tmp_path) as cluster,
        Submission(run, *tiled.words, "--scheduler", cluster.file, "--wait", WAIT) as submission,
    ):
        assert submission.wait(PATIENCE) == 3, submission.text
    last = submission.text.splitlines()[-1]
    assert last.startswith(f"error: no worker for {WAIT} s (--wait)"), submission.text
    assert "surveyfit submit" in last
    assert record(run)["state"] == "stopped"
