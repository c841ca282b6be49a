"""Artificial sources in the pixels: their light, their noise, and who sees them."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from injected_tables import write_injected
from scipy.stats import multivariate_normal

from surveyfit.errors import InputError
from surveyfit.sky.box import Box
from surveyfit.sky.companion import Companions
from surveyfit.sky.find import Found
from surveyfit.sky.gaussian_light import covariances, draw_stamp
from surveyfit.sky.image import Image, scan_file
from surveyfit.sky.parts import write_parquet
from surveyfit.sky.reader import ImageReader, Pixels

SHAPE = (90, 120)
WHOLE = Box(0, *SHAPE[:1], 0, *SHAPE[1:])


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Write an image of the level 100, with a masked corner and a saturation level."""
    pixels = np.full(SHAPE, 100, np.float32)
    pixels[:20, :20] = np.nan
    path = tmp_path / "sky.fits"
    fits.PrimaryHDU(pixels, fits.Header({"SATURATE": 900.0})).writeto(path)
    (found,) = scan_file(Found(path, path.name)).images
    return found


def read(image: Image, table: str, box: Box = WHOLE) -> Pixels:
    with ImageReader(image, Companions(inject=table)) as reader:
        return reader.read(box)


def test_a_stamp_is_a_normal_density_at_pixel_centres() -> None:
    (covariance,) = covariances([3.0], [1.5], [25.0])
    judge = multivariate_normal([10.3, 7.8], covariance)
    y, x = np.mgrid[0:16, 0:20]
    expected = 50 * judge.pdf(np.dstack([x, y])) / judge.pdf([10.3, 7.8])
    drawn = draw_stamp(Box(0, 16, 0, 20), 10.3, 7.8, 50.0, covariance)
    np.testing.assert_allclose(drawn, expected, rtol=1e-10)  # rounding only


def test_all_light_arrives_and_masked_pixels_stay_masked(image: Image, tmp_path: Path) -> None:
    table = write_injected(tmp_path / "t.parquet", image, x=[60.2, 19.5], y=[40.7, 10.0])
    pixels = read(image, table)
    assert np.isnan(pixels.data[:20, :20]).all()
    assert pixels.mask[:20, :20].all()
    light = pixels.data[20:, 35:].astype(float).sum() - 100 * 70 * 85
    # The stamp ends at 6.5 sigma, 1e-9 of the light; float32 rounds each pixel to 6e-8 of 1000.
    assert light == pytest.approx(2 * np.pi * 4 * 1000, rel=1e-5)


def test_the_noise_of_its_photons_is_the_same_in_every_box(image: Image, tmp_path: Path) -> None:
    x, y = np.random.default_rng(4).uniform(0, 90, (2, 12))
    table = write_injected(tmp_path / "t.parquet", image, x=x, y=y, gain=np.full(12, 0.5))
    whole = read(image, table)
    for box in (Box(0, 33, 0, 120), Box(20, 61, 37, 99), Box(60, 90, 0, 120)):
        part = read(image, table, box)
        np.testing.assert_array_equal(part.data, whole.data[box.slices])
        np.testing.assert_array_equal(part.saturated, whole.saturated[box.slices])


def test_photon_noise_has_the_variance_of_its_photons(image: Image, tmp_path: Path) -> None:
    wide = {"cxx": [400.0], "cyy": [400.0], "x": [60.0], "y": [45.0]}
    quiet = read(image, write_injected(tmp_path / "a.parquet", image, **wide)).data - 100
    noisy = read(image, write_injected(tmp_path / "b.parquet", image, gain=[4.0], **wide)).data
    off = ((noisy - 100 - quiet) / np.sqrt(quiet / 4.0))[20:]
    # 8400 pixels: the standard deviation of their variance is sqrt(2 / 8400) = 0.015.
    assert np.var(off) == pytest.approx(1, abs=0.06)


def test_saturation_is_judged_with_the_added_light(image: Image, tmp_path: Path) -> None:
    pixels = read(image, write_injected(tmp_path / "t.parquet", image, x=[60.0], y=[40.0]))
    assert pixels.saturated[40, 60]
    # 1000 exp(-r2 / 8) + 100 >= 900 within r2 = 1.79: the centre and its 4 neighbours.
    assert np.count_nonzero(pixels.saturated) == 5


@pytest.mark.parametrize("other", [{"digest": "0"}, {"hdu": 1}, {"plane": "1"}])
def test_sources_of_other_images_are_left_alone(
    image: Image, tmp_path: Path, other: dict[str, object]
) -> None:
    columns = {name: [value] for name, value in other.items()}
    if "hdu" in other:
        columns["hdu"] = np.array([1], np.int32)
    table = write_injected(tmp_path / "t.parquet", image, x=[60.0], y=[40.0], **columns)
    assert read(image, table).data[40, 60] == 100


def test_another_table_makes_another_measurement(image: Image, tmp_path: Path) -> None:
    table = write_injected(tmp_path / "t.parquet", image, x=[60.0], y=[40.0])
    first = Companions(inject=table).digest(image)
    write_injected(tmp_path / "t.parquet", image, x=[61.0], y=[40.0])
    assert Companions(inject=table).digest(image) not in (first, "")


def test_a_table_of_something_else_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(InputError, match=r"--inject .*t\.parquet is missing"):
        Companions(inject=str(path)).validate()
    write_parquet(Table({"x": [1.0]}), path)
    with pytest.raises(InputError, match="has no column amp: give a table that validate wrote"):
        Companions(inject=str(path)).validate()
