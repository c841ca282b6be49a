"""Images made of an input image: same pixels, same world coordinates, written band by band."""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from surveyfit.sky.atomic import replacing
from surveyfit.sky.image import Image

OF_THE_FILE = re.compile(
    "SIMPLE$|XTENSION$|BITPIX$|NAXIS|EXTEND$|PCOUNT$|GCOUNT$|GROUPS$|BSCALE$|BZERO$|BLANK$"
    "|CHECKSUM$|DATASUM$|DATAMIN$|DATAMAX$|INHERIT$|EXT(NAME|VER|LEVEL|TYPE)$|END$"
)
"""Keywords that say how and where the input's pixels are stored, which is not true of ours."""

DISTORTION_TABLES = ("WCSDVARR", "D2IMARR")
"""EXTNAMEs of images that world coordinates refer to (astropy's look-up table distortions)."""

Card = tuple[str, str | int | float, str]
"""Keyword, value and comment."""


def derived_header(
    header: fits.Header, image: Image, cards: Iterable[Card], history: Iterable[str]
) -> fits.Header:
    """Return the primary header of a float32 image with the pixels of `image`.

    Everything that the input's header says of the sky is kept: world coordinates of any kind,
    BUNIT, beam, filter, dates. A plane of a cube keeps all its axes, those before the last two of
    length 1, so that its frequency stays where it was.

    Parameters
    ----------
    header : Header
        Of the input, with what it inherits.
    image : Image
    cards : iterable of (keyword, value, comment)
        Added at the end.
    history : iterable of str
        HISTORY lines.
    """
    lengths = (image.shape[1], image.shape[0], *(1 for _ in image.plane))
    made = fits.Header([("SIMPLE", True), ("BITPIX", -32), ("NAXIS", len(lengths))])
    made.extend([(f"NAXIS{axis}", n) for axis, n in enumerate(lengths, start=1)])
    for line in header.cards:
        if not OF_THE_FILE.match(line.keyword) and _is_sound(line):
            made.append(line, end=True)
    for place, index in enumerate(image.plane):
        _shift(made, axis=len(lengths) - place, pixels=index)
    made.extend([(k, _ascii(v), comment) for k, v, comment in cards], end=True, update=True)
    for line in history:
        made.add_history(line)
    return made


def _is_sound(line: fits.Card) -> bool:
    """Whether a card is FITS, or can be made so: others cannot be written."""
    try:
        line.verify("silentfix+exception")
        str(line)
    except (fits.VerifyError, ValueError):
        return False
    return True


def _shift(header: fits.Header, axis: int, pixels: int) -> None:
    """Count the pixels of an axis from another first one, in all its coordinate systems."""
    if not pixels:
        return
    systems = {match[1] for k in header if (match := re.fullmatch(f"CTYPE{axis}([A-Z]?)", k))}
    for system in systems:
        keyword = f"CRPIX{axis}{system}"
        header[keyword] = header.get(keyword, 0.0) - pixels


def _ascii(value: str | int | float) -> str | int | float:
    """Spell text in the letters that FITS allows."""
    return value.encode("ascii", "backslashreplace").decode() if isinstance(value, str) else value


@contextmanager
def writing(
    path: Path, header: fits.Header, tables: fits.HDUList | None = None
) -> Iterator[fits.StreamingHDU]:
    """Write an image whose header is known, whole or not at all.

    Its ``write`` takes float32 rows (rows, columns), from the first row to the last: nothing but
    a band of rows is in memory.

    Parameters
    ----------
    path : Path
        The file to make or replace, in a folder that exists.
    header : Header
        As `derived_header` makes it.
    tables : HDUList, optional
        The input, from which distortion tables are copied.

    Raises
    ------
    DiskFullError
        If there is no room.
    """
    with replacing(path) as temporary:
        with warnings.catch_warnings():
            # About cards, as they were in the input.
            warnings.simplefilter("ignore", AstropyWarning)
            stream = fits.StreamingHDU(temporary, header)
        with stream:
            yield stream
        for hdu in tables or ():
            if hdu.name in DISTORTION_TABLES:
                fits.append(temporary, hdu.data, hdu.header, verify=False)
