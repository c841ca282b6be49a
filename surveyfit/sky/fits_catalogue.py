"""One FITS table of many parts, written a few parts at a time: memory does not grow with it."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from astropy.io import fits

from surveyfit.sky.about import Provenance
from surveyfit.sky.atomic import replacing
from surveyfit.sky.export import fits_table
from surveyfit.sky.row_groups import common_of, tables_of

BLOCK = 2880
"""Bytes of a FITS block."""


def write_fits_catalogue(
    parts: Sequence[Path], path: Path, provenance: Provenance | None = None
) -> None:
    """Write the rows of parts, in their order, as one table; whole or not at all.

    Parameters
    ----------
    parts : sequence of Path
    path : Path
        The file to write or replace.
    provenance : Provenance, optional
        What the header tells of the run.

    Raises
    ------
    InputError
        A part that is missing, damaged, or written with other columns.
    """
    common = common_of(parts)
    with replacing(path) as temporary, temporary.open("wb") as file:
        for number, table in enumerate(tables_of(parts, common.unit, provenance)):
            hdu = fits_table(table, common.widths)
            if number == 0:
                file.write(_head(hdu, common.rows))
            file.write(_rows(hdu))
        file.write(bytes(-file.tell() % BLOCK))


def _head(hdu: fits.BinTableHDU, rows: int) -> bytes:
    """Return all that stands before the first row of a table of so many rows."""
    header = hdu.header.copy()
    header["NAXIS2"] = rows
    primary = fits.PrimaryHDU().header.tostring()
    return bytes((primary + header.tostring()).encode("ascii"))


def _rows(hdu: fits.BinTableHDU) -> memoryview:
    """Return the rows as they stand in a file."""
    buffer = BytesIO()
    hdu.writeto(buffer)
    with fits.open(BytesIO(buffer.getbuffer())) as written:
        start = written[1].fileinfo()["datLoc"]
    size = hdu.header["NAXIS1"] * hdu.header["NAXIS2"]
    return buffer.getbuffer()[start : start + size]
