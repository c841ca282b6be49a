"""Companions: where they are looked for, and what is wrong with them."""

import numpy as np
import pytest
from astropy.io import fits

from surveyfit.errors import InputError
from surveyfit.sky.companion import Companions, bad_bits
from surveyfit.sky.find import Found
from surveyfit.sky.image import scan_file

DATA = np.ones((12, 15), "f4")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "m31.fits.gz"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(DATA, name="N4")]).writeto(path)
    (found,) = scan_file(Found(path, path.name)).images
    return found


def save(path, *planes):
    hdus = [fits.ImageHDU(data, name=name or None) for name, data in planes]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def test_fields_and_extension_of_a_pattern(tmp_path, image):
    (tmp_path / "maps").mkdir()
    save(tmp_path / "maps/m31_N4.fits", ("A", DATA), ("RMS", DATA))
    found = Companions(noise="{dir}/maps/{stem}_{ext}.fits[RMS]").locate("noise", image)
    assert (found.path, found.hdu) == (str(tmp_path / "maps/m31_N4.fits"), 2)
    number = Companions(noise="{dir}/maps/{stem}_{ext}.fits[1]").locate("noise", image)
    assert number.hdu == 1


def test_file_name_field_keeps_its_endings(tmp_path, image):
    save(tmp_path / "rms_m31.fits.gz", ("", DATA))
    assert Companions(noise="{dir}/rms_{name}").locate("noise", image).hdu == 1


def test_without_extension_the_same_extname_then_the_same_number_is_taken(tmp_path, image):
    save(tmp_path / "a.fits", ("N3", DATA), ("N4", DATA))
    save(tmp_path / "b.fits", ("", DATA), ("", DATA))
    assert Companions(mask="{dir}/a.fits").locate("mask", image).hdu == 2
    assert Companions(mask="{dir}/b.fits").locate("mask", image).hdu == 1


def test_degenerate_axes_of_a_companion_do_not_matter(tmp_path, image):
    save(tmp_path / "a.fits", ("", DATA[None, None]))
    assert Companions(noise="{dir}/a.fits").locate("noise", image).plane == (0, 0)


def test_no_pattern_no_companion(image):
    assert Companions().locate("noise", image) is None


@pytest.mark.parametrize("pattern", ["{dir}/{stme}.fits", "{dir/x.fits", "{}.fits", "{0}.fits"])
def test_unknown_fields_are_refused_without_looking_at_files(pattern):
    with pytest.raises(InputError, match=r"--background .*known are \{dir\}"):
        Companions(background=pattern).validate()


@pytest.mark.parametrize(
    ("planes", "pattern", "words"),
    [
        (None, "{dir}/a.fits", "does not exist"),
        ([("", DATA[1:])], "{dir}/a.fits", r"has shape \(11, 15\); the image has \(12, 15\)"),
        ([("", np.stack([DATA, DATA]))], "{dir}/a.fits[SCI]", "has no HDU SCI"),
        ([], "{dir}/a.fits", "which image belongs to"),
    ],
)
def test_what_is_wrong_with_a_companion_is_said(tmp_path, image, planes, pattern, words):
    if planes is not None:
        save(tmp_path / "a.fits", *planes)
    with pytest.raises(InputError, match=words) as caught:
        Companions(noise=pattern).locate("noise", image)
    assert "\n" not in str(caught.value)


LSST = fits.Header(
    {
        "MP_BAD": 0,
        "MP_SAT": 1,
        "MP_CR": 3,
        "MP_INTRP": 2,
        "HIERARCH MP_DETECTED": 5,
        "HIERARCH MP_SUSPECT": 7,
    }
)


@pytest.mark.parametrize(
    ("header", "asked", "bits"),
    [
        (LSST, (), 0b1111),  # detected pixels are good ones
        (LSST, ("detected", "BAD"), 0b100001),
        (LSST, ("7", "0"), 0b10000001),
        (fits.Header(), ("2",), 0b100),
    ],
)
def test_bad_bits(header, asked, bits):
    assert bad_bits(header, asked, "m") == bits


def test_any_value_but_zero_is_bad_where_nothing_is_said():
    values = np.array([0, 1, 5, 2**40, -3])
    np.testing.assert_array_equal(values & bad_bits(fits.Header(), (), "m") != 0, values != 0)


def test_unknown_bit_is_refused_with_those_that_exist():
    with pytest.raises(InputError, match=r"no bit FOO.*BAD, SAT, CR, INTRP, DETECTED, SUSPECT"):
        bad_bits(LSST, ("FOO",), "m")
