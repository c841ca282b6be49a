"""What lies beside an image decides what is measured: a changed mask is never overlooked."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from surveyfit.run.catalogue import read_catalogue
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pipeline import submit
from surveyfit.run.verify import Extent, read_again
from surveyfit.schema import GOOD

SIZE = 300


@pytest.fixture
def measured(survey: Path, tmp_path: Path) -> Callable[[], tuple[int, Table, int]]:
    """Submit one image with its mask: exit status, good rows, pieces that were worked."""
    sky, run = tmp_path / "sky", tmp_path / "run"
    sky.mkdir()
    os.link(survey / "sky_0001.fits", sky / "sky_0001.fits")
    config = Config(mask=f"{tmp_path}/{{stem}}_mask.fits")

    def measure() -> tuple[int, Table, int]:
        status = submit([str(sky)], run, config, Execution(workers=0, quiet=True))
        table = read_catalogue(RunDirectory(run))
        worked = RunDirectory(run).record()["counts"]["pieces_worked"]
        assert list(read_again(RunDirectory(run), Extent(lambda line: None))) == []
        return status, table[table["flags"] & GOOD == 0], worked

    return measure


def write_mask(folder: Path, columns: slice) -> None:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:, columns] = 1
    fits.writeto(folder / "sky_0001_mask.fits", mask, overwrite=True)


def test_a_changed_mask_is_measured_with(
    measured: Callable[[], tuple[int, Table, int]], tmp_path: Path
) -> None:
    write_mask(tmp_path, slice(0, 150))
    status, table, _ = measured()
    assert status == 0
    assert (table["x"] > 145).all()
    write_mask(tmp_path, slice(150, 300))
    status, table, worked = measured()
    assert (status, worked) == (0, 3), "noise, cutouts and fit anew"
    assert len(table) > 5
    assert (table["x"] < 155).all()


def test_a_mask_written_again_as_it_was_changes_nothing(
    measured: Callable[[], tuple[int, Table, int]], tmp_path: Path
) -> None:
    write_mask(tmp_path, slice(0, 150))
    _, table, _ = measured()
    os.utime(tmp_path / "sky_0001_mask.fits", (1, 1))
    status, again, worked = measured()
    assert (status, worked) == (0, 0)
    assert list(again["source_id"]) == list(table["source_id"])


def test_a_mask_that_was_missing_is_taken_once_it_is_there(
    measured: Callable[[], tuple[int, Table, int]], tmp_path: Path
) -> None:
    assert measured()[0] == 4
    write_mask(tmp_path, slice(0, 150))
    status, table, _ = measured()
    assert status == 0
    assert len(table) > 5


def test_what_was_measured_with_an_old_mask_is_gone_if_the_new_one_is_bad(
    measured: Callable[[], tuple[int, Table, int]], tmp_path: Path
) -> None:
    write_mask(tmp_path, slice(0, 150))
    assert len(measured()[1]) > 5
    fits.writeto(tmp_path / "sky_0001_mask.fits", np.zeros((9, 9), np.uint8), overwrite=True)
    status, table, _ = measured()
    assert status == 4
    assert len(table) == 0
