"""``RUN/images.parquet``: a row for every image, beside the catalogue of its sources."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
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
    ("ra", "float64", "deg", "pos.eq.ra;meta.main", "right ascension of its centre, ICRS"),
    ("dec", "float64", "deg", "pos.eq.dec;meta.main", "declination of its centre, ICRS"),
    ("radius", "float64", "deg", "phys.angSize;instr.fov", "radius of a circle around it all, a little wide"),
    ("corners", "float64[8]", "deg", "pos.outline;obs.field", "ra, dec of its corners: those of the pixels (0, 0), (nx - 1, 0), (nx - 1, ny - 1), (0, ny - 1)"),
    ("pixel_scale", "float64", "arcsec", "phys.angSize;instr.pixel", "side of a pixel: root of its area at the reference pixel"),
    ("telescope", "str", "", "meta.id;instr.tel", "name of the telescope (TELESCOP)"),
    ("instrument", "str", "", "meta.id;instr", "name of the instrument (INSTRUME)"),
    ("object", "str", "", "meta.id;src", "what was pointed at (OBJECT)"),
    ("unit", "str", "", "meta.unit", "unit of its pixels (BUNIT)"),
    ("zeropoint", "float64", "mag", "phot.mag;arith.zp", "magnitude of a source of one unit of the pixels"),
    ("epoch_mjd", "float64", "d", "time.epoch", "start of the observation, modified Julian date, UTC"),
    ("epoch_mid_mjd", "float64", "d", "time.epoch", "middle of the observation, modified Julian date, UTC"),
    ("filter", "str", "", "meta.id;instr.filter", "name of the filter"),
    ("frequency", "float64", "Hz", "em.freq", "frequency of the observation"),
    ("exposure", "float64", "s", "time.duration;obs.exposure", "exposure time"),
    ("beam_maj", "float64", "arcsec", "phys.angSize.smajAxis;instr.beam", "beam major axis, FWHM"),
    ("beam_min", "float64", "arcsec", "phys.angSize.sminAxis;instr.beam", "beam minor axis, FWHM"),
    ("beam_pa", "float64", "deg", "pos.posAng;instr.beam", "beam position angle, east of north"),
    ("gain", "float64", "", "instr.param", "electrons per unit of the pixels"),
    ("background", "float64", "", "instr.skyLevel", "median background, in unit of the pixels"),
    ("noise", "float64", "", "instr.det.noise", "median noise of a pixel, in unit of the pixels"),
    ("band", "str", "", "meta.id;instr.bandpass", "images of the same band compete for the sky that they share; empty: with none"),
    ("depth", "float64", "", "instr.det.noise", "noise by which they compete, in the unit that band tells, in a beam or an arcsec2; the least wins"),
    ("n_tiles", "int32", "", "meta.number", "tiles it was cut into"),
    ("n_sources", "int32", "", "meta.number;src", "rows of the catalogue from it"),
    ("n_good", "int32", "", "meta.number;src", "good ones among them (flags & GOOD == 0)"),
    ("n_primary", "int32", "", "meta.number;src", "primary ones among them (is_primary)"),
    ("seconds", "float64", "s", "time.duration", "working time of all its pieces together"),
)
# fmt: on

IMAGE_COLUMNS = tuple(Column(*row, group="image") for row in _ROWS)
"""Every column of the table of images, in its order."""


def write_images(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the table of images, into a folder that exists; return the SHA-256 of the file's bytes.

    Raises as `images_table` does.
    """
    return write_parquet(images_table(rows), path)


def images_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Make the table of images.

    Parameters
    ----------
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
    return described(IMAGE_COLUMNS, values, image_unit=None)


def _values(column: Column, rows: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
    if column.base != "float64":
        return np.array([row[column.name] for row in rows])
    missing = (np.nan,) * column.length if column.length else np.nan
    values = (row.get(column.name) for row in rows)
    return np.array([missing if value is None else value for value in values], dtype=float)
