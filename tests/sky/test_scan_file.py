"""Which images a file holds, what they are called, and what is not sky."""

import hashlib
import json
import re
from dataclasses import asdict

import numpy as np
import pytest
from astropy.io import fits

from surveyfit.errors import InputError
from surveyfit.sky.find import Found
from surveyfit.sky.image import Image, scan_file

SKY = np.random.default_rng(2).normal(size=(30, 40)).astype("f4")
BITS = np.zeros((30, 40), "i2")
FLAGS = np.zeros((30, 40), "u2")


def scan(folder, *hdus, name="field.fits", **options):
    fits.HDUList(list(hdus)).writeto(folder / name, overwrite=True)
    return scan_file(Found(folder / name, name), **options)


def kinds(contents):
    return [other.kind for other in contents.others]


def hdu(data, name="", ver=None, **cards):
    made = fits.ImageHDU(data, name=name or None, ver=ver)
    made.header.update(cards)
    return made


def test_one_image_is_called_by_its_file(tmp_path):
    contents = scan(tmp_path, fits.PrimaryHDU(), hdu(SKY, "SCI"))
    (image,) = contents.images
    assert (image.name, image.hdu, image.shape, image.ext) == ("field.fits", 1, (30, 40), "SCI")
    assert contents.others == ()


def test_images_of_several_ccds_are_called_by_extname_extver_or_number(tmp_path):
    ccds = [hdu(SKY, "N1"), hdu(SKY, "SCI", 1), hdu(SKY, "SCI", 2), hdu(SKY), hdu(SKY, "S1")]
    for ccd in ccds:
        ccd.header["EXTTYPE"] = "IMAGE"
    contents = scan(tmp_path, fits.PrimaryHDU(), *ccds)
    names = [image.name.removeprefix("field.fits") for image in contents.images]
    assert names == ["[N1]", "[SCI,1]", "[SCI,2]", "[IMAGE]", "[S1]"]
    assert len({image.key for image in contents.images}) == 5


def test_same_label_and_version_falls_back_on_the_number(tmp_path):
    contents = scan(tmp_path, fits.PrimaryHDU(), hdu(SKY, "A"), hdu(SKY, "A"))
    assert [image.name for image in contents.images] == ["field.fits[1]", "field.fits[2]"]


def test_compressed_image_under_a_plain_name(tmp_path):
    contents = scan(tmp_path, fits.PrimaryHDU(), fits.CompImageHDU(SKY))
    assert [(i.name, i.hdu, i.shape) for i in contents.images] == [("field.fits", 1, (30, 40))]


def test_digest_is_that_of_the_bytes(tmp_path):
    contents = scan(tmp_path, fits.PrimaryHDU(SKY))
    expected = hashlib.sha256((tmp_path / "field.fits").read_bytes()).hexdigest()
    assert contents.digest == contents.images[0].digest == expected
    assert scan(tmp_path, fits.PrimaryHDU(SKY), digest=False).digest == ""


def test_key_is_safe_in_a_path_whatever_the_names(tmp_path):
    (tmp_path / "a b").mkdir()
    name = "a b/../a b/é$;[x].fits"
    for hdus in ([fits.PrimaryHDU(SKY)], [fits.PrimaryHDU(SKY), hdu(SKY, "../../etc/passwd")]):
        fits.HDUList(hdus).writeto(tmp_path / name, overwrite=True)
        for image in scan_file(Found(tmp_path / name, name)).images:
            assert re.fullmatch("[A-Za-z0-9_]+-[0-9a-f]{12}", image.key)


def test_image_survives_json(tmp_path):
    (image,) = scan(tmp_path, fits.PrimaryHDU(SKY[None, None])).images
    assert image.plane == (0, 0)
    assert Image.from_dict(json.loads(json.dumps(asdict(image)))) == image


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("MASK", BITS, "mask"), ("DQ", FLAGS, "mask"), ("CCD3_BPM", BITS, "mask"),
        ("MASK", SKY, "image"),  # floating point: a masked image, not a mask
        ("VARIANCE", SKY, "variance"), ("VAR1", SKY, "variance"), ("IVAR", SKY, "weight"),
        ("WHT", SKY, "weight"), ("ERR", SKY, "noise"), ("RMS", SKY, "noise"),
        ("BKG", SKY, "background"), ("WEIGHT", BITS, "image"), ("N22", BITS, "image"),
    ],
)  # fmt: skip
def test_extension_names_and_pixel_types_tell_planes_apart(tmp_path, name, data, kind):
    contents = scan(tmp_path, fits.PrimaryHDU(), hdu(data, name))
    assert (kinds(contents) or ["image"]) == [kind]


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("m31_dq.fits", BITS, "mask"), ("m31.weight.fits", SKY, "weight"),
        ("mask-m31.fits", FLAGS, "mask"), ("m31_rms.fits", SKY, "noise"),
        ("m31_bkg.fits", SKY, "background"), ("m31_mask.fits", SKY, "image"),
        ("m31_masked.fits", BITS, "image"), ("low_noise_m31.fits", SKY, "image"),
        ("flagstaff_m31.fits", BITS, "image"),
    ],
)  # fmt: skip
def test_file_names_tell_planes_apart(tmp_path, name, data, kind):
    contents = scan(tmp_path, fits.PrimaryHDU(data), name=name)
    assert (kinds(contents) or ["image"]) == [kind]


def test_scaled_integers_are_no_mask(tmp_path):
    scaled = fits.PrimaryHDU(BITS)
    scaled.header.update(BSCALE=0.5, BZERO=100.0)
    assert kinds(scan(tmp_path, scaled, name="m31_mask.fits")) == []


def test_extension_name_beats_file_name(tmp_path):
    contents = scan(tmp_path, fits.PrimaryHDU(), hdu(BITS, "SCI"), name="x_mask.fits")
    assert len(contents.images) == 1


def test_product_type_of_the_primary_header_is_heard(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header["PRODTYPE"] = "dqmask"
    assert kinds(scan(tmp_path, primary, hdu(BITS, "N1"), hdu(BITS, "N2"))) == ["mask", "mask"]


def test_mask_cards_make_a_mask(tmp_path):
    assert kinds(scan(tmp_path, fits.PrimaryHDU(), hdu(FLAGS, MP_BAD=0))) == ["mask"]


def test_planes_of_other_names_beside_a_named_science_plane_are_not_sky(tmp_path):
    contents = scan(tmp_path, fits.PrimaryHDU(), hdu(SKY, "SCI"), hdu(SKY, "AREA"))
    assert [image.ext for image in contents.images] == ["SCI"]
    assert kinds(contents) == ["unknown"]


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ([("SCI", 1), ("DQ", 1), ("SCI", 2), ("DQ", 2)], {1: 2, 3: 4}),
        ([("C1_SCI", 1), ("C2_SCI", 1), ("C2_DQ", 1), ("C1_DQ", 1)], {1: 4, 2: 3}),
        ([("N1", 1), ("N2", 1), ("MASK", 1), ("MASK", 2)], {1: 3, 2: 4}),
        ([("N1", 1), ("N2", 1), ("MASK", 1)], {1: None, 2: None}),
        ([("N1", 1), ("MASK", 1)], {1: 2}),
    ],
)
def test_masks_are_matched_by_name_version_or_order(tmp_path, names, pairs):
    planes = [hdu(FLAGS if "DQ" in n or "MASK" in n else SKY, n, v) for n, v in names]
    images = scan(tmp_path, fits.PrimaryHDU(), *planes).images
    assert {image.hdu: image.mask_hdu for image in images} == pairs


def test_mask_of_another_shape_is_not_taken(tmp_path):
    contents = scan(tmp_path, fits.PrimaryHDU(), hdu(SKY), hdu(FLAGS[1:], "MASK"))
    assert contents.images[0].mask_hdu is None


def test_a_plane_judged_a_mask_is_measured_when_chosen(tmp_path):
    planes = fits.PrimaryHDU(), hdu(SKY, "SCI"), hdu(FLAGS, "MASK")
    for word in ("2", "mask"):
        contents = scan(tmp_path, *planes, hdu=word)
        assert [image.hdu for image in contents.images] == [2]
        assert contents.images[0].mask_hdu is None


def test_degenerate_axes_are_dropped_and_planes_are_counted(tmp_path):
    cube = np.zeros((2, 1, 3, 30, 40), "f4")
    (image,) = scan(tmp_path, fits.PrimaryHDU(cube), plane=4).images
    assert (image.plane, image.shape) == ((1, 0, 1), (30, 40))


def test_cube_beside_an_image_is_listed(tmp_path):
    contents = scan(tmp_path, fits.PrimaryHDU(SKY), hdu(np.zeros((2, 30, 40), "f4")))
    assert len(contents.images) == 1
    assert kinds(contents) == ["cube"]


TABLE = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])


@pytest.mark.parametrize(
    ("hdus", "options", "words"),
    [
        ([fits.PrimaryHDU(), TABLE], {}, "holds only tables"),
        ([fits.PrimaryHDU()], {}, "holds no pixels"),
        ([fits.PrimaryHDU(SKY[0])], {}, "no image: its data have shape"),
        ([fits.PrimaryHDU(SKY[None, :1])], {}, "no image: its data have shape"),
        ([fits.PrimaryHDU(np.stack([SKY, SKY]))], {}, r"is a cube.*--plane 0 to 1"),
        ([fits.PrimaryHDU(np.stack([SKY, SKY]))], {"plane": 2}, "has no plane 2"),
        ([fits.PrimaryHDU(np.stack([SKY, SKY]))], {"plane": -1}, "has no plane -1"),
        ([fits.PrimaryHDU(SKY)], {"plane": 1}, "has no plane 1"),
        ([fits.PrimaryHDU(SKY)], {"hdu": "1"}, "has no HDU 1"),
        ([fits.PrimaryHDU(SKY)], {"hdu": "SCI"}, "has no HDU SCI"),
        ([fits.PrimaryHDU(SKY), TABLE], {"hdu": "1"}, "HDU 1 is a table"),
    ],
)
def test_files_without_a_measurable_image_say_why(tmp_path, hdus, options, words):
    with pytest.raises(InputError, match=words) as caught:
        scan(tmp_path, *hdus, **options)
    assert str(caught.value).startswith("field.fits")
    assert "\n" not in str(caught.value)
