"""Images of the same name, which came by different submits, are told apart."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from command_line import surveyfit

from surveyfit.run.config import Config, Execution
from surveyfit.run.pipeline import submit
from surveyfit.sky.simulate import simulate

NAME = "sky_0001.fits"

BEAM = 7.2
"""Arcsec, of the second image; the first has none."""


@pytest.fixture(scope="module")
def grown(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Add to a run of ``sky/sky_0001.fits`` one of that name with a beam."""
    folder = tmp_path_factory.mktemp("grown")
    run = shutil.copytree(small / "run", folder / "run")
    simulate(folder / "other", images=1, size=160, sources=8, seed=6)
    with fits.open(folder / "other" / NAME, mode="update") as file:
        file[0].header.update(BMAJ=BEAM / 3600, BMIN=BEAM / 3600, BPA=0.0)
    assert submit([str(folder / "other")], run, Config(), Execution(workers=0, quiet=True)) == 0
    return run


def test_each_row_gets_the_beam_of_its_image(grown: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.fits"
    assert surveyfit("catalog", grown, "-t", target, "--style", "aegean").status == 0
    rows = Table.read(target)
    psf = np.asarray(rows["psf_a"].filled(np.nan) if rows.masked else rows["psf_a"], float)
    first, second = (psf[rows["image"] == image] for image in dict.fromkeys(rows["image"]))
    without, beams = sorted((first, second), key=lambda values: np.isfinite(values).sum())
    assert len(without) > 0
    assert np.isnan(without).all()
    assert len(beams) > 0
    np.testing.assert_allclose(beams, BEAM)


def test_no_image_is_lost_in_the_header(grown: Path) -> None:
    header = fits.getheader(grown / "catalog.fits", 1)
    assert header["NIMAGES"] == 2
    assert header["IMAG0"] != header["IMAG1"]


def test_all_images_of_a_name_have_a_residual(grown: Path, tmp_path: Path) -> None:
    answer = surveyfit("residual", grown, "--image", NAME, "-o", tmp_path)
    assert (answer.status, answer.out.count("\n")) == (0, 2)
    assert len(list(tmp_path.glob("*_residual.fits"))) == 2
