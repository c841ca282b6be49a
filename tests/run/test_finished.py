"""A run opened from Python."""

import json
import shutil
from pathlib import Path
from typing import Any

import command_line
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import surveyfit
from surveyfit.errors import InputError
from surveyfit.run import directory, sealed
from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import Stage, cut_pieces, fit_piece
from surveyfit.sky import atomic, row_groups
from surveyfit.sky.image import Image


def test_a_run_opens_as_table_cutouts_and_record(plain_run: Path) -> None:
    run = surveyfit.open_run(plain_run)
    assert run.record["state"] == "finished"
    assert len(run.catalog) == run.record["catalogue_rows"]
    cutouts = [
        array for _, array in run.cutouts.members(max_depth=None) if array.path.endswith("/pixels")
    ]
    assert sum(array.shape[0] for array in cutouts) == len(run.catalog)
    assert all(array.dtype == np.float32 for array in cutouts)
    assert all(array.shape[1] == int(array.path.split("/")[-2]) for array in cutouts)


def test_the_fitted_model_lies_on_the_cutout(plain_run: Path) -> None:
    run = surveyfit.open_run(plain_run)
    table = run.catalog
    table.add_index("source_id")
    sources = next(a for _, a in run.cutouts.members(max_depth=None) if a.path.endswith("/sources"))
    group = run.cutouts[sources.path.rsplit("/", 1)[0]]
    fields = group.attrs["fields"]
    known = dict(zip(fields, sources[...].T, strict=True))
    brightest = int(np.argmax(known["amp"]))
    distance = np.hypot(
        table["fit_x0"] - known["peak_x"][brightest], table["fit_y0"] - known["peak_y"][brightest]
    )
    row = table[int(np.nanargmin(distance))]
    pixels = group["pixels"][brightest]
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    dx = x + known["corner_x"][brightest] - row["fit_x0"]
    dy = y + known["corner_y"][brightest] - row["fit_y0"]
    quadratic = dx**2 + dy**2 + row["fit_rho"] * dx * dy + row["fit_diff"] * (dx**2 - dy**2)
    model = row["fit_amp"] * np.exp(-quadratic / (2 * row["fit_sigma"] ** 2)) + row["fit_bkg"]
    residual = (pixels - model)[np.isfinite(pixels)] / row["local_rms"]
    # Median of |Gaussian| is 0.674; a swap of x and y or a shift of a pixel gives many sigmas.
    assert np.median(np.abs(residual)) < 0.9


def test_a_receipt_that_vanishes_meanwhile_is_passed_over(
    plain_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A living submit withdraws a receipt just after its reader has listed it."""
    run = shutil.copytree(plain_run, tmp_path / "run")
    read, rows = sealed.read_sealed, len(surveyfit.open_run(run).catalog)
    first = min((run / "receipts").glob("fit-batch-*"))
    withdrawn = json.loads(first.read_text())["result"]["rows"]

    def withdrawing(path: Path) -> dict[str, Any]:
        if path == first:
            path.unlink()
        return read(path)

    monkeypatch.setattr(directory, "read_sealed", withdrawing)
    assert len(surveyfit.open_run(run).catalog) == rows - withdrawn


def test_the_catalogue_as_fits_is_that_of_the_run_and_never_held_whole(
    plain_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_groups, "ROWS_AT_ONCE", 1)
    held, read = [], row_groups.read_parts

    def counted(paths: list[Path]) -> Any:
        held.append(len(paths))
        return read(paths)

    monkeypatch.setattr(row_groups, "read_parts", counted)
    catalog = plain_run / "catalog.fits"
    answer = command_line.surveyfit("catalog", plain_run, "-t", tmp_path / "out.fits")
    assert answer.out.startswith(f"{len(Table.read(catalog))} rows in ")
    assert held == [1, 1], "a part after the other"
    with fits.open(tmp_path / "out.fits") as exported, fits.open(catalog) as merged:
        assert exported[1].data.tobytes() == merged[1].data.tobytes()
        added = set(exported[1].header) - set(merged[1].header)
    assert added == {"DATE", "COMMAND"}, "what differs between two runs of the same images"


@pytest.mark.parametrize("ending", ["fits", "csv"])
def test_a_part_that_is_missing_is_named_in_a_line(
    plain_run: Path, tmp_path: Path, ending: str
) -> None:
    run = shutil.copytree(plain_run, tmp_path / "run")
    part = min((run / "catalog.parquet").iterdir())
    part.unlink()
    answer = command_line.surveyfit("catalog", run, "-t", tmp_path / f"out.{ending}")
    assert answer.status == 2
    (line,) = answer.err.splitlines()
    assert f"{part} is missing or damaged" in line
    assert "verify --repair" in line


def test_a_withdrawn_receipt_is_gone_from_the_disk_before_anything_is_written(
    plain_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(shutil.copytree(plain_run, tmp_path / "run"))
    receipt = run.receipt_paths(Stage.FIT)[0]
    image = Image.from_dict(next(run.read_receipts(Stage.NOISE))[1]["result"]["image"])
    (cut,) = cut_pieces(image, Config())
    synced = []
    monkeypatch.setattr(atomic, "_fsync", lambda path: synced.append((path, receipt.exists())))
    run.withdraw_receipt(fit_piece(image, cut.tiles, Config()))
    assert synced == [(run.receipts, False)]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run directory"):
        surveyfit.open_run(tmp_path)


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = surveyfit.nothing
