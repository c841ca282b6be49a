"""An image made of another has its world coordinates, whatever their kind, and no wrong card."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS, DistortionLookupTable

from surveyfit.sky.derived_image import derived_header, writing
from surveyfit.sky.find import Found
from surveyfit.sky.image import scan_file
from surveyfit.sky.plane import PlaneReader

DATA = Path(__file__).parents[3] / "shared" / "data"
NAMES = (
    "scorpio_atca_extended.fits",
    "aegean_1904-66_nan.fits",
    "ami_swift554620_4d.fits",
    "m67_dss_int16.fits",
    "m13_rice_int16.fits",
    "kids_r_compressed.fits",
    "hsc_mef.fits",
    "decam_z_sci.fits",
    "decam_r_compressed_tpv.fits",
    "lsst_stargrid.fits.fz",
)


def derive(path: Path, target: Path, plane: int | None = None) -> fits.Header:
    """Write zeros with the coordinates of an image."""
    (image,) = scan_file(Found(path, path.name), plane=plane, digest=False).images
    with PlaneReader(image) as reader:
        header = derived_header(reader.header, image, [("SFIMAGE", image.name, "")], ["zeros"])
        with writing(target, header, reader.hdus) as stream:
            for rows in (1, image.shape[0] - 1):
                stream.write(np.zeros((rows, image.shape[1]), np.float32))
    return header


def corners(wcs: WCS) -> np.ndarray:
    nx, ny = wcs.pixel_shape[:2]
    return wcs.all_pix2world([[0, 0], [nx - 1, 0], [0, ny - 1], [nx - 1, ny - 1]], 0)


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason="the development images are not here")
@pytest.mark.parametrize("name", NAMES)
def test_corners_stay_where_they_are_on_the_sky(name, tmp_path):
    derive(DATA / name, tmp_path / "made.fits")
    (image,) = scan_file(Found(DATA / name, name), digest=False).images
    with fits.open(tmp_path / "made.fits") as made, fits.open(DATA / name) as given:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # what the real headers are like
            made.verify("exception")
            here = WCS(made[0].header, made, naxis=[1, 2])
            there = WCS(given[image.hdu].header, given, naxis=[1, 2])
        assert made[0].data.shape[-2:] == image.shape
        assert made[0].data.dtype == np.dtype(">f4")
        assert not {"BSCALE", "BZERO", "ZIMAGE", "CHECKSUM"} & set(made[0].header)
        for keyword in ("BUNIT", "BMAJ", "EQUINOX", "RADESYS", "FILTER", "DATE-OBS"):
            assert made[0].header.get(keyword) == given[image.hdu].header.get(
                keyword, made[0].header.get(keyword)
            )
        np.testing.assert_array_equal(corners(here), corners(there))


def test_a_plane_of_a_cube_keeps_its_frequency(tmp_path):
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = "RA---SIN", "DEC--SIN", "FREQ"
    wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = (10, -30, 1e9), (-0.01, 0.01, 2e6), (4, 5, 1)
    cube = fits.PrimaryHDU(np.ones((6, 8, 9), np.float32), wcs.to_header())
    cube.writeto(tmp_path / "cube.fits")
    header = derive(tmp_path / "cube.fits", tmp_path / "made.fits", plane=4)
    assert [header[f"NAXIS{i}"] for i in (1, 2, 3)] == [9, 8, 1]
    there = WCS(fits.getheader(tmp_path / "cube.fits")).pixel_to_world_values(2, 3, 4)
    here = WCS(fits.getheader(tmp_path / "made.fits")).pixel_to_world_values(2, 3, 0)
    np.testing.assert_allclose(here, there, rtol=1e-12)


def test_distortion_tables_come_along(tmp_path):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = (150, 2), (-1e-4, 1e-4), (16, 16)
    shifts = np.random.default_rng(3).normal(0, 2, (4, 4)).astype(np.float32)
    table = DistortionLookupTable(shifts, (1, 1), (1, 1), (10, 10))
    wcs.cpdis1 = wcs.cpdis2 = table
    file = wcs.to_fits(relax=True)
    file[0].data = np.ones((32, 32), np.float32)
    file.writeto(tmp_path / "given.fits")
    derive(tmp_path / "given.fits", tmp_path / "made.fits")
    with fits.open(tmp_path / "given.fits") as given, fits.open(tmp_path / "made.fits") as made:
        pixels = [[3, 4], [20, 9], [31, 31]]
        there = WCS(given[0].header, given).all_pix2world(pixels, 0)
        here = WCS(made[0].header, made).all_pix2world(pixels, 0)
        straight = WCS(given[0].header, given).wcs_pix2world(pixels, 0)
    np.testing.assert_array_equal(here, there)
    assert np.abs(there - straight).max() > 1e-5  # degrees: the tables matter


def test_what_fits_forbids_is_left_out_or_spelled_in_ascii(tmp_path):
    path = tmp_path / "caf\N{LATIN SMALL LETTER E WITH ACUTE}.fits"
    fits.PrimaryHDU(np.ones((4, 5), np.float32)).writeto(path)
    raw = path.read_bytes()
    end = raw.index(b"END".ljust(80))
    bad = b"BAD KEY = 7".ljust(80) + b"END".ljust(80)
    path.write_bytes(raw[:end] + bad + raw[end + len(bad) :])
    header = derive(path, tmp_path / "made.fits")
    assert header["SFIMAGE"] == r"caf\xe9.fits"
    assert not [keyword for keyword in header if keyword.startswith("BAD")]
    with fits.open(tmp_path / "made.fits") as made:
        made.verify("exception")


def test_nothing_is_left_of_an_image_that_could_not_be_written_to_its_end(tmp_path):
    header = fits.PrimaryHDU(np.zeros((4, 5), np.float32)).header

    def fail():
        with writing(tmp_path / "made.fits", header) as stream:
            stream.write(np.zeros((2, 5), np.float32))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert not list(tmp_path.iterdir())
