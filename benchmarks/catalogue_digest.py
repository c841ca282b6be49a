"""One word for all that a catalogue says, whatever the order and the cutting of its parts."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


class Catalogue(NamedTuple):
    """Rows, distinct ids, and SHA-256 of every column's bytes, rows ordered by id."""

    rows: int
    ids: int
    digest: str


def read_catalogue(run: Path) -> Catalogue:
    """Read what stands in ``RUN/catalog.parquet``, as a stranger to this package would."""
    paths = sorted((run / "catalog.parquet").glob("*.parquet"))
    tables = [pq.read_table(path).replace_schema_metadata() for path in paths]
    table = pa.concat_tables([_without_metadata(table) for table in tables])
    table = table.take(pc.sort_indices(table, [("source_id", "ascending")]))
    total = hashlib.sha256()
    for name in sorted(table.column_names):
        total.update(name.encode() + _bytes(table[name].combine_chunks()))
    return Catalogue(len(table), len(pc.unique(table["source_id"])), total.hexdigest())


def _without_metadata(table: pa.Table) -> pa.Table:
    """Leave out the columns' units: those of a part are of its image."""
    return table.cast(pa.schema([pa.field(f.name, f.type) for f in table.schema]))


def _bytes(values: pa.Array) -> bytes:
    """Return the bits of a column: NaN equals NaN, 0 differs from -0."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return "\n".join(values.to_pylist()).encode()
    flat = values.flatten() if pa.types.is_nested(values.type) else values
    content: bytes = flat.to_numpy(zero_copy_only=False).tobytes()
    return content
