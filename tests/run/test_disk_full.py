"""Promise P8: a full disk stops a run with a line that says so, and corrupts nothing.

On a small file system in memory, which needs the right to mount one.
"""

import gzip
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Answer, surveyfit

from surveyfit.run.directory import RunDirectory
from surveyfit.run.verify import Extent, read_again

ENOUGH = "64m"

PAGE = 4096
"""Bytes of a memory page, the unit of a file system in memory."""


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Make a file system of a size, or give it another one."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def sized(size: str) -> Path:
        if folder.is_mount():
            mount("-o", f"remount,size={size}", str(folder))
        else:
            try:
                mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
            except (OSError, subprocess.CalledProcessError):
                pytest.skip("no right to mount a small file system")
        return folder

    yield sized
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


def submit(survey: Path, run: Path, workers: int) -> Answer:
    return surveyfit("submit", survey, "-o", run, "--workers", workers, "--quiet")


def parts(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "catalog.parquet").iterdir()}


def unsound(run: Path) -> list[str]:
    """Tell what of that which is committed is not as it was written."""
    if not (run / "run.json").exists():
        return []
    return [str(f) for f in read_again(RunDirectory(run), Extent(lambda line: None))]


def share_of(run: Path, share: float) -> str:
    """Return the size of a disk that holds this share of a run; every file fills whole pages."""
    pages = sum(-(-path.stat().st_size // PAGE) for path in run.rglob("*") if path.is_file())
    return str(PAGE * max(1, int(share * pages)))


# The shares end the run at the lock, the record, in noise, cutouts, parts and the catalogue.
@pytest.mark.parametrize(
    "share",
    [
        *(0, 0.04, 0.35, 0.8),
        *(pytest.param(s, marks=pytest.mark.slow) for s in (0.01, 0.02, 0.1, 0.2, 0.5, 0.65, 0.9)),
    ],
)
def test_a_full_disk_stops_the_run_and_more_room_lets_it_finish(
    share: float, survey: Path, plain_run: Path, disk: Callable[[str], Path]
) -> None:
    run = disk(share_of(plain_run, share)) / "run"
    answer = submit(survey, run, workers=0)
    assert answer.status == 3
    (line,) = answer.err.splitlines()
    assert "the disk is full" in line
    assert "make room" in line
    assert "surveyfit submit" in line
    assert list(run.rglob("*.tmp")) == []
    assert unsound(run) == []
    disk(ENOUGH)
    assert submit(survey, run, workers=0).status == 0
    assert parts(run) == parts(plain_run)
    assert unsound(run) == []


@pytest.mark.cluster
@pytest.mark.slow
def test_workers_that_find_the_disk_full_stop_the_run(
    survey: Path, plain_run: Path, disk: Callable[[str], Path]
) -> None:
    run = disk(share_of(plain_run, 0.4)) / "run"
    answer = submit(survey, run, workers=1)
    assert answer.status == 3
    assert "the disk is full" in answer.err.splitlines()[-1]
    assert unsound(run) == []
    disk(ENOUGH)
    assert submit(survey, run, workers=1).status == 0
    assert parts(run) == parts(plain_run)


def test_no_room_to_unpack_an_image_is_said(
    survey: Path, tmp_path: Path, disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sky").mkdir()
    packed = gzip.compress((survey / "sky_0001.fits").read_bytes())
    (tmp_path / "sky" / "sky_0001.fits.gz").write_bytes(packed)
    temporary = disk("100k")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    answer = submit(tmp_path / "sky", tmp_path / "run", workers=0)
    assert answer.status == 3
    assert f"no room to write {temporary}: the disk is full" in answer.err
    disk(ENOUGH)
    assert submit(tmp_path / "sky", tmp_path / "run", workers=0).status == 0


def test_an_export_to_a_full_disk_is_a_line(plain_run: Path, disk: Callable[[str], Path]) -> None:
    folder = disk("20k")
    for ending in ("fits", "parquet", "vot", "csv"):
        answer = surveyfit("catalog", plain_run, "-t", folder / f"catalogue.{ending}")
        assert answer.status == 3
        assert "the disk is full" in answer.err
        assert list(folder.iterdir()) == []
