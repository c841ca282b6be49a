"""``RUN/images.parquet``: a row for every image, beside the catalogue of its sources."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveyfit.schema import Column
from surveyfit.sky.described import described
from surveyfit.sky.parts import write_parquet

# fmt: off
_ROWS = (
    ("image", "str", "", "meta.id;meta.main", "the image, as in the catalogue"),
    ("path", "str", "", "meta.id;meta.file", "where its file was"),
    ("hdu", "int32", "", "meta.number", "number of its extension, the primary is 0"),
    ("extname", "str", "", "meta.id", "name of its extension"),
    ("digest", "str", "", "meta.checksum", "SHA-256 of its file, in hexadecimal"),
    ("ny", "int32", "pixel", "meta.number", "rows"),
    ("nx", "int32", "pixel", "meta.number", "columns"),
    ("unit", "str", "", "meta.unit", "unit of its pixels (BUNIT)"),
    ("epoch_mjd", "float64", "d", "time.epoch", "modified Julian date of the observation"),
    ("filter", "str", "", "meta.id;instr.filter", "name of the filter"),
    ("frequency", "float64", "Hz", "em.freq", "frequency of the observation"),
    ("exposure", "float64", "s", "time.duration;obs.exposure", "exposure time"),
    ("beam_maj", "float64", "arcsec", "phys.angSize.smajAxis;instr.beam", "beam major axis, FWHM"),
    ("beam_min", "float64", "arcsec", "phys.angSize.sminAxis;instr.beam", "beam minor axis, FWHM"),
    ("beam_pa", "float64", "deg", "pos.posAng;instr.beam", "beam position angle, east of north"),
    ("gain", "float64", "", "instr.param", "electrons per unit of the pixels"),
    ("noise", "float64", "", "instr.det.noise", "median noise of a pixel, in unit of the pixels"),
    ("n_tiles", "int32", "", "meta.number", "tiles it was cut into"),
    ("n_sources", "int32", "", "meta.number;src", "rows of the catalogue from it"),
    ("seconds", "float64", "s", "time.duration", "working time of all its pieces together"),
)
# fmt: on

IMAGE_COLUMNS = tuple(Column(*row, group="image") for row in _ROWS)
"""Every column of the table of images, in its order."""


def write_images(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the table of images and return the SHA-256 of the file's bytes.

    Parameters
    ----------
    path : Path
        The parquet file, in a folder that exists.
    rows : sequence of mapping
        Values by column name, one mapping an image; a number that is absent or None is NaN.

    Raises
    ------
    KeyError
        A name that is no column, or a text or integer that is absent.
    """
    known = {column.name for column in IMAGE_COLUMNS}
    unknown = {name for row in rows for name in row} - known
    if unknown:
        raise KeyError(f"no such columns: {sorted(unknown)}")
    values = {column.name: _values(column, rows) for column in IMAGE_COLUMNS}
    return write_parquet(described(IMAGE_COLUMNS, values, image_unit=None), path)


def _values(column: Column, rows: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
    if column.base != "float64":
        return np.array([row[column.name] for row in rows])
    values = (row.get(column.name) for row in rows)
    return np.array([np.nan if value is None else value for value in values], dtype=float)
