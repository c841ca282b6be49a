"""Pixels: equal to a plain full read by astropy or by hand, whatever the storage and the box."""

import gzip
import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from surveyfit.errors import InputError
from surveyfit.sky.box import Box
from surveyfit.sky.companion import Companions
from surveyfit.sky.find import Found
from surveyfit.sky.image import scan_file
from surveyfit.sky.reader import ImageReader

SHAPE = (70, 90)
RNG = np.random.default_rng(3)
COUNTS = RNG.integers(0, 30000, SHAPE)
FLOATS = RNG.normal(size=SHAPE)
WHOLE = Box(0, SHAPE[0], 0, SHAPE[1])


def save(path, *hdus):
    fits.HDUList(list(hdus)).writeto(path, overwrite=True)
    return path


def image_of(path, **options):
    (image,) = scan_file(Found(path, path.name), **options).images
    return image


def read(path, box=WHOLE, companions=None, **options):
    with ImageReader(image_of(path, **options), companions) as reader:
        return reader.read(box)


def raw_file(path, data, **cards):
    """Write integers untouched under a header that says how to scale them."""
    hdu = fits.PrimaryHDU(data)
    hdu.header.update(cards)
    hdu.writeto(path)
    return path


@pytest.mark.parametrize(
    ("storage", "dtype"),
    [
        (storage, dtype)
        for storage in ("plain", "gzip", "tiles")
        for dtype in ("u1", "i2", "i4", "i8", "u2", "u4", "f4", "f8", ">f4", ">i2")
        if (storage, dtype) != ("tiles", "i8")  # FITS does not compress them
    ],
)
def test_every_pixel_type_is_read_as_native_float32(tmp_path, storage, dtype):
    data = (COUNTS % 256 if dtype == "u1" else COUNTS + 0.0).astype(dtype)
    path = tmp_path / "a.fits"
    if storage == "tiles":
        save(path, fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type="GZIP_1",
             quantize_level=0, tile_shape=(16, 90)))  # fmt: skip
    else:
        save(path, fits.PrimaryHDU(data))
    if storage == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    box = Box(13, 60, 5, 71)
    pixels = read(path, box)
    assert pixels.data.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(pixels.data, data[box.slices].astype("f4"))
    assert not pixels.mask.any()


@pytest.mark.parametrize("blank", [-5, 0])
def test_scaled_integers_with_blanks(tmp_path, blank):
    stored = COUNTS.astype("i2") + 1
    stored[3:6, 7] = blank
    path = raw_file(tmp_path / "a.fits", stored, BSCALE=0.25, BZERO=1000.0, BLANK=blank)
    pixels = read(path)
    expected = (stored * 0.25 + 1000).astype("f4")
    np.testing.assert_array_equal(pixels.mask, stored == blank)
    assert np.isnan(pixels.data[pixels.mask]).all()
    np.testing.assert_array_equal(pixels.data[~pixels.mask], expected[~pixels.mask])


def test_blank_of_unsigned_integers(tmp_path):
    stored = COUNTS.astype("i2")
    stored[0, 0] = -32768
    path = raw_file(tmp_path / "a.fits", stored, BZERO=32768, BLANK=-32768)
    pixels = read(path)
    assert pixels.mask.sum() == 1
    assert pixels.mask[0, 0]
    np.testing.assert_array_equal(pixels.data[1], stored[1].astype("f4") + 32768)


def test_blank_of_compressed_integers(tmp_path):
    packed = fits.CompImageHDU(COUNTS.astype("i4"), tile_shape=(10, 90))
    packed.header["BLANK"] = int(COUNTS[4, 4])
    path = save(tmp_path / "a.fits", fits.PrimaryHDU(), packed)
    np.testing.assert_array_equal(read(path).mask, packed.header["BLANK"] == COUNTS)


def test_nan_and_infinity_are_masked_also_through_quantisation(tmp_path):
    data = FLOATS.astype("f4")
    data[5, 5], data[6, 6] = np.nan, np.inf
    np.testing.assert_array_equal(
        read(save(tmp_path / "a.fits", fits.PrimaryHDU(data))).mask, ~np.isfinite(data)
    )
    data[6, 6] = 1
    packed = fits.CompImageHDU(data, tile_shape=(10, 90))
    pixels = read(save(tmp_path / "b.fits", fits.PrimaryHDU(), packed))
    np.testing.assert_array_equal(pixels.mask, np.isnan(data))
    # quantised in steps of a 16th of the noise, which is 1
    np.testing.assert_allclose(pixels.data[~pixels.mask], data[~pixels.mask], atol=1 / 16)


def test_doubles_beyond_float32_are_masked_without_a_warning(tmp_path):
    data = FLOATS.copy()
    data[2, 2] = 1e300
    assert read(save(tmp_path / "a.fits", fits.PrimaryHDU(data))).mask[2, 2]


def test_plane_of_a_cube(tmp_path):
    cube = RNG.normal(size=(2, 1, 3, *SHAPE)).astype("f4")
    path = save(tmp_path / "a.fits", fits.PrimaryHDU(cube))
    np.testing.assert_array_equal(read(path, plane=4).data, cube[1, 0, 1])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Store the same image, with holes, gaps of zeros and a mask, in three ways."""
    folder = tmp_path_factory.mktemp("stored")
    data = FLOATS.astype("f4")
    data[20:40, 30:55] = 0
    data[60:, 80:] = 0
    data[10, 10:30] = 0
    data[0:5, 0] = np.nan
    flags = RNG.integers(0, 20, SHAPE) == 0
    mask = fits.ImageHDU(flags.astype("u1"), name="MASK")
    paths = {kind: folder / f"{kind}.fits" for kind in ("plain", "gzip", "tiles")}
    save(paths["plain"], fits.PrimaryHDU(), fits.ImageHDU(data, name="SCI"), mask)
    paths["gzip"].write_bytes(gzip.compress(paths["plain"].read_bytes()))
    packed = fits.CompImageHDU(data, name="SCI", quantize_level=0, compression_type="GZIP_2",
                               tile_shape=(16, 32))  # fmt: skip
    packed_mask = fits.CompImageHDU(flags.astype("u1"), name="MASK", tile_shape=(7, 50))
    save(paths["tiles"], fits.PrimaryHDU(), packed, packed_mask)
    return data, flags, paths


@settings(max_examples=40, deadline=None, derandomize=True)
@given(kind=st.sampled_from(["plain", "gzip", "tiles"]), corners=st.tuples(
    st.integers(0, SHAPE[0] - 1), st.integers(1, SHAPE[0]),
    st.integers(0, SHAPE[1] - 1), st.integers(1, SHAPE[1])))  # fmt: skip
def test_any_box_equals_the_same_part_of_the_whole(stored, kind, corners):
    data, flags, paths = stored
    y0, height, x0, width = corners
    box = Box(y0, min(y0 + height, SHAPE[0]), x0, min(x0 + width, SHAPE[1]))
    padding = ndimage.binary_opening(data == 0, np.ones((9, 9)))
    expected = ~np.isfinite(data) | flags | padding
    pixels = read(paths[kind], box)
    np.testing.assert_array_equal(pixels.data, data[box.slices])
    np.testing.assert_array_equal(pixels.mask, expected[box.slices])


def test_only_square_blocks_of_zeros_are_padding(stored):
    _, flags, paths = stored
    mask = read(paths["plain"]).mask & ~flags
    assert mask[20:40, 30:55].sum() == (~flags[20:40, 30:55]).sum()
    assert not mask[10, 10:30].any()  # a row of zeros is data


@pytest.mark.parametrize("side", [8, 9])
def test_padding_is_seen_from_any_of_its_pixels(tmp_path, side):
    data = FLOATS.astype("f4")
    data[30 : 30 + side, 40 : 40 + side] = 0
    path = save(tmp_path / "a.fits", fits.PrimaryHDU(data))
    for y in (30, 29 + side):
        for x in (40, 39 + side):
            assert read(path, Box(y, y + 1, x, x + 1)).mask[0, 0] == (side == 9)


def test_saturation_from_the_header_and_from_the_mask(tmp_path):
    flags = np.zeros(SHAPE, "u2")
    flags[1, 1], flags[2, 2] = 2, 32
    mask = fits.ImageHDU(
        flags, fits.Header({"MP_BAD": 0, "MP_SAT": 1, "HIERARCH MP_DETECTED": 5}), "MASK"
    )
    science = fits.ImageHDU(COUNTS.astype("f4"), fits.Header({"SATURATE": 29000.0}), "SCI")
    pixels = read(save(tmp_path / "a.fits", fits.PrimaryHDU(), science, mask))
    expected = COUNTS >= 29000
    expected[1, 1] = True
    np.testing.assert_array_equal(pixels.saturated, expected)
    np.testing.assert_array_equal(np.argwhere(pixels.mask), [[1, 1]])


@pytest.mark.parametrize(
    ("noise_type", "to_sigma"),
    [("rms", lambda v: v), ("variance", np.sqrt), ("weight", lambda v: 1 / np.sqrt(v))],
)
def test_noise_becomes_one_sigma_and_its_holes_are_masked(tmp_path, noise_type, to_sigma):
    path = save(tmp_path / "a.fits", fits.PrimaryHDU(FLOATS))
    noise = RNG.uniform(0.5, 2, SHAPE).astype("f4")
    noise[0, :4] = [0, -1, np.nan, np.inf]
    save(tmp_path / "a_n.fits", fits.PrimaryHDU(noise))
    save(tmp_path / "a_b.fits", fits.PrimaryHDU(noise * 3))
    companions = Companions(
        noise="{dir}/{stem}_n.fits", background="{dir}/{stem}_b.fits", noise_type=noise_type
    )
    box = Box(0, 20, 0, 30)
    pixels = read(path, box, companions)
    good = np.ones(SHAPE, bool)
    good[0, :4] = False
    np.testing.assert_array_equal(pixels.mask, ~good[box.slices])
    assert pixels.noise.dtype == pixels.background.dtype == np.float32
    expected = to_sigma(noise[box.slices][~pixels.mask].astype(float))
    np.testing.assert_allclose(pixels.noise[~pixels.mask], expected, rtol=1e-6)  # float32
    assert np.isnan(pixels.noise[pixels.mask]).all()
    np.testing.assert_array_equal(pixels.background[5:], noise[5:20, :30] * 3)


def test_companion_mask_replaces_the_mask_plane(stored, tmp_path):
    _, flags, paths = stored
    save(tmp_path / "m.fits", fits.PrimaryHDU(np.zeros(SHAPE, "u1")))
    mask = read(paths["plain"], WHOLE, Companions(mask=f"{tmp_path}/m.fits")).mask
    assert not mask[45:55].any()
    assert flags[45:55].any()


def test_image_gone_before_reading(tmp_path):
    image = image_of(save(tmp_path / "a.fits", fits.PrimaryHDU(FLOATS)))
    (tmp_path / "a.fits").unlink()
    with pytest.raises(InputError, match=r"a\.fits cannot be read"), ImageReader(image):
        pass


MEASURE = """
import re, sys
from pathlib import Path
from surveyfit.sky.box import Box
from surveyfit.sky.find import Found
from surveyfit.sky.image import scan_file
from surveyfit.sky.reader import ImageReader
def peak():
    # VmHWM starts anew with a program; ru_maxrss would begin at the peak of pytest itself
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
(image,) = scan_file(Found(Path(sys.argv[1]), "big.fits")).images
before = peak()
with ImageReader(image) as reader:
    for y in range(0, image.shape[0], 600):
        for x in range(0, image.shape[1], 600):
            reader.read(Box(y, min(y + 600, image.shape[0]), x, min(x + 600, image.shape[1])))
    print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize("packed", [False, True])
def test_memory_does_not_grow_with_the_image(tmp_path, packed):
    """All tiles of a 64 MB image, one after the other, in a process of its own."""
    data = np.random.default_rng(4).normal(size=(4000, 4000)).astype("f4")
    hdu = fits.CompImageHDU(data, tile_shape=(200, 200)) if packed else fits.ImageHDU(data)
    path = save(tmp_path / "big.fits", fits.PrimaryHDU(), hdu)
    run = [sys.executable, "-c", MEASURE, str(path)]
    grown = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    assert grown < 16 * 1024  # KiB; measured 8 and 10 MiB, reading all at once takes 66 MiB or more
