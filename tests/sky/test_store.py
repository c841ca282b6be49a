"""What is written of an image is read back, and is whole."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from noise_images import grid_of, smoothed

from surveyfit.sky import store
from surveyfit.sky.atomic import file_digest, remove_temporary
from surveyfit.sky.sources import SOURCE_FIELDS, CutoutGroup, Sources
from surveyfit.sky.store import RunStores, read_cutouts, read_grid, write_cutouts, write_grid


def test_a_noise_grid_survives_the_store(tmp_path: Path) -> None:
    grid = grid_of(smoothed(256, 1, 1.7, 1.7))
    write_grid(tmp_path, "image", grid)
    read = asdict(read_grid(tmp_path, "image"))
    for name, value in asdict(grid).items():
        np.testing.assert_array_equal(read[name], value, err_msg=name)


def cutouts_of(side: int, n: int) -> CutoutGroup:
    rng = np.random.default_rng(side)
    return CutoutGroup(
        side=side,
        pixels=rng.normal(size=(n, side, side)).astype(np.float32),
        noise=None,
        sources=Sources.from_array(rng.normal(size=(n, len(SOURCE_FIELDS)))),
    )


def test_two_that_write_a_tile_at_the_same_time_do_not_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole tile is written by another process just before the first one is done."""
    stores = RunStores.of(tmp_path)
    stores.create()
    settle, late, early = store.settle, [cutouts_of(32, 3)], [cutouts_of(32, 5), cutouts_of(64, 2)]

    def overtaken(folder: Path) -> dict[Path, str]:
        monkeypatch.setattr(store, "settle", settle)
        digests = write_cutouts(stores.cutouts, "image", "tile", early)
        assert all(file_digest(path) == digest for path, digest in digests.items())
        return settle(folder)

    monkeypatch.setattr(store, "settle", overtaken)
    digests = write_cutouts(stores.cutouts, "image", "tile", late)
    tile = stores.cutouts / "image" / "tile"
    assert {path: file_digest(path) for path in tile.rglob("*") if path.is_file()} == digests
    (group,) = read_cutouts(stores.cutouts, "image", "tile")
    np.testing.assert_array_equal(group.pixels, late[0].pixels)
    assert list(tmp_path.rglob("*.tmp")) == []


def test_a_tile_that_could_not_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = RunStores.of(tmp_path)
    stores.create()
    write_cutouts(stores.cutouts, "image", "tile", [cutouts_of(32, 3)])
    monkeypatch.setattr(store, "settle", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_cutouts(stores.cutouts, "image", "tile", [cutouts_of(64, 2)])
    assert [g.side for g in read_cutouts(stores.cutouts, "image", "tile")] == [32]
    assert list(tmp_path.rglob("*.tmp")) == []


def test_what_a_killed_writer_has_left_is_cleaned_away(tmp_path: Path) -> None:
    (tmp_path / ".tile.0123.tmp" / "32").mkdir(parents=True)
    (tmp_path / ".part.parquet.0123.tmp").touch()
    remove_temporary(tmp_path)
    assert list(tmp_path.iterdir()) == []
