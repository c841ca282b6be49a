"""A piece that Dask sends twice: the second time nothing is touched."""

import shutil
from pathlib import Path

from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import cut_pieces, fit_piece, noise_piece
from surveyfit.run.tasks import execute
from surveyfit.sky.image import Image


def states(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def test_what_is_committed_is_not_done_again(plain_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(plain_run, run)
    config = Config()
    _, receipt = next(RunDirectory(run).read_receipts("measure-noise"))
    image = Image.from_dict(receipt["result"]["image"])
    cuts = cut_pieces(image, config)
    tiles = tuple(tile for cut in cuts for tile in cut.tiles)
    before = states(run)
    for piece in (noise_piece(image, config), *cuts, fit_piece(image, tiles, config)):
        outcome = execute(piece, str(run), config)
        assert outcome.failure is None
        assert not outcome.resumed
        assert outcome.result
    assert states(run) == before
