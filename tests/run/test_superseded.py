"""Each source stands in the catalogue once: of several measurements of a tile one holds."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import failures, record

from surveyfit.errors import InputError
from surveyfit.run import tasks
from surveyfit.run.catalogue import read_catalogue, whole_batches
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import Piece, Stage, cut_pieces, fit_piece, halves
from surveyfit.run.pipeline import submit
from surveyfit.run.plan import Tile
from surveyfit.run.sealed import read_sealed, write_sealed
from surveyfit.run.tasks import execute
from surveyfit.run.verify import Extent, read_again
from surveyfit.sky.image import Image

QUIET_LOOP = Execution(workers=0, quiet=True)
TILES = Config(tile=128, halo=64)


@pytest.fixture(scope="module")
def one_image(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with one image, of 9 tiles."""
    folder = tmp_path_factory.mktemp("one")
    shutil.copy(survey / "sky_0001.fits", folder)
    return folder


@pytest.fixture(scope="module")
def tiled_run(one_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "tiled"
    assert submit([str(one_image)], run, TILES, QUIET_LOOP) == 0
    return run


@pytest.fixture
def run(tiled_run: Path, tmp_path: Path) -> Path:
    """Copy the run, to be worked on."""
    return shutil.copytree(tiled_run, tmp_path / "run")


def batch(run: Path) -> Piece:
    """Return the fit of all tiles of the image."""
    (measured,) = (r for _, r in RunDirectory(run).read_receipts(Stage.NOISE))
    image = Image.from_dict(measured["result"]["image"])
    return part_of(image, lambda tiles: tiles)


def part_of(image: Image | None, choose: Callable[[Any], tuple[Tile, ...]]) -> Piece:
    """Return the fit of some tiles of the image."""
    assert image is not None
    tiles = tuple(tile for piece in cut_pieces(image, TILES) for tile in piece.tiles)
    return fit_piece(image, choose(tiles), TILES)


def fitted(run: Path) -> list[int]:
    """Return the number of tiles that each receipt of a fit vouches for."""
    return [len(receipt["tiles"]) for _, receipt in RunDirectory(run).read_receipts(Stage.FIT)]


def ids(run: Path) -> list[int]:
    return sorted(read_catalogue(RunDirectory(run))["source_id"])


def assert_sound(run: Path) -> None:
    assert [str(f) for f in read_again(RunDirectory(run), Extent(lambda line: None))] == []


@pytest.mark.parametrize("other", ["moved.fits", "aa_sorts_first.fits"])
@pytest.mark.parametrize("stays", [False, True], ids=["renamed", "copied"])
def test_a_file_of_another_name_does_not_double_its_sources(
    survey: Path, plain_run: Path, tmp_path: Path, other: str, stays: bool
) -> None:
    """Also where an equal file that sorts before it is the one that is measured now."""
    folder, run = tmp_path / "images", tmp_path / "run"
    shutil.copytree(survey, folder)
    shutil.copytree(plain_run, run)
    (shutil.copy if stays else shutil.move)(folder / "sky_0001.fits", folder / other)
    assert submit([str(folder)], run, Config(), QUIET_LOOP) == 0
    assert ids(run) == ids(plain_run)
    measured = "sky_0001.fits" if stays and other > "sky_0001" else other
    assert set(read_catalogue(RunDirectory(run))["image"]) == {measured, "sky_0002.fits"}
    assert len(list((run / "noise").iterdir())) == 2
    assert len([p for p in (run / "cutouts.zarr").iterdir() if p.is_dir()]) == 2
    assert_sound(run)


def failing_at(tile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tile be impossible to cut."""
    write = tasks.write_cutouts

    def refuse(store: Path, image: str, label: str, groups: Any) -> Any:
        if label == tile:
            raise InputError("this tile", "nothing can be done")
        return write(store, image, label, groups)

    monkeypatch.setattr(tasks, "write_cutouts", refuse)


def test_of_two_batches_that_overlap_the_newer_holds(
    one_image: Path, tiled_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First without the first tile, then without the last, then whole."""
    run = tmp_path / "run"
    labels = [tile.label for tile in batch(tiled_run).tiles]
    with monkeypatch.context() as patch:
        failing_at(labels[0], patch)
        assert submit([str(one_image)], run, TILES, QUIET_LOOP) == 3
    assert fitted(run) == [8]
    (cut,) = (run / "receipts").glob(f"cut-tile-*-{labels[-1]}.json")
    cut.unlink()
    with monkeypatch.context() as patch:
        failing_at(labels[-1], patch)
        assert submit([str(one_image)], run, TILES, QUIET_LOOP) == 3
    assert [row["tile"] for row in failures(run)] == [labels[-1]]
    table = read_catalogue(RunDirectory(run))
    assert set(table["tile"]) <= set(labels[:-1])
    assert labels[0] in table["tile"]
    assert len(set(table["source_id"])) == len(table) == record(run)["counts"]["rows"]
    assert_sound(run)
    assert submit([str(one_image)], run, TILES, QUIET_LOOP) == 0
    assert fitted(run) == [9]
    assert ids(run) == ids(tiled_run)


def test_a_batch_takes_the_place_of_all_that_share_a_tile_with_it(run: Path) -> None:
    whole = batch(run)
    steps = ((1, 9, [8]), (0, 4, [4]), (4, 9, [4, 5]), (3, 9, [6]), (0, 9, [9]))
    for first, end, left in steps:
        tiles = slice(first, end)
        piece = part_of(whole.image, lambda all_tiles, tiles=tiles: all_tiles[tiles])
        assert execute(piece, str(run), TILES).failure is None
        assert fitted(run) == left


def test_a_batch_that_fails_costs_no_half_of_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = batch(run)
    assert execute(halves(whole, TILES)[0], str(run), TILES).failure is None
    monkeypatch.setattr(tasks, "write_part", lambda *_: 1 / 0)
    assert execute(whole, str(run), TILES).failure is not None
    assert fitted(run) == [4]


def test_a_batch_fitted_in_halves_is_not_fitted_again(
    one_image: Path, tiled_run: Path, run: Path
) -> None:
    """Halves of halves too; the numbers of the run are those of the whole."""
    first, second = halves(batch(run), TILES)
    for piece in (first, *halves(second, TILES)):
        assert execute(piece, str(run), TILES).failure is None
    directory = RunDirectory(run)
    directory.write_record(directory.record() | {"state": "running"})
    assert submit([str(one_image)], run, TILES, QUIET_LOOP) == 0
    ours, theirs = record(run)["counts"], record(tiled_run)["counts"]
    assert ours["pieces_worked"] == 0
    assert [ours[n] for n in ("rows", "good")] == [theirs[n] for n in ("rows", "good")]
    assert ours["tiles_ended"] == ours["tiles"] == 9
    assert sorted(fitted(run)) == [2, 3, 4]
    assert ids(run) == ids(tiled_run)
    assert_sound(run)


def test_half_a_batch_is_not_taken_for_the_whole(run: Path) -> None:
    whole = batch(run)
    first, second = halves(whole, TILES)
    for half in (first, second):
        assert execute(half, str(run), TILES).failure is None
    directory = RunDirectory(run)
    assert directory.resume(whole, TILES, print) is not None
    directory.withdraw_receipt(second)
    assert directory.resume(whole, TILES, print) is None


def test_larger_batches_hold_and_every_tile_once() -> None:
    rng = np.random.default_rng(3)
    spans = [sorted(rng.choice(17, 2, replace=False)) for _ in range(40)]
    receipts = [
        {"image": f"image {i % 3}", "tiles": [f"{n:02d}" for n in range(*span)]}
        for i, span in enumerate(spans)
    ]
    receipts.sort(key=lambda r: r["image"])
    kept = list(whole_batches(receipts))
    for image in ("image 0", "image 1", "image 2"):
        tiles = [t for r in kept if r["image"] == image for t in r["tiles"]]
        assert tiles == sorted(set(tiles)), "each once, in their order"
        largest = max((r for r in receipts if r["image"] == image), key=lambda r: len(r["tiles"]))
        assert len(largest["tiles"]) in [len(r["tiles"]) for r in kept if r["image"] == image]


def test_no_fit_is_made_of_cutouts_of_another_measurement(run: Path) -> None:
    receipt = min((run / "receipts").glob("cut-tile-*"))
    write_sealed(receipt, read_sealed(receipt) | {"key": "of another mask"})
    failure = execute(halves(batch(run), TILES)[0], str(run), TILES).failure
    assert failure is not None
    assert failure.reason == f"{receipt} is of another measurement"


def test_no_fit_is_made_of_cutouts_that_the_receipt_does_not_count(run: Path) -> None:
    tile = min((run / "cutouts.zarr").glob("*/y*"))
    side = min(p for p in tile.iterdir() if p.is_dir())
    shutil.copytree(side, tile / "128")
    failure = execute(halves(batch(run), TILES)[0], str(run), TILES).failure
    assert failure is not None
    assert "cutouts by side" in failure.reason
    assert "verify --repair" in failure.remedy
