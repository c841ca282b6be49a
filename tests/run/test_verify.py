"""Promise P9: whatever happens to a file of a run is reported, and mended by the next submit."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import surveyfit

from surveyfit.errors import InputError
from surveyfit.run import directory
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pipeline import submit
from surveyfit.run.sealed import read_sealed, write_sealed
from surveyfit.run.verify import Extent, read_again, remove
from surveyfit.sky.atomic import file_digest
from surveyfit.sky.parts import repeated_ids

QUIET_LOOP = Execution(workers=0, quiet=True)
TILES = Config(tile=128, halo=64)

PLACES = 100
NOT_PROMISED = {"log.txt"}
"""Files that a run goes on writing after it has promised the others."""


def silent(line: str) -> None:
    """Take a line and print nothing."""


def found_in(run: Path) -> set[Path]:
    return {finding.path for finding in read_again(RunDirectory(run), Extent(silent))}


def digests(run: Path) -> dict[str, str]:
    """Digest of every file but those that tell times."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.suffix in ("", ".parquet") and path.name != "images.parquet"
    }


@pytest.fixture(scope="module")
def tiled_run(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure the survey in 18 tiles."""
    run = tmp_path_factory.mktemp("runs") / "tiled"
    assert submit([str(survey)], run, TILES, QUIET_LOOP) == 0
    return run


@pytest.fixture
def run(tiled_run: Path, tmp_path: Path) -> Path:
    """Copy the run, to be damaged."""
    return shutil.copytree(tiled_run, tmp_path / "run")


def flip(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def overwrite(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    at = int(rng.integers(len(content)))
    content[at] = (content[at] + int(rng.integers(1, 256))) % 256
    path.write_bytes(content)


def truncate(path: Path, rng: np.random.Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(len(content))])


def extend(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes() + rng.bytes(1))


def delete(path: Path, rng: np.random.Generator) -> None:
    path.unlink()


DAMAGES: tuple[Callable[[Path, np.random.Generator], None], ...] = (
    flip,
    overwrite,
    truncate,
    extend,
    delete,
)


def test_a_sound_run_has_no_finding(tiled_run: Path) -> None:
    answer = surveyfit("verify", tiled_run)
    assert (answer.status, answer.err) == (0, "")
    assert "all as it was written" in answer.out


def test_one_damaged_file_at_a_time_is_found_wherever_it_is(tiled_run: Path, run: Path) -> None:
    """P9: a hundred random places, in files of every kind, each by itself."""
    rng = np.random.default_rng(4)
    places = [p for p in sorted(run.rglob("*")) if p.is_file() and p.name not in NOT_PROMISED]
    missed = []
    for place in rng.choice(len(places), PLACES, replace=False):
        path, damage = places[place], DAMAGES[rng.integers(len(DAMAGES))]
        damage(path, rng)
        if path not in found_in(run):
            missed.append(f"{damage.__name__} {path}")
        shutil.copy2(tiled_run / path.relative_to(run), path)
    assert missed == []
    assert found_in(run) == set()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_all_of_many_damaged_files_are_found_and_mended(
    survey: Path, tiled_run: Path, run: Path, seed: int
) -> None:
    """P9: a hundred at once; repaired and submitted again the catalogue is the same to the bit.

    The record is left: without it a finished run cannot be told from one that never ended, and a
    lost receipt from a piece not yet done.
    """
    rng = np.random.default_rng(seed)
    kept = NOT_PROMISED | {"run.json", "receipts.json"}
    places = [p for p in sorted(run.rglob("*")) if p.is_file() and p.name not in kept]
    chosen = [places[i] for i in rng.choice(len(places), PLACES, replace=False)]
    unvouched = set()
    for path in chosen:
        damage = DAMAGES[rng.integers(len(DAMAGES))]
        damage(path, rng)
        if path.parent.name == "receipts":
            unvouched |= set(json.loads((tiled_run / "receipts" / path.name).read_text())["files"])
    expected = {path for path in chosen if str(path.relative_to(run)) not in unvouched}
    answer = surveyfit("verify", run, "--repair")
    assert answer.status == 3
    reported = {Path(line.split(": ")[0]) for line in answer.out.splitlines()[:-1]}
    assert expected - reported == set()
    assert "Traceback" not in answer.err
    assert submit([str(survey)], run, TILES, QUIET_LOOP) == 0
    assert digests(run) == digests(tiled_run)
    assert found_in(run) == set()


def test_without_a_whole_record_all_else_is_still_checked_and_submit_goes_on(
    survey: Path, tiled_run: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "run.json").write_bytes((run / "run.json").read_bytes()[:-30])
    part = max((run / "catalog.parquet").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    assert found_in(run) == {run / "run.json", part}
    assert surveyfit("verify", run, "--repair").status == 3
    with pytest.raises(InputError, match="another configuration"):
        submit([str(survey)], run, Config(tile=128), QUIET_LOOP)
    assert submit([str(survey)], run, TILES, QUIET_LOOP) == 0
    assert digests(run) == digests(tiled_run)
    assert found_in(run) == set()


def test_only_what_was_damaged_is_done_again(survey: Path, run: Path) -> None:
    damaged = max((run / "cutouts.zarr").rglob("pixels/c.0.0.0"))
    flip(damaged, np.random.default_rng(1))
    remove(RunDirectory(run), list(read_again(RunDirectory(run), Extent(silent))))
    assert surveyfit("status", run).out.startswith("state      repaired")
    assert submit([str(survey)], run, TILES, QUIET_LOOP) == 0
    assert read_sealed(run / "run.json")["counts"]["pieces_worked"] == 1


def test_what_is_damaged_is_not_built_upon(
    survey: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fit of damaged cutouts fails and says which command mends them."""
    damaged = max((run / "cutouts.zarr").rglob("zarr.json"), key=lambda p: len(p.parts))
    content = damaged.read_text()
    damaged.write_text(content.replace("32", "33", 1))
    for receipt in (run / "receipts").glob("fit-batch-*"):
        receipt.unlink()
    assert submit([str(survey)], run, TILES, QUIET_LOOP) == 3
    said = capsys.readouterr().out
    assert f"{damaged} is damaged" in said
    assert "surveyfit verify --repair" in said


def test_a_damaged_receipt_is_not_believed_and_said(
    survey: Path, tiled_run: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = min((run / "receipts").glob("fit-batch-*"))
    receipt.write_bytes(receipt.read_bytes()[:100])
    for command in (["catalog", run, "-t", run.parent / "out.fits"], ["status", run]):
        answer = surveyfit(*command)
        assert len(answer.err.splitlines()) == answer.status // 2, "a line where it cannot answer"
    assert submit([str(survey)], run, TILES, Execution(workers=0)) == 0
    assert f"{receipt} is damaged" in capsys.readouterr().out
    assert digests(run) == digests(tiled_run)


def test_a_part_that_nothing_vouches_for_is_found(run: Path) -> None:
    """Other programs than surveyfit would read it as part of the table."""
    part = min((run / "catalog.parquet").iterdir())
    stray = part.with_name("stray.parquet")
    shutil.copy(part, stray)
    assert found_in(run) == {stray}


def test_a_receipt_of_another_configuration_is_found(run: Path) -> None:
    receipt = min((run / "receipts").glob("cut-tile-*"))
    write_sealed(receipt, read_sealed(receipt) | {"configuration": "other"})
    assert found_in(run) == {receipt}


def test_what_cannot_be_read_is_reported_and_left(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network disk that does not answer says nothing about what is on it."""
    before = digests(run)
    kinds = ("cutouts.zarr/*/*/32/pixels/c.0.0.0", "catalog.parquet/*", "receipts/fit-batch-*")
    # The last ones: the part that a silent receipt vouches for would not be looked at.
    silent_files = {min(run.glob(kinds[0])), min(run.glob(kinds[1])), max(run.glob(kinds[2]))}
    _let_fail(silent_files, errno.EIO, monkeypatch)
    answer = surveyfit("verify", run, "--repair")
    assert answer.status == 3
    for path in silent_files:
        assert f"{path}: cannot be read now (Input/output error); it is left" in answer.out
    assert len(answer.out.splitlines()) == len(silent_files) + 1
    monkeypatch.undo()
    assert digests(run) == before
    assert found_in(run) == set()
    assert RunDirectory(run).record()["state"] == "finished"


def _let_fail(paths: set[Path], error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file of these be read."""

    def failing(read: Callable[[Path], object]) -> Callable[[Path], object]:
        def fail(path: Path) -> object:
            if path in paths:
                raise OSError(error, os.strerror(error))
            return read(path)

        return fail

    monkeypatch.setattr(directory, "file_digest", failing(directory.file_digest))
    monkeypatch.setattr(directory, "read_sealed", failing(directory.read_sealed))


def test_cutouts_that_cannot_be_read_for_a_moment_are_tried_again(
    survey: Path, tiled_run: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for receipt in (run / "receipts").glob("fit-batch-*"):
        receipt.unlink()
    shard, read, asked = min(run.glob("cutouts.zarr/*/*/32/pixels/c.*")), file_digest, []

    def failing_once(path: Path) -> str:
        if path == shard:
            asked.append(path)
        if asked == [path]:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return read(path)

    monkeypatch.setattr(directory, "file_digest", failing_once)
    assert submit([str(survey)], run, TILES, QUIET_LOOP) == 0
    assert len(asked) == 2
    assert digests(run) == digests(tiled_run)


def test_repeated_sources_are_mended(survey: Path, tiled_run: Path, run: Path) -> None:
    """Both parts are made again, or one of them is gone: each source stands there once."""
    receipt = min((run / "receipts").glob("fit-batch-*"))
    part = RunDirectory(run).part_of(receipt)
    again = part.with_name(f"other-{part.name}")
    shutil.copy(part, again)
    content = read_sealed(receipt)
    content["files"] = {f"{again.parent.name}/{again.name}": file_digest(again)}
    content |= {"image": "other", "result": content["result"] | {"part": again.name}}
    write_sealed(RunDirectory(run).receipt_of(again), content)
    answer = surveyfit("verify", run, "--repair")
    assert answer.status == 3
    assert answer.out.count("of its sources stand in the catalogue more than once") == 2
    assert not receipt.exists()
    assert submit([str(survey)], run, TILES, QUIET_LOOP) == 0
    assert digests(run) == digests(tiled_run)
    assert found_in(run) == set()


def test_a_source_in_two_parts_is_found(tiled_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the identifiers are compared in several rounds."""
    first, second = sorted((tiled_run / "catalog.parquet").iterdir())
    for at_once in (10**6, 7):
        monkeypatch.setattr("surveyfit.sky.parts.IDS_AT_ONCE", at_once)
        assert list(repeated_ids([first, second])) == []
        counted = dict(repeated_ids([first, second, first]))
        assert list(counted) == [first]
        assert counted[first] > 10
