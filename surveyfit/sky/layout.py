"""What a FITS file holds, from its headers alone, checked against the size of the file.

astropy reads the headers; the walk from one to the next is done here, because a broken file can
claim any size, and because a truncated one must be refused before any pixel is asked for.
"""

import errno
import gzip
import hashlib
import math
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from surveyfit.errors import InputError, StoppedError
from surveyfit.sky.atomic import noticing_full_disk
from surveyfit.sky.hdu import Hdu, card, shape_of

BLOCK = 2880
"""Bytes of a FITS block; every header and every data unit fills whole ones."""

CARD = 80
"""Bytes of a header card."""

PIXEL_TYPES = (8, 16, 32, 64, -32, -64)
"""Values that BITPIX may have."""

MAX_HEADER = 16 * 2**20
"""Bytes after which a header without END is given up; the longest real ones have below 1 MiB."""

READ_CHUNK = 2**20
"""Bytes taken at a time when a gzip file is measured."""

ALSO_ON_RETRY = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP)
"""Errors of the system that trying again does not cure; the others pass through as OSError."""

REMEDY = "replace the file by a good copy, or leave it out"


def read_layout(path: str, name: str) -> tuple[Hdu, ...]:
    """Read all headers of a file and check that the file is as long as they promise.

    A gzip file is decompressed once, in small pieces, to learn its size and that it is sound.

    Raises
    ------
    InputError
        If the file is not FITS, empty, truncated, unreadable, or its header makes no sense.
    """
    with readable(name):
        if stat.S_ISFIFO(os.stat(path).st_mode):
            raise InputError(f"{name} is a pipe", "write it to a file, since it is read twice")
    with readable(name), open_stream(path) as stream:
        size = _stream_size(stream)
        if size == 0:
            raise InputError(f"{name} is empty (0 bytes)", REMEDY)
        if stream.read(6) != b"SIMPLE":
            raise InputError(f"{name} is not a FITS file", "its first word must be SIMPLE")
        return tuple(_walk(stream, size, name))


def file_digest(path: str, name: str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with readable(name), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_stream(path: str) -> BinaryIO:
    """Open a file for its bytes, through gzip where it is one."""
    return gzip.open(path, "rb") if _is_gzip(path) else open(path, "rb")  # type: ignore[return-value]


def open_seekable(path: str) -> BinaryIO:
    """Open a file for its bytes in any order; a gzip file as an unpacked, nameless copy.

    Going back in a gzip stream means to start it again. The copy needs room for the whole file in
    the folder for temporary files (TMPDIR), and is gone when it is closed.
    """
    if not _is_gzip(path):
        return open(path, "rb")
    with (
        noticing_full_disk(Path(tempfile.gettempdir())),
        gzip.open(path, "rb") as packed,
        tempfile.NamedTemporaryFile() as copy,
    ):
        shutil.copyfileobj(packed, copy, READ_CHUNK)
        copy.flush()
        return open(copy.name, "rb")


def _is_gzip(path: str) -> bool:
    """Whether a file is gzip, whatever it is called."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn whatever a broken file makes astropy raise into one line about file ``name``.

    astropy's warnings about headers are silenced: what matters among them, a truncated file, is
    checked by `read_layout`. Errors of the machine (a disk, a network) pass through, so that the
    caller may try again.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            yield
    except (InputError, StoppedError, MemoryError):
        raise
    except Exception as error:  # astropy's parser may raise anything on bytes it did not expect
        if isinstance(error, OSError) and error.errno is not None:
            if error.errno not in ALSO_ON_RETRY:
                raise
            raise InputError(
                f"{name} cannot be read ({error.strerror})", "check the path and its permissions"
            ) from error
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{name} cannot be read as FITS ({reason})", REMEDY) from error


def _stream_size(stream: BinaryIO) -> int:
    """Bytes in a stream, which is left at its start."""
    if isinstance(stream, gzip.GzipFile):
        size = 0
        while chunk := stream.read(READ_CHUNK):
            size += len(chunk)
    else:
        size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def _walk(stream: BinaryIO, size: int, name: str) -> Iterator[Hdu]:
    index, offset = 0, 0
    while offset < size:
        stream.seek(offset)
        if index > 0 and stream.read(8) != b"XTENSION":
            return  # padding or records after the last HDU, which the standard allows
        stream.seek(offset)
        header = _read_header(stream, index, name)
        start = stream.tell()
        length = _data_length(header, index, name)
        if start + length > size:
            raise InputError(
                f"{name} is truncated: HDU {index} promises {length} bytes of data,"
                f" the file has {size - start} left",
                REMEDY,
            )
        hdu = Hdu(index, header)
        _check_tiles(hdu, name)
        yield hdu
        index, offset = index + 1, start + math.ceil(length / BLOCK) * BLOCK


def _read_header(stream: BinaryIO, index: int, name: str) -> fits.Header:
    blocks: list[bytes] = []
    while not (blocks and _has_end(blocks[-1])):
        blocks.append(stream.read(BLOCK))
        if len(blocks[-1]) < BLOCK or len(blocks) * BLOCK > MAX_HEADER:
            raise InputError(f"{name} is truncated or broken: no END in header {index}", REMEDY)
    return fits.Header.fromstring(b"".join(blocks))


def _has_end(block: bytes) -> bool:
    return any(block[i : i + CARD].rstrip() == b"END" for i in range(0, BLOCK, CARD))


def _data_length(header: fits.Header, index: int, name: str) -> int:
    """Bytes of data without padding (FITS 4.0, section 4.4.1, equation 2; random groups: 6.1)."""
    shape = shape_of(header)
    if shape and shape[-1] == 0 and card(header, "GROUPS") is True:
        shape = shape[:-1]
    pixels = math.prod(shape) if shape else 0
    bitpix, extra, groups = header["BITPIX"], header.get("PCOUNT", 0), header.get("GCOUNT", 1)
    numbers = (header["NAXIS"], *shape, abs(bitpix), extra, groups)
    if bitpix not in PIXEL_TYPES or not all(type(n) is int and n >= 0 for n in numbers):
        raise InputError(f"{name}: pixel type or size of HDU {index} makes no sense", REMEDY)
    return abs(bitpix) // 8 * groups * (extra + pixels)


def _check_tiles(hdu: Hdu, name: str) -> None:
    """Refuse a compressed image that claims more tiles than its table has rows."""
    if not hdu.compressed:
        return
    default = (*(1 for _ in hdu.shape[1:]), hdu.shape[-1])
    tile = (card(hdu.header, f"ZTILE{len(default) - i}") or n for i, n in enumerate(default))
    tiles = math.prod(math.ceil(n / t) for n, t in zip(hdu.shape, tile, strict=True))
    if hdu.header["NAXIS2"] < tiles:
        raise InputError(
            f"{name} is truncated or broken: HDU {hdu.index} promises {tiles} compressed tiles,"
            f" its table has {hdu.header['NAXIS2']}",
            REMEDY,
        )
