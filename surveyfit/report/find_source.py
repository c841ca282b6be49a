"""Sources of a run found by their identifier or name, without reading the whole catalogue."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from surveyfit.errors import InputError
from surveyfit.report.source_view import Row
from surveyfit.run.catalogue import whole_batches
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import Stage
from surveyfit.sky.arrow_table import to_numpy
from surveyfit.sky.parts import read_columns, read_parts

PREFIX = "SFIT "
"""How IAU names begin; it may be left out."""

LARGEST_ID = np.iinfo(np.int64).max

NEIGHBOUR_COLUMNS = ("source_id", "name", "x", "y", "maj_pix", "min_pix", "pa_pix", "flags")


class Part(NamedTuple):
    """A committed part of the catalogue: its file, the key of its image, and its tiles' labels."""

    path: Path
    image: str
    tiles: tuple[str, ...]


class Place(NamedTuple):
    """A row of the catalogue, and the key of its image."""

    row: Row
    image: str


def find_sources(directory: RunDirectory, wanted: Sequence[int | str]) -> list[Place]:
    """Find rows of the committed catalogue, finished or not.

    Parameters
    ----------
    directory : RunDirectory
    wanted : sequence of int or str
        Each a ``source_id``, or a ``name`` with or without its prefix. Several images may show a
        source of that name: then all rows are returned.

    Returns
    -------
    list of Place
        In the order of ``wanted``.

    Raises
    ------
    InputError
        If there is none, or a part of the catalogue is damaged.
    """
    keys = [_key(word) for word in wanted]
    places: dict[int | str, list[Place]] = {key: [] for key in keys}
    for part in committed(directory):
        found = _in_part(part.path, set(keys))
        if found:
            table = read_parts([part.path])
            for key, index in found:
                places[key].append(Place(_row(table, index), part.image))
    for key in keys:
        if not places[key]:
            raise _nothing_like(key, directory)
    return [place for key in dict.fromkeys(keys) for place in places[key]]


def committed(directory: RunDirectory) -> list[Part]:
    """List the parts that receipts vouch for, by image and tile."""
    fitted = whole_batches(receipt for _, receipt in directory.read_receipts(Stage.FIT))
    return [
        Part(directory.catalog / r["result"]["part"], r["image"], tuple(r["tiles"])) for r in fitted
    ]


def rows_within(parts: Sequence[Part], image: str, x: range, y: range) -> Iterator[Row]:
    """Yield the rows of an image with a fitted centre inside some columns and rows of pixels."""
    for part in parts:
        if part.image != image:
            continue
        table = read_columns(part.path, NEIGHBOUR_COLUMNS)
        at_x, at_y = np.rint(to_numpy(table["x"])), np.rint(to_numpy(table["y"]))
        inside = (at_x >= x.start) & (at_x < x.stop) & (at_y >= y.start) & (at_y < y.stop)
        for index in np.flatnonzero(inside):
            yield _row(table, int(index))


def _key(word: int | str) -> int | str:
    """Read a number as an identifier, anything else as a name."""
    text = str(word).strip()
    if text.isascii() and text.isdecimal():
        return int(text)
    return text if text.startswith(PREFIX) else PREFIX + text


def _in_part(path: Path, keys: set[int | str]) -> list[tuple[int | str, int]]:
    """Return which of the keys a part holds, each with its row."""
    found: list[tuple[int | str, int]] = []
    ids = [key for key in keys if isinstance(key, int) and key <= LARGEST_ID]
    names = [key for key in keys if isinstance(key, str) and key.isascii()]
    for column, wanted in (("source_id", ids), ("name", names)):
        if wanted:
            values = read_columns(path, [column])[column].combine_chunks()
            rows = pc.indices_nonzero(pc.is_in(values, pa.array(wanted, values.type))).to_pylist()
            found += [(values[row].as_py(), row) for row in rows]
    return found


def _row(table: pa.Table, index: int) -> Row:
    one = table.slice(index, 1)
    values: dict[str, Any] = {name: to_numpy(one[name])[0] for name in one.column_names}
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


def _nothing_like(key: int | str, directory: RunDirectory) -> InputError:
    """Say that there is no such source, and which one comes nearest.

    An identifier has more digits than the floating-point number of a spreadsheet holds: the
    nearest number is the one that was meant. Of names it is the one that begins alike.
    """
    column = "source_id" if isinstance(key, int) else "name"
    parts = committed(directory)
    values = [v for p in parts for v in read_columns(p.path, [column])[column].to_pylist() if v]
    if not values:
        what = "no catalogue yet" if not parts else f"no source has a {column}"
        return InputError(f"{directory.path}: {what}", "wait, or submit again")
    nearest = min(values, key=lambda value: _difference(key, value))
    return InputError(f"{directory.path} has no source {key}", f"the nearest is {nearest}")


def _difference(key: int | str, value: int | str) -> int:
    if isinstance(key, int):
        return abs(key - int(value))
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(key, str(value), strict=False))
    return -sum(1 for _ in alike)
