"""One HDU of a FITS file, as its header tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from astropy.io import fits
from astropy.io.fits.verify import VerifyError

from surveyfit.errors import InputError


@dataclass(frozen=True)
class Hdu:
    """One HDU of a file, as its header tells it.

    Attributes
    ----------
    index : int
        Zero-based, as in astropy.
    header : Header
        Of a tile-compressed image, the header of the table that holds it.
    """

    index: int
    header: fits.Header

    @property
    def compressed(self) -> bool:
        """Whether it is an image compressed by tiles into a table."""
        return card(self.header, "ZIMAGE") is True

    @property
    def is_table(self) -> bool:
        """Whether it is a table, and not an image in the shape of one."""
        return "TABLE" in self.text("XTENSION") and not self.compressed

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image, slowest axis first; empty where there is none."""
        return shape_of(self.header, "Z" if self.compressed else "")

    @property
    def bitpix(self) -> int:
        """Pixel type: negative for floating point."""
        return int(self.header["ZBITPIX" if self.compressed else "BITPIX"])

    @property
    def extname(self) -> str:
        """EXTNAME, without the one that a compressor writes where there was none."""
        name = self.text("EXTNAME")
        return "" if name.upper() == "COMPRESSED_IMAGE" else name

    @property
    def extver(self) -> int:
        """EXTVER, 1 where there is none."""
        version = card(self.header, "EXTVER")
        return version if isinstance(version, int) else 1

    @property
    def label(self) -> str:
        """What the HDU is called: EXTNAME, else EXTTYPE, else its number."""
        return self.extname or self.text("EXTTYPE") or str(self.index)

    def text(self, keyword: str) -> str:
        """Value of a keyword as stripped text, empty where there is none."""
        value = card(self.header, keyword)
        return value.strip() if isinstance(value, str) else ""


def card(header: fits.Header, keyword: str) -> Any:
    """Value of a keyword, None where it is absent, empty or cannot be parsed."""
    try:
        value = header.get(keyword)
    except (VerifyError, ValueError):
        return None
    return None if isinstance(value, fits.card.Undefined) else value


def shape_of(header: fits.Header, prefix: str = "") -> tuple[int, ...]:
    """Shape of the data a header announces, slowest axis first; ``Z`` for a compressed image's."""
    return tuple(header[f"{prefix}NAXIS{i}"] for i in range(header[f"{prefix}NAXIS"], 0, -1))


def select_hdu(layout: Sequence[Hdu], word: str, name: str) -> tuple[Hdu, ...]:
    """Find the HDUs of file ``name`` that have a number, an EXTNAME or an EXTTYPE.

    Raises
    ------
    InputError
        If there is none.
    """
    if word.isdecimal():
        chosen = [h for h in layout if h.index == int(word)]
    else:
        wanted = word.casefold()
        chosen = [h for h in layout if h.extname.casefold() == wanted]
        chosen = chosen or [h for h in layout if h.text("EXTTYPE").casefold() == wanted]
    if not chosen:
        held = ", ".join(f"{h.index} {h.extname}".strip() for h in layout)
        raise InputError(f"{name} has no HDU {word}", f"it has {held}")
    return tuple(chosen)
