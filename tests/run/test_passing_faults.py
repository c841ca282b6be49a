"""A disk or a network that fails for a moment costs another try and nothing else."""

import errno
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_line import failures

from surveyfit.run import tasks
from surveyfit.run.config import Config, Execution
from surveyfit.run.pipeline import submit
from surveyfit.run.worklist import MOST_TRIES
from surveyfit.sky.find import Found

QUIET_LOOP = Execution(workers=0, quiet=True)


class FailingDisk:
    """Lets the first tries to open each file fail."""

    def __init__(self, error: int, tries: int) -> None:
        self._error = error
        self._tries = tries
        self._scan = tasks.scan_file
        self.asked: Counter[str] = Counter()

    def __call__(self, found: Found, **options: Any) -> Any:
        """Open a file, or raise."""
        self.asked[found.name] += 1
        if self.asked[found.name] <= self._tries:
            raise OSError(self._error, os.strerror(self._error))
        return self._scan(found, **options)


def test_a_passing_fault_is_tried_again(
    survey: Path, plain_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FailingDisk(errno.ESTALE, MOST_TRIES - 1)
    monkeypatch.setattr(tasks, "scan_file", disk)
    run = tmp_path / "run"
    assert submit([str(survey)], run, Config(), QUIET_LOOP) == 0
    assert set(disk.asked.values()) == {MOST_TRIES}
    parts = [p.name for p in (plain_run / "catalog.parquet").iterdir()]
    for name in parts:
        ours, theirs = (r / "catalog.parquet" / name for r in (run, plain_run))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("error", "tries", "words"),
    [
        (errno.EIO, MOST_TRIES, "the disk or network failed"),
        (errno.EDOM, 1, "unexpected OSError"),
    ],
)
def test_a_lasting_fault_is_a_named_failure(
    survey: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: int,
    tries: int,
    words: str,
) -> None:
    disk = FailingDisk(error, 99)
    monkeypatch.setattr(tasks, "scan_file", disk)
    run = tmp_path / "run"
    assert submit([str(survey)], run, Config(), QUIET_LOOP) == 4
    assert set(disk.asked.values()) == {tries}
    assert all(words in row["reason"] for row in failures(run))
    assert len(failures(run)) == len(disk.asked)
