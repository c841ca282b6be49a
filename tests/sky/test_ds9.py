"""DS9 regions, judged by the regions package and by offsets on the sky."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from catalog_rows import random_rows
from regions import EllipsePixelRegion, EllipseSkyRegion, PointSkyRegion, Regions

from surveyfit.schema import COLUMNS, Flag
from surveyfit.sky.described import described
from surveyfit.sky.export import export


def read_regions(folder, rows):
    export(described(COLUMNS, rows, ""), folder / "out.reg")
    return Regions.read(folder / "out.reg", format="ds9")


@pytest.fixture
def rows():
    """Three sources with sizes, none of them missing."""
    return {name: values[[0, 1, 3]] for name, values in random_rows(4).items()}


def test_an_ellipse_has_the_position_axes_and_angle_of_its_row(tmp_path, rows):
    for i, ellipse in enumerate(read_regions(tmp_path, rows)):
        assert isinstance(ellipse, EllipseSkyRegion)
        # Positions are written to 1e-9 degrees, sizes and angles to 1e-6.
        assert ellipse.center.ra.deg == pytest.approx(rows["ra"][i], abs=1e-9)
        assert ellipse.center.dec.deg == pytest.approx(rows["dec"][i], abs=1e-9)
        assert ellipse.width.to_value("arcsec") == pytest.approx(rows["maj_axis"][i], abs=2e-6)
        assert ellipse.height.to_value("arcsec") == pytest.approx(rows["min_axis"][i], abs=2e-6)
        assert ellipse.angle.to_value("deg") == pytest.approx(rows["pos_ang"][i] + 90, abs=1e-6)
        assert ellipse.meta["text"] == rows["name"][i]
        assert ellipse.meta["tag"] == [rows["image"][i]]


@pytest.mark.parametrize("rotation", [0.0, 37.0])
@pytest.mark.parametrize("flip", [-1, 1])
@pytest.mark.parametrize("position_angle", [0.0, 20.0, 130.0])
def test_the_major_axis_is_drawn_along_the_position_angle(
    tmp_path, rows, rotation, flip, position_angle
):
    rows |= {"pos_ang": np.full(3, position_angle), "dec": np.full(3, 60.0)}
    ellipse = read_regions(tmp_path, rows)[0]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [rows["ra"][0], 60.0]
    wcs.wcs.crpix = [500.0, 500.0]
    cos, sin = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs.wcs.cd = np.array([[flip * cos, -flip * sin], [sin, cos]]) * 0.5 / 3600
    drawn = ellipse.to_pixel(wcs)
    centre = SkyCoord(rows["ra"][0], 60.0, unit="deg")
    end = centre.directional_offset_by(position_angle * u.deg, rows["maj_axis"][0] / 2 * u.arcsec)
    step = np.array(wcs.world_to_pixel(end)) - np.array(wcs.world_to_pixel(centre))
    along = np.array([np.cos(drawn.angle), np.sin(drawn.angle)])
    assert abs(step @ along) == pytest.approx(drawn.width / 2, rel=1e-4)


def test_without_sky_positions_ellipses_are_in_pixels(tmp_path, rows):
    rows["ra"][:] = np.nan
    for i, ellipse in enumerate(read_regions(tmp_path, rows)):
        assert isinstance(ellipse, EllipsePixelRegion)
        # regions counts pixels from 0, as the catalogue does.
        assert ellipse.center.xy == pytest.approx((rows["x"][i], rows["y"][i]), abs=1e-6)
        assert ellipse.width == pytest.approx(rows["maj_pix"][i], abs=2e-6)
        assert ellipse.height == pytest.approx(rows["min_pix"][i], abs=2e-6)
        assert ellipse.angle.to_value("deg") == pytest.approx(rows["pa_pix"][i], abs=1e-6)


def test_a_source_without_size_is_a_point_and_one_without_position_is_not_drawn(tmp_path, rows):
    rows["maj_axis"][0] = np.nan
    for name in ("ra", "x"):
        rows[name][1] = np.nan
    point, ellipse = read_regions(tmp_path, rows)
    assert isinstance(point, PointSkyRegion)
    assert point.center.ra.deg == pytest.approx(rows["ra"][0], abs=1e-9)
    assert ellipse.meta["text"] == rows["name"][2]


def test_good_and_flagged_rows_have_different_colours(tmp_path, rows):
    rows["flags"] = np.array([0, Flag.SATURATED, Flag.JOINT_FIT], dtype=np.int32)
    colours = [region.visual["facecolor"] for region in read_regions(tmp_path, rows)]
    assert colours == ["green", "orange", "green"]


def test_regions_of_images_without_world_coordinates_are_told_apart_by_their_tags(tmp_path, rows):
    rows["ra"][:] = np.nan
    rows["image"] = np.array(["a.fits", "b{1}.fits", "b{1}.fits"])
    tags = [region.meta["tag"] for region in read_regions(tmp_path, rows)]
    assert tags == [["a.fits"], ["b(1).fits"], ["b(1).fits"]]
