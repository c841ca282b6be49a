"""The log of a run, and a terminal whose reader goes away."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from surveyfit.run.config import Config, Execution
from surveyfit.run.log import LOG, Log
from surveyfit.run.pieces import Failure
from surveyfit.run.pipeline import submit
from surveyfit.run.progress import Reporter

SURVEYFIT = [sys.executable, "-m", "surveyfit"]
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")


def entries(path: Path) -> list[str]:
    """Return the first lines of the entries of a log, without their times."""
    lines = path.read_text().splitlines()
    assert all(TIME.match(line) or line.startswith("    ") for line in lines)
    return [TIME.sub("", line) for line in lines if TIME.match(line)]


def test_every_line_is_logged_also_the_quiet_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Reporter(quiet=True, verbose=False) as reporter:
        reporter.say("before there is a run")
        reporter.log_to(tmp_path / LOG)
        reporter.say("a worker died")
        reporter.failed(Failure("a.fits", "", "open-file", "broken", "mend it"))
        reporter.note("for the log")
        reporter.conclude("done")
    assert entries(tmp_path / LOG) == [
        "a worker died",
        "FAILED a.fits: broken: mend it",
        "for the log",
        "done",
        "end",
    ]
    assert capsys.readouterr().out.splitlines() == ["FAILED a.fits: broken: mend it", "done"]


def test_the_log_goes_on_and_tells_how_a_run_was_ended(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Reporter(quiet=True, verbose=False) as reporter:
            reporter.log_to(tmp_path / LOG)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with Reporter(quiet=True, verbose=False) as reporter:
        reporter.log_to(tmp_path / LOG)
    assert entries(tmp_path / LOG) == ["end, early: KeyboardInterrupt", "end"]


def test_a_line_is_there_for_others_as_soon_as_it_is_written(tmp_path: Path) -> None:
    log = Log(tmp_path / LOG)
    log.write("first\nwith more")
    assert entries(tmp_path / LOG) == ["first"]
    assert (tmp_path / LOG).read_text().endswith("\n    with more\n")
    log.close()


def test_a_full_disk_ends_the_log_and_not_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device here that is always full")
    with Reporter(quiet=True, verbose=False) as reporter:
        reporter.log_to(full)
        reporter.note("one")
        reporter.note("two")
        reporter.conclude("done")
    assert capsys.readouterr().out.splitlines() == [
        "/dev/full: nothing more is logged (No space left on device)",
        "done",
    ]


def test_a_run_is_logged_from_its_command_to_its_end(plain_run: Path) -> None:
    log = entries(plain_run / LOG)
    assert log[0].startswith("start: ")
    assert log[-1] == "end"
    assert any(line.startswith("sky_0001.fits: ") and "sources" in line for line in log)


def test_submitting_a_finished_run_leaves_its_log_alone(survey: Path, plain_run: Path) -> None:
    before = (plain_run / LOG).read_bytes()
    assert submit([str(survey)], plain_run, Config(), Execution(workers=0, quiet=True)) == 0
    assert (plain_run / LOG).read_bytes() == before


def test_the_run_goes_on_when_nobody_reads_its_output(survey: Path, tmp_path: Path) -> None:
    """As in ``surveyfit submit ... | head -0``."""
    run = tmp_path / "run"
    command = [*SURVEYFIT, "submit", str(survey), "-o", str(run), "--workers", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")
    assert (run / "catalog.fits").exists()
    assert entries(run / LOG)[-1] == "end"
