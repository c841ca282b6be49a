"""What ``surveyfit status`` tells of a run, going, ended or dead."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import surveyfit

from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import Failure, Outcome, Piece, Stage
from surveyfit.run.record import Record
from surveyfit.run.status import STALE_AFTER, read_status
from surveyfit.sky.find import Found

STAGES = {
    "measure-noise": {"total": 3, "ended": 2},
    "cut-tile": {"total": 48, "ended": 30},
    "fit-batch": {"total": 48, "ended": 16},
}


@pytest.fixture
def run(plain_run: Path, tmp_path: Path) -> RunDirectory:
    """Give a copy of a run, to be written to."""
    shutil.copytree(plain_run, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def going(run: RunDirectory, written: timedelta, **counts: Any) -> None:
    """Make a run look as if it were at work, with a record of a while ago."""
    record = run.record()
    now = datetime.now(UTC) - written
    record |= {"state": "running", "updated": now.isoformat(timespec="seconds"), "seconds": 600.0}
    record["counts"] |= {"stages": STAGES, "rows": 4000, "good": 3000, "failures": 2} | counts
    run.write_record({k: v for k, v in record.items() if k != "sha256"})


def test_a_run_at_work_is_told_by_stage_with_its_recent_rate(run: RunDirectory) -> None:
    going(run, timedelta(0), rows_per_second=250.4, seconds_left=4000.0)
    lines = surveyfit("status", run.path).out.splitlines()
    assert lines[0].startswith("state      running, 10 min ")
    assert lines[1].split() == ["work", "2", "of", "3", "images,", "noise", "measured"]
    assert lines[2].split() == ["30", "of", "48", "tiles", "cut"]
    assert lines[3].split() == ["16", "of", "48", "tiles", "fitted"]
    assert "sources    4000, 75.0% good, 250 a second of late" in lines
    assert "failures   2 (log.txt)" in lines
    assert any(line.startswith("time left  about 1 h 6 min") for line in lines)


def test_the_time_left_runs_down_between_two_records(run: RunDirectory) -> None:
    going(run, timedelta(seconds=30), rows_per_second=1.0, seconds_left=100.0)
    left = read_status(run).seconds_left
    assert left == pytest.approx(70.0, abs=2.0)  # the record's time is in whole seconds


def test_no_time_is_invented(run: RunDirectory) -> None:
    going(run, timedelta(0), rows_per_second=0.0, seconds_left=None)
    assert "time left" not in surveyfit("status", run.path).out


def test_a_dead_run_is_told_from_one_at_work(run: RunDirectory) -> None:
    going(run, timedelta(seconds=STALE_AFTER + 60), rows_per_second=9.0, seconds_left=5.0)
    words = surveyfit("status", run.path, "--watch").out
    assert words.startswith("state      no sign of life for 2 min")
    assert "continue   submit again" in words
    assert "time left" not in words


def test_a_run_whose_task_takes_long_is_alive_as_its_lock_shows(run: RunDirectory) -> None:
    """Nothing ends for half an hour, but the lock's heart beats."""
    going(run, timedelta(minutes=30), rows_per_second=9.0, seconds_left=5000.0)
    run.lock_path.touch()
    assert surveyfit("status", run.path).out.startswith("state      running, 40 min")


def test_a_finished_run_has_the_rate_of_its_own_work(survey: Path, run: RunDirectory) -> None:
    counts = run.record()["counts"]
    assert counts["rows_worked"] == counts["rows"] > 0
    assert all(s["ended"] == s["total"] for s in counts["stages"].values())
    assert "a second" in surveyfit("status", run.path).out


def test_what_was_done_before_is_not_in_the_rate_of_a_resumed_run(
    survey: Path, run: RunDirectory
) -> None:
    from surveyfit.run.pipeline import submit

    rows = run.record()["counts"]["rows"]
    one = run.receipt_paths(Stage.FIT)[0]
    redone = json.loads(one.read_text())["result"]["rows"]
    one.unlink()
    assert submit([str(survey)], run.path, Config(), Execution(workers=0, quiet=True)) == 0
    counts = run.record()["counts"]
    assert (counts["rows"], counts["rows_worked"]) == (rows, redone)


def test_files_are_counted_while_they_are_opened(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.prepare(overwrite=False)
    record = Record(directory, Config(), Execution(), "")
    opened = (opened_file(i) for i in range(5))
    for _ in record.opening(opened, total=7):
        pass
    record.end("running")
    lines = surveyfit("status", directory.path).out.splitlines()
    assert lines[1] == "work       5 of 7 files opened"
    assert not any(line.startswith("time left") for line in lines)
    assert "failures   1 (log.txt)" in lines


def opened_file(number: int) -> Outcome:
    """Of these the third is broken."""
    name = f"{number}.fits"
    piece = Piece(Stage.OPEN, str(number), Found(Path(name), name))
    failure = Failure(name, "", Stage.OPEN, "broken", "mend it") if number == 2 else None
    return Outcome(piece, {}, 0.1, failure)
