"""The catalogue as other programs write theirs, for scripts that expect their columns.

The columns of each are in a table of its own: `aegean`, `pybdsf`,
`sextractor`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column, Table
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.schema import GOOD
from surveyfit.sky.atomic import replacing
from surveyfit.sky.described import flux_unit
from surveyfit.sky.export import WRITERS, check_place, export
from surveyfit.sky.styles.aegean import AEGEAN
from surveyfit.sky.styles.column import FLUX, PEAK, Observed, Sources, Style, StyleColumn
from surveyfit.sky.styles.pybdsf import PYBDSF
from surveyfit.sky.styles.sextractor import SEXTRACTOR

STYLES: dict[str, Style] = {"aegean": AEGEAN, "pybdsf": PYBDSF, "sextractor": SEXTRACTOR}

OURS_ALONE = ".reg"
"""Extension of a format that is made of our columns, not of theirs."""


def check_styled_target(path: Path, style: Style) -> None:
    """Refuse a file that `write_styled` could not write.

    Raises
    ------
    InputError
        An extension that is neither ours nor the program's, a folder in the place of the file, or
        no folder that can be written.
    """
    known = [*style.writers, *(w for w in WRITERS if w != OURS_ALONE and w not in style.writers)]
    if path.suffix.lower() not in known:
        what = f"{path}: no table format '{path.suffix}' in the style of {style.program}"
        raise InputError(what, f"use one of {' '.join(known)}")
    check_place(path)


def write_styled(table: Table, images: Mapping[str, Observed], style: Style, path: Path) -> None:
    """Write a table made by `styled`; the file is replaced whole, or stays as it was."""
    own = style.writers.get(path.suffix.lower())
    if own is None:
        export(table, path)
        return
    with replacing(path) as temporary:
        own(table, images, temporary)


def styled(table: Table, images: Mapping[str, Observed], style: Style) -> Table:
    """Turn our catalogue into another program's.

    Parameters
    ----------
    table : Table
        Our catalogue.
    images : mapping of str to Observed
        By what the column ``image`` calls it.
    style : Style

    Returns
    -------
    Table
        The program's columns; with several images a last one, ``image``. Left out are rows
        without a fit, as scripts written for these programs expect numbers, and those that the
        style cannot take.
    """
    taken = np.isfinite(table["x"])
    if style.needs_sky:
        taken &= np.isfinite(table["ra"])
    if style.only_good:
        taken &= table["flags"] & GOOD == 0
    rows = table[np.asarray(taken)]
    sources = _sources(rows, images)
    unit = _common(rows["flux_unit"])
    columns = [_column(column, sources, unit) for column in style.columns]
    if len(images) > 1:
        columns.append(Column(rows["image"], name="image", description="the image"))
    return Table(columns)


def _sources(rows: Table, images: Mapping[str, Observed]) -> Sources:
    """Return our columns, the beam of each row, and small numbers for islands and sources."""
    island = _in_order(np.asarray(rows["island_id"]))
    beams = [images[name].beam for name in np.asarray(rows["image"]).tolist()]
    axes = [(np.nan,) * 3 if b is None else (b.major, b.minor, b.pa) for b in beams]
    psf = np.array(axes, float).reshape(len(rows), 3)
    return {
        **{column.name: np.asarray(column) for column in rows.itercols()},
        **dict(zip(("psf_maj", "psf_min", "psf_pa"), psf.T, strict=True)),
        "island": island,
        "component": _rank_within(island, np.asarray(rows["flux_peak"])),
    }


def _in_order(names: NDArray[Any]) -> NDArray[np.int32]:
    """Give the different values (n,) numbers from 0, in the order in which they first appear."""
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[which].astype(np.int32)


def _rank_within(group: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the place of each member (n,) in its group, 0 that of the largest value."""
    order = np.lexsort((-value, group))
    sorted_groups = group[order]
    first = np.searchsorted(sorted_groups, sorted_groups)
    ranks = np.empty(len(group), np.int32)
    ranks[order] = np.arange(len(group)) - first
    return ranks


def _common(units: Iterable[str]) -> str:
    """Return the unit that all rows share; '' if they do not."""
    different = set(units)
    return str(different.pop()) if len(different) == 1 else ""


def _column(column: StyleColumn, sources: Sources, image_unit: str) -> Column:
    words = {PEAK: image_unit, FLUX: flux_unit(image_unit)}
    unit = words.get(column.unit, column.unit)
    return Column(
        column.values(sources),
        name=column.name,
        unit=u.Unit(unit, parse_strict="silent") if unit else None,
        description=column.meaning,
    )
