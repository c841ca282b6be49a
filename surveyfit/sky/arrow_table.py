"""Columns as a parquet file and back, with what each column means.

A parquet file says so three times, since there are three kinds of readers: metadata of each
field (pyarrow), YAML (astropy), and a VOTable without data (TOPCAT and STILTS; IVOA note
"Parquet in the VO" 1.0).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Column, Table, meta
from numpy.typing import NDArray

from surveyfit.sky.described import unit_text
from surveyfit.sky.votable import votable_header

VOPARQUET_VERSION = "1.0"


class Form(NamedTuple):
    """What a parquet file says of its columns, whatever their rows.

    Attributes
    ----------
    schema : pa.Schema
        Names and types, with unit, UCD and description in the metadata of each field, and with
        the YAML for astropy.
    footer : dict of str to str
        The VOTable, as IVOA's VOParquet note wants it. Apart from the schema's metadata, since
        pyarrow stores those twice in every file.
    """

    schema: pa.Schema
    footer: dict[str, str]


def form_of(table: Table) -> Form:
    """Return the form of files that hold the columns of a table."""
    yaml = "\n".join(meta.get_yaml_from_table(table))
    return Form(
        pa.schema(map(_field, table.itercols()), metadata={"table_meta_yaml": yaml}),
        {
            "IVOA.VOTable-Parquet.version": VOPARQUET_VERSION,
            "IVOA.VOTable-Parquet.content": votable_header(table),
        },
    )


def columns_of(table: Table) -> dict[str, NDArray[Any]]:
    """Return the columns of a table as plain arrays."""
    return {column.name: np.asarray(column) for column in table.itercols()}


def parquet_bytes(columns: Mapping[str, NDArray[Any]], form: Form) -> pa.Buffer:
    """Return the content of a parquet file, a checksum on every page.

    Parameters
    ----------
    columns : mapping of str to array
        ``(n,)`` or ``(n, length)`` each, in the order of the form.
    form : Form
    """
    buffer = pa.BufferOutputStream()
    with _writer(buffer, form, _text_widths(columns)) as writer:
        _write_rows(writer, columns)
    return buffer.getvalue()


def write_parquet_tables(tables: Iterable[Table], widths: Mapping[str, int], path: Path) -> None:
    """Write tables of the same columns as one parquet file, the rows of one held at a time.

    Parameters
    ----------
    tables : iterable of Table
        At least one, from which the file's form is taken.
    widths : mapping of str to int
        Characters of the longest text of each text column.
    path : Path
    """
    remaining = iter(tables)
    first = next(remaining)
    with _writer(path, form_of(first), widths) as writer:
        for table in chain([first], remaining):
            _write_rows(writer, columns_of(table))


@contextmanager
def _writer(
    target: Path | pa.NativeFile, form: Form, widths: Mapping[str, int]
) -> Iterator[pq.ParquetWriter]:
    # By these astropy knows how wide texts are.
    lengths = {f"table::len::{name}": str(width) for name, width in widths.items()}
    schema = form.schema.with_metadata(form.schema.metadata | lengths)
    with pq.ParquetWriter(target, schema, compression="zstd", write_page_checksum=True) as writer:
        yield writer
        writer.add_key_value_metadata(form.footer)


def _write_rows(writer: pq.ParquetWriter, columns: Mapping[str, NDArray[Any]]) -> None:
    arrays = [_array(columns[field.name], field.type) for field in writer.schema]
    writer.write_table(pa.Table.from_arrays(arrays, schema=writer.schema))


def to_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    """Turn an Arrow column into an array, ``(n, length)`` for a column of vectors."""
    if pa.types.is_string(column.type):
        return column.to_numpy().astype(str)
    if pa.types.is_fixed_size_list(column.type):
        flat = pa.chunked_array(
            [chunk.flatten() for chunk in column.chunks], type=column.type.value_type
        )
        return flat.to_numpy().reshape(len(column), column.type.list_size)
    return column.to_numpy()


def arrow_type(data: NDArray[Any]) -> pa.DataType:
    """Return the Arrow type of a column ``(n,)`` or ``(n, length)``."""
    element = pa.string() if data.dtype.kind == "U" else pa.from_numpy_dtype(data.dtype)
    return pa.list_(element, data.shape[1]) if data.ndim == 2 else element


def _field(column: Column) -> pa.Field:
    words = {
        "unit": unit_text(column),
        "ucd": column.meta.get("ucd", ""),
        "description": column.description or "",
    }
    return pa.field(column.name, arrow_type(np.asarray(column)), metadata=words)


def _array(data: NDArray[Any], kind: pa.DataType) -> pa.Array:
    if data.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(data.ravel()), type=kind)
    return pa.array(data, type=kind)


def _text_widths(columns: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Return the characters that each text column has room for."""
    return {
        name: data.dtype.itemsize // np.dtype("U1").itemsize
        for name, data in columns.items()
        if data.dtype.kind == "U"
    }
