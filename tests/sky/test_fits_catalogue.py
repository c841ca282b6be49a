"""One FITS table of many parts, against the table that astropy writes of all rows at once."""

from pathlib import Path

import pytest
from catalog_rows import random_rows

from surveyfit.sky import fits_catalogue
from surveyfit.sky.export import export
from surveyfit.sky.fits_catalogue import write_fits_catalogue
from surveyfit.sky.parts import read_parts, to_table, write_part

SIZES = (7, 0, 12, 1, 40)
"""Rows of the parts; one image has none."""


@pytest.fixture(autouse=True)
def _few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits_catalogue, "ROWS_AT_ONCE", 10)


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

    monkeypatch.setattr(fits_catalogue, "read_parts", counted)
    write_fits_catalogue(written(tmp_path, ["Jy"] * 5), tmp_path / "parts.fits")
    assert held == [7, 12, 1, 40]  # a part is read whole, however long
