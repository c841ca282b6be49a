"""Columns of plain numbers turned into a table that carries units, UCDs and words.

A column's description and UCD travel as astropy keeps them (``description`` and
``meta["ucd"]``), so every file format below is written from the table alone.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column as TableColumn
from astropy.table import Table
from numpy.typing import NDArray

from surveyfit.schema import FLUX_UNIT, IMAGE_UNIT, Column

PER_BEAM = "/beam"


def flux_unit(image_unit: str) -> str:
    """Return the unit of an integrated flux: Jy for images in Jy/beam, else the image's own."""
    return image_unit.removesuffix(PER_BEAM)


def described(
    columns: Sequence[Column], values: Mapping[str, NDArray[Any]], image_unit: str | None
) -> Table:
    """Make a table of the given columns, in their order, with all that is known of them.

    Parameters
    ----------
    columns : sequence of Column
        What the table holds; a float column without values becomes NaN.
    values : mapping of str to array
        ``(n,)`` a plain column, ``(n, length)`` a vector column.
    image_unit : str or None
        Unit of the image's pixels, '' if unknown; None if the rows come from images of
        different units.

    Raises
    ------
    KeyError
        A value for a column that does not exist, or none for a text or integer column.
    TypeError
        Floats for an integer column.
    ValueError
        Columns of different lengths.
    """
    data = complete(columns, values)
    return Table([_described(column, data[column.name], image_unit) for column in columns])


def complete(
    columns: Sequence[Column], values: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Give every column its values, in the order of the columns and of their types.

    Parameters, and errors raised but the last, are those of `described`.
    """
    unknown = set(values) - {column.name for column in columns}
    if unknown:
        raise KeyError(f"no such columns: {sorted(unknown)}")
    n_rows = len(next(iter(values.values()), ()))
    return {
        column.name: _typed(column, np.asarray(values[column.name]))
        if column.name in values
        else _typed(column, _filled(column, n_rows))
        for column in columns
    }


def unit_text(column: TableColumn) -> str:
    """Spell a column's unit as the FITS standard does; '' if it has none."""
    return "" if column.unit is None else _spelled(column.unit)


@cache
def _spelled(unit: u.UnitBase) -> str:
    """Spell a unit; cached, since astropy looks for a like name whenever it knows none."""
    try:
        return str(unit.to_string("fits"))
    except ValueError:  # in no standard, and still in use: electron, DN
        return str(unit.to_string())


def _described(column: Column, data: NDArray[Any], image_unit: str | None) -> TableColumn:
    unit, meaning = _resolved(column, image_unit)
    return TableColumn(
        data,
        name=column.name,
        unit=u.Unit(unit, parse_strict="silent") if unit else None,
        description=meaning,
        meta={"ucd": column.ucd},
    )


def _filled(column: Column, n_rows: int) -> NDArray[Any]:
    """Values for a column that was not measured."""
    if column.base != "float64" and n_rows > 0:
        raise KeyError(f"column {column.name} is missing, and {column.base} has no NaN")
    return np.full((n_rows, column.length) if column.length else n_rows, np.nan)


def _typed(column: Column, data: NDArray[Any]) -> NDArray[Any]:
    """Give the data the column's type and shape."""
    if column.base == "str":
        return data.astype(str)
    # An empty array has no type of its own: numpy makes it float64.
    data = data.astype(column.base, casting="same_kind" if data.size else "unsafe")
    return data.reshape(len(data), column.length) if column.length else data


def _resolved(column: Column, image_unit: str | None) -> tuple[str, str]:
    """Return unit and meaning of a column for images of this unit."""
    if column.unit not in (IMAGE_UNIT, FLUX_UNIT):
        return column.unit, column.meaning
    if image_unit is None:
        return "", f"{column.meaning} (units differ from image to image: see flux_unit)"
    return flux_unit(image_unit) if column.unit == FLUX_UNIT else image_unit, column.meaning
