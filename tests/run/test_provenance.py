"""What was typed goes into every kind of catalogue, whatever its letters."""

import os
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

from surveyfit.run.catalogue import committed_parts
from surveyfit.run.directory import RunDirectory
from surveyfit.run.provenance import provenance_of
from surveyfit.sky.export import export
from surveyfit.sky.fits_catalogue import write_fits_catalogue
from surveyfit.sky.parts import read_parts, to_table

TYPED = os.fsdecode(b"surveyfit submit caf\xe9.fits 'two\nlines\x1b[31m.fits'")

SPELLED = r"surveyfit submit caf\xe9.fits 'two\nlines\x1b[31m.fits'"


@pytest.fixture
def run(plain_run: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """Give a run a command and an option whose letters neither FITS nor XML can hold."""
    directory = RunDirectory(plain_run)
    record = directory.record()
    options = {"mask": "two\nlines.fits", "mask_bits": ["\x1b", "SAT"], "thresh": 4.5}
    changed: dict[str, Any] = record | {"command": TYPED, "configuration": options}
    monkeypatch.setattr(RunDirectory, "record", lambda self: changed)
    return directory


@pytest.mark.parametrize("extension", [".fits", ".vot", ".ecsv", ".parquet"])
def test_a_table_tells_the_command_in_letters_that_it_can_hold(
    extension: str, run: RunDirectory, tmp_path: Path
) -> None:
    rows = read_parts(committed_parts(run)[:1]).slice(0, 1)
    file = tmp_path / f"out{extension}"
    export(to_table(rows, provenance_of(run)), file)
    if extension == ".vot":
        assert SPELLED.replace("'", "&apos;") in file.read_text().replace("&#39;", "&apos;")
    else:
        meta = Table.read(file).meta
        assert meta["COMMAND" if extension == ".fits" else "command"] == SPELLED


def test_the_catalogue_of_a_run_tells_options_in_letters_that_fits_can_hold(
    run: RunDirectory, tmp_path: Path
) -> None:
    provenance = provenance_of(run, with_times=False)
    write_fits_catalogue(committed_parts(run), tmp_path / "catalog.fits", provenance)
    meta = Table.read(tmp_path / "catalog.fits").meta
    options = [meta[f"CONF{number}"] for number in range(3)]
    assert options == [r"mask = two\nlines.fits", r"mask_bits = \x1b SAT", "thresh = 4.5"]
