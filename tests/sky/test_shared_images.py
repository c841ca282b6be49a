"""The real images beside the checkout: what is measured, what is listed, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import ascii as tables
from astropy.io import fits

from surveyfit.errors import InputError
from surveyfit.sky.box import Box
from surveyfit.sky.companion import Companions
from surveyfit.sky.find import find_images
from surveyfit.sky.image import scan_file
from surveyfit.sky.reader import ImageReader

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not DATA.is_dir(), reason="the development images are not here"),
]
REFUSED = {
    "aegean_1904-66_comp.fits": "holds only tables",
    "racs_1357-18_aegean_comp.fits": "holds only tables",
    "aegean_1904-66_3planes.fits": "--plane 0 to 2",
}
ONLY_MASKS = {"decam_z_dq.fits", "sim1024_mask.fits.gz"}


@pytest.fixture(scope="module")
def scanned():
    contents, refused = {}, {}
    for found in find_images([str(DATA)]):
        try:
            contents[found.name] = scan_file(found)
        except InputError as error:
            refused[found.name] = str(error)
    return contents, refused


def open_image(scanned, name, companions=None):
    (image,) = scanned[0][name].images
    return ImageReader(image, companions)


def whole(reader):
    ny, nx = reader.image.shape
    return reader.read(Box(0, ny, 0, nx))


def test_exactly_tables_and_the_cube_are_refused(scanned):
    _, refused = scanned
    assert refused.keys() == REFUSED.keys()
    for name, words in REFUSED.items():
        assert words in refused[name]


def test_all_else_gives_one_image_or_is_a_mask(scanned):
    contents, _ = scanned
    assert {name for name, held in contents.items() if not held.images} == ONLY_MASKS
    assert {o.kind for name in ONLY_MASKS for o in contents[name].others} == {"mask"}
    assert all(len(held.images) <= 1 for held in contents.values())


def test_hsc_planes(scanned):
    held = scanned[0]["hsc_mef.fits"]
    assert [(i.hdu, i.mask_hdu) for i in held.images] == [(1, 2)]
    assert [o.kind for o in held.others] == ["mask", "variance", "table", "table", "table"]


def test_pixels_equal_astropys_data(scanned):
    for held in scanned[0].values():
        for image in held.images:
            with ImageReader(image) as reader, fits.open(image.path) as hdus:
                pixels = whole(reader)
                data = hdus[image.hdu].data[image.plane].astype("f4")
                np.testing.assert_array_equal(pixels.data, data, err_msg=image.name)
                np.testing.assert_array_equal(pixels.mask & ~np.isnan(data), False)


def test_a_plane_of_the_cube():
    (found,) = find_images([str(DATA / "aegean_1904-66_3planes.fits")])
    (image,) = scan_file(found, plane=2).images
    with ImageReader(image) as reader:
        np.testing.assert_array_equal(whole(reader).data, fits.getdata(found.path)[2])


def test_detected_pixels_of_the_hsc_mask_are_good_unless_asked_for(scanned):
    with open_image(scanned, "hsc_mef.fits") as reader:
        assert whole(reader).mask.sum() == 0
    companions = Companions(mask_bits=("DETECTED",))
    with open_image(scanned, "hsc_mef.fits", companions) as reader:
        assert whole(reader).mask.sum() == 5390  # counted in the file's HDU 2


def test_quality_plane_of_another_file(scanned):
    companions = Companions(mask="{dir}/decam_z_dq.fits")
    with open_image(scanned, "decam_z_sci.fits", companions) as reader:
        assert whole(reader).mask.sum() == 177  # as the README of the data says


def test_facts(scanned):
    with open_image(scanned, "ami_swift554620_4d.fits") as reader:
        facts = reader.facts
        assert facts.unit == "Jy/beam"
        assert facts.beam.major == pytest.approx(61.5, abs=0.1)
        assert facts.pixel_scale == pytest.approx(5.0, rel=1e-6)
        assert facts.frequency == pytest.approx(16.9e9, rel=0.01)
    with open_image(scanned, "decam_z_sci.fits") as reader:
        facts = reader.facts
        assert (facts.exposure, facts.zeropoint) == (107.0, 29.915)  # from the primary header
        assert facts.filter.startswith("z DECam")
    with open_image(scanned, "m67_dss_int16.fits") as reader:
        assert reader.facts.epoch_mjd == 33979.0  # 29 November 1951


@pytest.mark.parametrize("name", ["aegean_1904-66_nan", "ami_swift554620_4d"])
def test_sky_positions_agree_with_those_of_aegean(scanned, name):
    """The brightest pixel near each bright source of Aegean's catalogue lies within two pixels."""
    sources = tables.read(DATA / f"{name}.aegean_comp.csv", format="csv")
    bright = sources[sources["peak_flux"] > 8 * sources["local_rms"]]
    assert len(bright) > 0
    with open_image(scanned, f"{name}.fits") as reader:
        data = np.nan_to_num(whole(reader).data, nan=-np.inf)
        y, x = np.indices(data.shape)
        ra, dec, _ = reader.world.positions(x.ravel(), y.ravel())
        pixels = SkyCoord(np.nan_to_num(ra), np.nan_to_num(dec, nan=-90.0), unit="deg")
        for source in bright:
            separation = pixels.separation(SkyCoord(source["ra"], source["dec"], unit="deg"))
            near = separation.arcsec.reshape(data.shape) < 2 * reader.facts.pixel_scale
            assert data[near].max() == pytest.approx(source["peak_flux"], rel=0.25)
