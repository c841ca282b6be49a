"""The pixels of one plane of one HDU, read box by box."""

import os
from contextlib import ExitStack
from types import TracebackType

import numpy as np
from astropy.io import fits

from surveyfit.sky.box import Box
from surveyfit.sky.hdu import card
from surveyfit.sky.header import merge_headers
from surveyfit.sky.image import Image
from surveyfit.sky.layout import open_seekable, readable


class PlaneReader:
    """Reads boxes of an image, science or companion; to be used in a ``with`` statement.

    Memory is bounded by the box: nothing is mapped (a file cut short by another program would
    kill the process with SIGBUS), and of a compressed image only the tiles under the box are
    decompressed. Plain rows are read from the file here: astropy's ``section`` takes 40 us for
    each. BSCALE, BZERO and BLANK are applied here, because astropy 8.0 overlooks
    ``BLANK = 0`` and the BLANK of unsigned integers.
    """

    def __init__(self, image: Image) -> None:
        self.image = image

    def __enter__(self) -> "PlaneReader":
        with readable(self.image.name), ExitStack() as stack:
            self._file = stack.enter_context(open_seekable(self.image.path))
            self.hdus = stack.enter_context(
                fits.open(self._file, memmap=False, do_not_scale_image_data=True)
            )
            self._hdu = self.hdus[self.image.hdu]
            self.header = merge_headers(self.hdus[0].header, self._hdu.header)
            self._scale = float(self._hdu.header.get("BSCALE", 1))
            self._zero = float(self._hdu.header.get("BZERO", 0))
            self._blank = _blank(self._hdu.header)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def read(self, box: Box) -> np.ndarray:
        """Return the pixels of a box, (rows, columns), native and scaled, NaN where blank.

        float32 or integers where the file has them, neither scaled nor blank, else float64.
        """
        with readable(self.image.name):
            raw = self._stored(box)
            if self._scale == 1 and self._zero == 0 and self._blank is None:
                return raw.astype(raw.dtype.newbyteorder("="), copy=False)
            values = raw.astype(np.float64) * self._scale + self._zero
            if self._blank is not None:
                values[raw == self._blank] = np.nan
            return values

    def _stored(self, box: Box) -> np.ndarray:
        """Read the numbers of a box as they stand in the file."""
        if isinstance(self._hdu, fits.CompImageHDU):
            return np.asarray(self._hdu.section[(*self.image.plane, *box.slices)])
        stored = np.empty(box.shape, _pixel_type(self._hdu.header["BITPIX"]))
        height, width = self.image.shape
        start, rows_before = self._hdu.fileinfo()["datLoc"], self._planes_before() * height
        for y, row in enumerate(stored, start=box.y0):
            at = start + ((rows_before + y) * width + box.x0) * stored.itemsize
            if os.preadv(self._file.fileno(), [row], at) < row.nbytes:
                raise EOFError(f"the file ends before row {y}")
        return stored

    def _planes_before(self) -> int:
        """Count the planes of a cube before the one that is read."""
        lengths = self._hdu.shape[:-2]
        return int(np.ravel_multi_index(self.image.plane, lengths)) if lengths else 0


def _pixel_type(bitpix: int) -> np.dtype:
    """Type of the numbers in a file: big-endian, signed unless they are bytes."""
    kind = "f" if bitpix < 0 else "u" if bitpix == 8 else "i"
    return np.dtype(f">{kind}{abs(bitpix) // 8}")


def _blank(header: fits.Header) -> int | None:
    """Pixel value that means no data; the standard allows it for integers only."""
    blank = card(header, "BLANK")
    return blank if isinstance(blank, int) and header["BITPIX"] > 0 else None
