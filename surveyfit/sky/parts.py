"""The parts of ``RUN/catalog.parquet/``: a file a finished piece, all with the same columns."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.schema import COLUMNS
from surveyfit.sky.about import Provenance, about_catalogue
from surveyfit.sky.arrow_table import Form, arrow_type, columns_of, form_of, parquet_bytes, to_numpy
from surveyfit.sky.atomic import replacing
from surveyfit.sky.described import complete, described

IDS_AT_ONCE = 50_000_000
"""Identifiers that are compared with each other at a time: 400 MB."""


@cache
def part_form(unit: str | None) -> Form:
    """Return what a part says of its columns if its image has this unit (`described`).

    Names and types are the same for every image; the metadata differ. They are made once a unit,
    since that takes three times longer than to write five thousand rows.
    """
    table = described(COLUMNS, {}, unit)
    table.meta = about_catalogue()
    return form_of(table)


def write_part(path: Path, columns: Mapping[str, NDArray[Any]], unit: str) -> str:
    """Write one part; it is whole and on the disk when this returns, or not there at all.

    Parameters
    ----------
    path : Path
        The file to write, in a folder that exists.
    columns : mapping of str to array
        Values by column name, ``(n,)`` or ``(n, length)`` each; n may be 0. A float column that
        is not given is NaN.
    unit : str
        Unit of the image's pixels; '' if it has none.

    Returns
    -------
    str
        SHA-256 of the file's bytes, in hexadecimal.

    Raises
    ------
    KeyError
        A name that is no column, or a missing text or integer column.
    """
    return _write(parquet_bytes(complete(COLUMNS, columns), part_form(unit)), path)


def write_parquet(table: Table, path: Path) -> str:
    """Write a table, whole or not at all, and return the SHA-256 of the file's bytes."""
    return _write(parquet_bytes(columns_of(table), form_of(table)), path)


def _write(content: pa.Buffer, path: Path) -> str:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read_parts(paths: Iterable[Path]) -> pa.Table:
    """Read parts one after the other, in the order given, checking every page.

    Raises
    ------
    InputError
        A part that is missing, damaged, or written with other columns.
    """
    empty = complete(COLUMNS, {})
    types = pa.schema([pa.field(name, arrow_type(data)) for name, data in empty.items()])
    return pa.concat_tables([types.empty_table(), *(_read_part(path, types) for path in paths)])


def _read_part(path: Path, types: pa.Schema) -> pa.Table:
    with _opened(path) as part:
        table = part.read()
    if not table.schema.equals(types):
        raise InputError(
            f"{path} has other columns than this version of surveyfit writes",
            "read it with the version named in run.json",
        )
    return table.cast(types)


def read_columns(path: Path, names: Sequence[str]) -> pa.Table:
    """Read some columns of a part; raises as `read_parts` does of a missing or damaged one."""
    with _opened(path) as part:
        return part.read(columns=list(names))


def replaced_column(
    path: Path, name: str, values: NDArray[Any]
) -> tuple[dict[str, NDArray[Any]], str]:
    """Read a part with other values for one column: what `write_part` takes, columns and unit."""
    rows = read_parts([path])
    columns = {column: to_numpy(rows[column]) for column in rows.column_names}
    return columns | {name: values}, str(columns["flux_unit"][0])


def count_rows(path: Path) -> int:
    """Return the number of rows of a part; raises as `read_columns` does."""
    with _opened(path) as part:
        return int(part.metadata.num_rows)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a part, every page of which is checked when it is read."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as part:
            yield part
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path} is missing or damaged ({' '.join(str(error).split())})",
            "remove it with 'surveyfit verify --repair', then submit again",
        ) from error


def repeated_ids(paths: Sequence[Path]) -> Iterator[tuple[Path, int]]:
    """Yield the parts with sources that stand more than once in the parts together, and how many.

    The identifiers are compared in as many rounds as memory asks for, each with its share of them.
    """
    rounds = 1 + sum(map(count_rows, paths)) // IDS_AT_ONCE
    again = np.concatenate([_repeated_in_round(paths, i, rounds) for i in range(rounds)])
    if not len(again):
        return
    for path in paths:
        if n := int(np.count_nonzero(np.isin(_ids(path), again))):
            yield path, n


def _repeated_in_round(paths: Sequence[Path], number: int, rounds: int) -> NDArray[np.int64]:
    shares = [ids[ids % rounds == number] for ids in map(_ids, paths)]
    ids = np.sort(np.concatenate([np.zeros(0, np.int64), *shares]))
    return np.unique(ids[1:][ids[1:] == ids[:-1]])


def _ids(path: Path) -> NDArray[np.int64]:
    return read_columns(path, ["source_id"])["source_id"].to_numpy()


def to_table(arrow: pa.Table, provenance: Provenance | None = None) -> Table:
    """Turn rows read by `read_parts` into an astropy table with units, UCDs and words.

    Columns in image units carry a unit where all rows agree on it; else the column
    ``flux_unit`` tells it row by row.
    """
    units = arrow["flux_unit"].unique().to_pylist() if len(arrow) else [""]
    return catalogue_table(arrow, units[0] if len(units) == 1 else None, provenance)


def catalogue_table(
    arrow: pa.Table, image_unit: str | None, provenance: Provenance | None = None
) -> Table:
    """Do as `to_table` does, with a unit (`described`) that is known already."""
    columns = {name: to_numpy(arrow[name]) for name in arrow.column_names}
    table = described(COLUMNS, columns, image_unit)
    table.meta = about_catalogue(provenance)
    return table
