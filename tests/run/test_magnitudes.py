"""Magnitudes of stars of known brightness."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from overlapping import MAGNITUDE, write_image

from surveyfit.run.catalogue import read_catalogue, read_images
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pipeline import submit
from surveyfit.schema import GOOD
from surveyfit.sky.magnitudes import magnitudes


def measured(image: Path, run: Path, config: Config) -> RunDirectory:
    assert submit([str(image)], run, config, Execution(workers=0, quiet=True)) == 0
    return RunDirectory(run)


def assert_right(rows: Table, magnitude: float) -> None:
    """Judge the good rows by their errors: seen were 24 rows, pulls up to 2.4, of mean 0.03."""
    good = rows[(rows["flags"] & GOOD == 0) & (rows["snr"] > 10)]
    pulls = (good["mag"] - magnitude) / good["mag_err"]
    assert len(good) > 10
    assert np.abs(pulls).max() < 4.5
    assert np.abs(pulls.mean()) < 3 / np.sqrt(len(good))


@pytest.mark.parametrize(
    ("config", "zero_point"), [(Config(), 27.5), (Config(zeropoint=24.0), 24.0)]
)
def test_the_zero_point_is_that_of_the_header_unless_the_user_gives_one(
    config: Config, zero_point: float, tmp_path: Path
) -> None:
    """The stars have the same magnitude in an image of any unit, if its header tells which."""
    write_image(tmp_path / "sky.fits", 0.0, 2.0, zeropoint=27.5)
    run = measured(tmp_path / "sky.fits", tmp_path / "run", config)
    assert_right(read_catalogue(run), MAGNITUDE - 27.5 + zero_point)
    assert list(read_images(run)["zeropoint"]) == [zero_point]


def test_what_is_not_positive_has_no_magnitude() -> None:
    flux, error = np.array([-1.0, 0.0, np.nan, 100.0]), np.array([1.0, 1.0, np.nan, 10.0])
    mag, mag_err = magnitudes(flux, error, 25.0)
    np.testing.assert_array_equal(np.isnan([mag, mag_err]), [[True, True, True, False]] * 2)
    assert mag[3] == pytest.approx(20.0)
    # A tenth of the flux, to first order: the mean of the steps up and down is within 0.4 % of it.
    steps = magnitudes(np.array([90.0, 110.0]), error[:2], 25.0)[0]
    assert mag_err[3] == pytest.approx((steps[0] - steps[1]) / 2, rel=5e-3)
    assert np.isnan(magnitudes(flux, error, None)).all()
