"""One file of many parts, against that of all rows at once."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from catalog_rows import assert_same_values, random_rows

from surveyfit.sky import row_groups
from surveyfit.sky.about import Provenance
from surveyfit.sky.export import export
from surveyfit.sky.fits_catalogue import write_fits_catalogue
from surveyfit.sky.parts import read_parts, to_table, write_part
from surveyfit.sky.streamed import export_parts

SIZES = (7, 0, 12, 1, 40)
"""Rows of the parts; one image has none."""

RUN = Provenance(versions={"jax": "1"}, configuration={"thresh": 5.0}, images={"a": "0" * 64})


@pytest.fixture(autouse=True)
def _few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "ROWS_AT_ONCE", 10)


def written(folder: Path, units: list[str]) -> list[Path]:
    """Write a part for each unit; names of the images differ in length and alphabet."""
    paths = [folder / f"{i}.parquet" for i in range(len(units))]
    for i, (path, unit) in enumerate(zip(paths, units, strict=True)):
        name = f"field {'é' * i}.fits"
        write_part(path, random_rows(SIZES[i], unit=unit, seed=i, image=name), unit)
    return paths


@pytest.mark.parametrize(
    "units",
    [
        ["Jy/beam"] * 5,
        ["Jy/beam", "Jy/beam", "electron", "", "Jy/beam"],
        ["electron"],
        [],
    ],
    ids=["one unit", "units that differ", "one part", "no part"],
)
def test_the_file_is_that_of_all_rows_at_once(units: list[str], tmp_path: Path) -> None:
    parts = written(tmp_path, units)
    write_fits_catalogue(parts, tmp_path / "parts.fits")
    export(to_table(read_parts(parts)), tmp_path / "whole.fits")
    assert (tmp_path / "parts.fits").read_bytes() == (tmp_path / "whole.fits").read_bytes()


def test_no_more_rows_are_held_than_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def counted(paths: list[Path]) -> object:
        table = read_parts(paths)
        held.append(len(table))
        return table

    monkeypatch.setattr(row_groups, "read_parts", counted)
    write_fits_catalogue(written(tmp_path, ["Jy"] * 5), tmp_path / "parts.fits")
    assert held == [7, 12, 1, 40]  # a part is read whole, however long


@pytest.mark.parametrize("units", [["Jy/beam"] * 5, ["Jy/beam", "adu"]], ids=["one", "two"])
@pytest.mark.parametrize("extension", [".csv", ".reg"])
def test_a_text_of_many_parts_is_that_of_all_rows_at_once(
    extension: str, units: list[str], tmp_path: Path
) -> None:
    parts = written(tmp_path, units)
    export_parts(parts, tmp_path / f"parts{extension}", RUN)
    export(to_table(read_parts(parts), RUN), tmp_path / f"whole{extension}")
    assert (tmp_path / f"parts{extension}").read_text() == (
        tmp_path / f"whole{extension}"
    ).read_text()


@pytest.mark.parametrize("units", [["Jy/beam"] * 5, ["Jy/beam", "adu"], []])
def test_a_parquet_file_of_many_parts_reads_as_that_of_all_rows_at_once(
    units: list[str], tmp_path: Path
) -> None:
    parts = written(tmp_path, units)
    export_parts(parts, tmp_path / "parts.parquet", RUN)
    whole, table = to_table(read_parts(parts), RUN), Table.read(tmp_path / "parts.parquet")
    assert_same_values(table, {name: np.asarray(whole[name]) for name in whole.colnames})
    assert dict(table.meta) == dict(whole.meta)
    assert [column.unit for column in table.itercols()] == [c.unit for c in whole.itercols()]
    groups = pq.ParquetFile(tmp_path / "parts.parquet").num_row_groups
    assert groups == max(1, sum(n > 0 for n in SIZES[: len(units)])), "some rows at a time"
    footer = pq.ParquetFile(tmp_path / "parts.parquet").metadata.metadata
    assert b"IVOA.VOTable-Parquet.content" in footer
