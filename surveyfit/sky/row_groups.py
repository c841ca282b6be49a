"""Parts of a catalogue as tables of some thousand rows: memory does not grow with the catalogue."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from astropy.table import Table

from surveyfit.schema import COLUMNS
from surveyfit.sky.about import Provenance
from surveyfit.sky.parts import catalogue_table, count_rows, read_columns, read_parts

ROWS_AT_ONCE = 20_000
"""Rows that are held at a time; on their way into a file they take 7 kB each."""

TEXTS = tuple(column.name for column in COLUMNS if column.base == "str")


class Common(NamedTuple):
    """What all parts must agree on.

    Attributes
    ----------
    rows : int
    widths : dict of str to int
        ASCII characters of each text column, other letters spelled as escapes; at least 1.
    unit : str or None
        Unit of the pixels; None if the images have different ones.
    """

    rows: int
    widths: dict[str, int]
    unit: str | None


def common_of(parts: Sequence[Path]) -> Common:
    """Read what parts have in common.

    Raises
    ------
    InputError
        A part that is missing or damaged.
    """
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
    return Common(sum(map(count_rows, parts)), widths, unit)


def tables_of(
    parts: Sequence[Path], unit: str | None, provenance: Provenance | None = None
) -> Iterator[Table]:
    """Yield the rows of parts, in their order; at least one table, for its columns.

    Raises
    ------
    InputError
        A part that is missing, damaged, or written with other columns.
    """
    for group in _groups(parts):
        yield catalogue_table(read_parts(group), unit, provenance)


def _groups(parts: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the parts in groups of about ROWS_AT_ONCE; at least one."""
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
