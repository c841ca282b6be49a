"""An astropy table as an Arrow table and back, with what each column means.

A parquet file says so three times, since there are three kinds of readers: metadata of each
field (pyarrow), YAML (astropy), and a VOTable without data (TOPCAT and STILTS; IVOA note
"Parquet in the VO" 1.0).
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Column, Table, meta
from numpy.typing import NDArray

from surveyfit.sky.described import unit_text
from surveyfit.sky.votable import votable_header

VOPARQUET_VERSION = "1.0"


def to_arrow(table: Table) -> pa.Table:
    """Turn a table of numbers, texts and vectors into an Arrow table with its metadata."""
    columns = list(table.itercols())
    fields = [_field(column) for column in columns]
    arrays = [_array(column, field.type) for column, field in zip(columns, fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=_astropy_metadata(table)))


def parquet_bytes(table: Table) -> pa.Buffer:
    """Return the content of a parquet file with this table, a checksum on every page."""
    arrow = to_arrow(table)
    buffer = pa.BufferOutputStream()
    with pq.ParquetWriter(
        buffer, arrow.schema, compression="zstd", write_page_checksum=True
    ) as writer:
        writer.write_table(arrow)
        writer.add_key_value_metadata(_voparquet_metadata(table))
    return buffer.getvalue()


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


def _field(column: Column) -> pa.Field:
    element = pa.string() if column.dtype.kind == "U" else pa.from_numpy_dtype(column.dtype.base)
    words = {
        "unit": unit_text(column),
        "ucd": column.meta.get("ucd", ""),
        "description": column.description or "",
    }
    kind = pa.list_(element, column.shape[1]) if column.ndim == 2 else element
    return pa.field(column.name, kind, metadata=words)


def _array(column: Column, kind: pa.DataType) -> pa.Array:
    data = np.asarray(column)
    if data.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(data.ravel()), type=kind)
    return pa.array(data, type=kind)


def _astropy_metadata(table: Table) -> dict[str, str]:
    """Describe the columns as astropy's parquet reader wants it, with the width of texts."""
    widths = {
        f"table::len::{column.name}": str(column.dtype.itemsize // np.dtype("U1").itemsize)
        for column in table.itercols()
        if column.dtype.kind == "U"
    }
    return {"table_meta_yaml": "\n".join(meta.get_yaml_from_table(table)), **widths}


def _voparquet_metadata(table: Table) -> dict[str, str]:
    """Describe the columns as IVOA's VOParquet note wants it.

    Apart from the schema's metadata, since pyarrow stores those twice in every file.
    """
    return {
        "IVOA.VOTable-Parquet.version": VOPARQUET_VERSION,
        "IVOA.VOTable-Parquet.content": votable_header(table),
    }
