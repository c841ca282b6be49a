"""One FITS table of many parts, written a few parts at a time: memory does not grow with it."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from astropy.io import fits

from surveyfit.schema import COLUMNS
from surveyfit.sky.about import Provenance
from surveyfit.sky.atomic import replacing
from surveyfit.sky.export import fits_table
from surveyfit.sky.parts import catalogue_table, count_rows, read_columns, read_parts

ROWS_AT_ONCE = 20_000
"""Rows that are held at a time; on their way into a file they take 7 kB each."""

BLOCK = 2880
"""Bytes of a FITS block."""

TEXTS = tuple(column.name for column in COLUMNS if column.base == "str")


class _Common(NamedTuple):
    """What all parts must agree on: rows, width of each text column, and unit if there is one."""

    rows: int
    widths: dict[str, int]
    unit: str | None


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
    common = _common(parts)
    with replacing(path) as temporary, temporary.open("wb") as file:
        for number, group in enumerate(_groups(parts)):
            table = catalogue_table(read_parts(group), common.unit, provenance)
            hdu = fits_table(table, common.widths)
            if number == 0:
                file.write(_head(hdu, common.rows))
            file.write(_rows(hdu))
        file.write(bytes(-file.tell() % BLOCK))


def _common(parts: Sequence[Path]) -> _Common:
    widths = dict.fromkeys(TEXTS, 1)
    units: set[str] = set()
    for part in parts:
        texts = read_columns(part, TEXTS)
        units.update(texts["flux_unit"].unique().to_pylist())
        for name in TEXTS:
            words = texts[name].unique().to_pylist()
            lengths = (len(word.encode("ascii", "backslashreplace")) for word in words)
            widths[name] = max(widths[name], *lengths, 1)
    unit = units.pop() if len(units) == 1 else None if units else ""
    return _Common(sum(map(count_rows, parts)), widths, unit)


def _groups(parts: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the parts in groups of about ROWS_AT_ONCE; at least one, for its columns."""
    group: list[Path] = []
    rows = 0
    for part in parts:
        n = count_rows(part)
        if group and rows + n > ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
        group.append(part)
        rows += n
    yield group


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
