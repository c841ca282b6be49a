"""The catalogue in the formats that astronomers open: the file's extension chooses."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.sky.about import Entry, entries
from surveyfit.sky.arrow_table import columns_of, form_of, parquet_bytes
from surveyfit.sky.atomic import check_writable, replacing
from surveyfit.sky.described import unit_text
from surveyfit.sky.ds9 import region_file
from surveyfit.sky.votable import write_votable

EXTENSION_NAME = "CATALOG"
"""EXTNAME of the table in a FITS file."""

ROOM = 65
"""Letters of a text and its comment together that fit a card of a FITS header."""


def export(table: Table, path: Path) -> None:
    """Write a catalogue; the file is replaced whole, or stays as it was.

    Parameters
    ----------
    table : Table
        As `surveyfit.sky.parts.to_table` makes it: units, descriptions, UCDs in ``meta``.
    path : Path
        The file; its extension is one of .fits, .vot, .xml, .csv, .ecsv, .parquet, .reg.

    Raises
    ------
    InputError
        Another extension, a folder in the place of the file, or no folder that can be written.
    """
    check_target(path)
    with replacing(path) as temporary:
        WRITERS[path.suffix.lower()](table, temporary)


def check_target(path: Path) -> None:
    """Refuse a file that `export` could not write, before its rows are read.

    Raises
    ------
    InputError
        As `export` does.
    """
    if path.suffix.lower() not in WRITERS:
        known = " ".join(WRITERS)
        raise InputError(f"{path}: unknown table format '{path.suffix}'", f"use one of {known}")
    check_place(path)


def check_place(path: Path) -> None:
    """Refuse a place in which no file can be written.

    Raises
    ------
    InputError
        For a folder in the place of the file, or no folder that can be written.
    """
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder", "give the name of a file")
    if not os.path.isdir(path.parent):
        raise InputError(f"{path.parent} is not a folder", "make it, or write somewhere else")
    check_writable(path.parent)


def _write_fits(table: Table, path: Path) -> None:
    fits_table(table).writeto(path)


def fits_table(table: Table, widths: Mapping[str, int] | None = None) -> fits.BinTableHDU:
    """Return a binary table; TCOMM and TUCD are where TOPCAT finds descriptions and UCDs.

    A unit that the FITS standard does not know (electron) stands in the description: as TUNIT it
    would make astropy warn of every column.

    Parameters
    ----------
    table : Table
    widths : mapping of str to int, optional
        Characters of text columns; the longest text of each if not given.
    """
    columns = [_ascii(np.asarray(column)) for column in table.itercols()]
    for name, width in (widths or {}).items():
        number = table.colnames.index(name)
        columns[number] = columns[number].astype(f"S{width}")
    hdu = fits.table_to_hdu(Table(columns, names=table.colnames))
    hdu.name = EXTENSION_NAME
    for number, column in enumerate(table.itercols(), start=1):
        words = column.description or ""
        if _is_fits_unit(unit := unit_text(column)):
            hdu.header[f"TUNIT{number}"] = unit
        elif unit:
            words = f"{words} [{unit}]"
        hdu.header[f"TCOMM{number}"] = words
        hdu.header[f"TUCD{number}"] = column.meta.get("ucd", "")
    for entry in entries(table.meta):
        hdu.header[entry.keyword] = _card(entry)
    return hdu


def _card(entry: Entry) -> tuple[str | int | float, str]:
    """Return value and comment of a card; an element of a group is named in its value.

    Not as ``name: 1.0``, which astropy takes for a card of another kind and reads as 1.0.
    """
    _, _, element = entry.name.partition(".")
    if element:
        return _ascii_text(f"{element} = {entry.value}"), ""
    if not isinstance(entry.value, str):
        return entry.value, entry.meaning
    text = _ascii_text(entry.value)
    if entry.keyword == "DATE":
        text = text.removesuffix("+00:00")  # FITS knows no zone: DATE is UTC.
    return text, entry.meaning if len(text) + len(entry.meaning) <= ROOM else ""


def _ascii_text(text: str) -> str:
    """Spell other letters as escapes: headers are ASCII."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


@cache
def _is_fits_unit(unit: str) -> bool:
    try:
        return bool(unit) and u.Unit(unit, format="fits") is not None
    except ValueError:
        return False


def _ascii(values: NDArray[Any]) -> NDArray[Any]:
    """Spell other letters as escapes: texts of a FITS table are ASCII."""
    if values.dtype.kind != "U":
        return values
    return np.char.encode(values, "ascii", "backslashreplace")


def _write_csv(table: Table, path: Path) -> None:
    path.write_text(csv_text(table), encoding="utf-8")


def csv_text(table: Table) -> str:
    """Return plain CSV: a column for each element of a vector, and NaN as Java spells it."""
    flat = Table()
    for column in table.itercols():
        if column.ndim == 1:
            flat[column.name] = column
        else:
            for element in range(column.shape[1]):
                flat[f"{column.name}_{element}"] = column[:, element]
    floats = [column.name for column in flat.itercols() if column.dtype.kind == "f"]
    text = StringIO()
    flat.write(text, format="ascii.csv", fast_writer=False, fill_values=[("nan", "NaN", *floats)])
    return text.getvalue()


def _write_ecsv(table: Table, path: Path) -> None:
    table.write(path, format="ascii.ecsv")


def _write_parquet(table: Table, path: Path) -> None:
    path.write_bytes(parquet_bytes(columns_of(table), form_of(table)))


def _write_regions(table: Table, path: Path) -> None:
    path.write_text(region_file(table), encoding="utf-8")


WRITERS: dict[str, Callable[[Table, Path], object]] = {
    ".fits": _write_fits,
    ".vot": write_votable,
    ".xml": write_votable,
    ".csv": _write_csv,
    ".ecsv": _write_ecsv,
    ".parquet": _write_parquet,
    ".reg": _write_regions,
}
"""How to write each format."""
