"""Files that are not what they seem: each is refused with one line that names it."""

import gzip
import io
import os
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from surveyfit.errors import InputError
from surveyfit.sky.box import Box
from surveyfit.sky.find import Found
from surveyfit.sky.image import scan_file
from surveyfit.sky.reader import ImageReader
from surveyfit.sky.world import World

DATA = np.random.default_rng(1).normal(size=(120, 90)).astype("f4")
CENTRE = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0}
WORLD = {**CENTRE, "CRPIX1": 5.0, "CRPIX2": 5.0, "CDELT1": -1e-4, "CDELT2": 1e-4, "GAIN": 2.0}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    """Bytes of a file with a primary image, an image extension and a compressed image."""
    path = tmp_path_factory.mktemp("good") / "good.fits"
    primary = fits.PrimaryHDU(DATA, fits.Header(WORLD))
    packed = fits.CompImageHDU(DATA, name="PACKED", tile_shape=(40, 90))
    fits.HDUList([primary, fits.ImageHDU(DATA, name="SECOND"), packed]).writeto(path)
    return path.read_bytes()


def write(folder: Path, content: bytes, name: str = "bad.fits") -> Found:
    (folder / name).write_bytes(content)
    return Found(folder / name, name)


def refuse(found: Found, words: str, **options) -> None:
    with pytest.raises(InputError, match=words) as caught:
        scan_file(found, **options)
    assert found.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_empty_file(tmp_path):
    refuse(write(tmp_path, b""), "is empty")


def test_empty_gzip_file(tmp_path):
    refuse(write(tmp_path, gzip.compress(b"")), "is empty")


@pytest.mark.parametrize("content", [b"just text\n", b"<html>404</html>" * 500, b"PK\x03\x04"])
def test_not_fits(tmp_path, content):
    refuse(write(tmp_path, content), "is not a FITS file")


def test_fits_header_start_and_nothing_else(tmp_path):
    refuse(write(tmp_path, b"SIMPLE  =                    T"), "no END")


def test_missing_file(tmp_path):
    refuse(Found(tmp_path / "gone.fits", "gone.fits"), "No such file")


def test_folder_called_fits(tmp_path):
    refuse(Found(tmp_path, "folder.fits"), "Is a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read(tmp_path, good):
    found = write(tmp_path, good)
    found.path.chmod(0)
    refuse(found, "Permission denied")


def test_truncated_anywhere_is_refused_unless_whole_hdus_are_left(tmp_path, good):
    ends = [hdu_end(good, i) for i in range(3)]
    assert ends[-1] <= len(good)
    cuts = {*range(1000, ends[-1], 4999), *(end - 1 for end in ends), *(end + 2000 for end in ends)}
    for cut in sorted(cuts):
        if cut >= ends[-1] or any(0 <= cut - end < 2880 and end % 2880 for end in ends):
            continue  # only padding is missing: every pixel is there
        refuse(write(tmp_path, good[:cut]), "truncated|no END|not a FITS")


def hdu_end(content: bytes, index: int) -> int:
    """Where the data of an HDU end, before padding, as astropy sees it."""
    with fits.open(io.BytesIO(content), disable_image_compression=True) as hdus:
        return hdus[index].fileinfo()["datLoc"] + hdus[index].size


def test_missing_padding_alone_is_no_fault(tmp_path, good):
    contents = scan_file(write(tmp_path, good[: hdu_end(good, 0)]))
    assert [image.shape for image in contents.images] == [DATA.shape]


def test_records_after_the_last_hdu_are_no_fault(tmp_path, good):
    assert len(scan_file(write(tmp_path, good + b"\0" * 2880)).images) == 3


@pytest.mark.parametrize("cut", [40, 3000, 0.5, -5])
def test_truncated_gzip(tmp_path, good, cut):
    packed = gzip.compress(good)
    cut = int(cut * len(packed)) if isinstance(cut, float) else cut
    refuse(write(tmp_path, packed[:cut], "bad.fits.gz"), "cannot be read|EOF")


def test_corrupted_gzip(tmp_path, good):
    packed = bytearray(gzip.compress(good))
    packed[len(packed) // 2] ^= 0xFF
    refuse(write(tmp_path, bytes(packed), "bad.fits.gz"), "cannot be read")


@pytest.mark.parametrize("keyword", ["NAXIS1", "NAXIS2", "PCOUNT", "ZNAXIS2", "GCOUNT"])
@pytest.mark.parametrize("packed", [False, True])
def test_header_that_promises_more_pixels_than_there_are(tmp_path, good, keyword, packed):
    """Refused before anything of that size is allocated: the sizes here would need petabytes."""
    start = good.rfind(b"XTENSION")
    old = next(
        (
            good[i : i + 80]
            for i in range(start, start + 28800, 80)
            if good[i:].startswith(key(keyword))
        ),
        None,
    )
    if old is None:
        pytest.fail(f"no {keyword} in the compressed extension")
    new = key(keyword) + b"%20d" % 900_000_000 + old[30:]
    content = good[:start] + good[start:].replace(old, new, 1)
    refuse(write(tmp_path, gzip.compress(content) if packed else content), "truncated|no sense")


def key(keyword: str) -> bytes:
    return f"{keyword:8}= ".encode()


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("NAXIS1", "-90"), ("NAXIS2", "1.5"), ("NAXIS", "99"), ("BITPIX", "17"), ("NAXIS1", "'a'"),
     ("BITPIX", "T"), ("NAXIS", "-1"), ("NAXIS1", "")],
)  # fmt: skip
def test_sizes_that_make_no_sense(tmp_path, good, keyword, value):
    old = next(good[i : i + 80] for i in range(0, 2880, 80) if good[i:].startswith(key(keyword)))
    new = key(keyword) + value.rjust(20).encode() + old[30:]
    refuse(write(tmp_path, good.replace(old, new, 1)), "no sense|cannot be read|truncated")


def test_header_without_end_is_given_up_early(tmp_path):
    card = b"FILLER  =                    1".ljust(80)
    refuse(write(tmp_path, b"SIMPLE  =                    T".ljust(80) + card * 300_000), "no END")


@settings(max_examples=400, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), flips=st.integers(1, 40), header_only=st.booleans())
def test_garbage_in_headers_gives_an_image_or_one_line(
    tmp_path_factory, good, seed, flips, header_only
):
    """Whatever bytes are changed, nothing but InputError comes out of scanning and reading."""
    rng = random.Random(seed)
    content = bytearray(good)
    for _ in range(flips):
        spot = rng.randrange(2880) if header_only else rng.randrange(len(content))
        content[spot] = rng.choice(b" 0123456789-+.E'TFA=/\x00\xff\xe9")
    found = write(tmp_path_factory.mktemp("fuzz"), bytes(content))
    with suppress(InputError):
        for image in scan_file(found).images:
            with ImageReader(image) as reader:
                pixels = reader.read(Box(0, 10, 0, 10).grow(0, image.shape))
                assert pixels.data.dtype == np.float32
                reader.world.positions(np.arange(3.0), np.arange(3.0))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_garbage_in_world_coordinates_gives_positions_or_none(seed):
    rng = random.Random(seed)
    header = fits.Header(WORLD)
    odd = ["", "XX", 0.0, -1e300, 1e30, True, "RA---ZZZ", "DEC--TAN", "GLON-CAR", 3, "deg", "Hz"]
    for keyword in rng.sample([*CENTRE, "CRPIX1", "CDELT1", "CUNIT1", "RADESYS", "EQUINOX", "PV2_1",
                               "CD1_1", "A_ORDER", "A_2_0", "LONPOLE", "WCSAXES"], 3):  # fmt: skip
        header[keyword] = rng.choice(odd)
    world = World(header)
    ra, dec, jacobian = world.positions(np.array([0.0, 50.0]), np.array([0.0, 50.0]))
    assert ra.shape == dec.shape == (2,)
    assert jacobian.shape == (2, 2, 2)
    assert world.ok or np.isnan(ra).all()


def test_file_cut_short_between_scan_and_reading(tmp_path, good):
    found = write(tmp_path, good)
    image = scan_file(found).images[0]
    found.path.write_bytes(good[:20000])
    with ImageReader(image) as reader, pytest.raises(InputError, match=r"bad\.fits"):
        reader.read(Box(0, 120, 0, 90))


def test_damaged_compressed_tile(tmp_path, good):
    found = write(tmp_path, good)
    image = scan_file(found).images[2]
    end = hdu_end(good, 2)
    found.path.write_bytes(good[: end - 9000] + b"\x13" * 9000 + good[end:])
    with ImageReader(image) as reader, pytest.raises(InputError, match=r"bad\.fits"):
        reader.read(Box(0, 120, 0, 90))
