"""Sources as DS9 regions: ellipses of the fitted size, on the sky where that is known.

DS9 draws an ellipse from its semi-axes and the angle of the first of them, counter-clockwise
from the x axis, which on the sky is west; position angles count from north. Image coordinates
of DS9 begin with 1.
"""

import numpy as np
from astropy.table import Row, Table

from surveyfit.schema import GOOD

HEADER = (
    "# Region file format: DS9\n"
    "# The tag of a region is its image: Region > Groups shows those of one image. Regions in\n"
    "# image coordinates, of images without world coordinates, belong on that image only.\n"
    "global width=1\n"
)
GOOD_COLOUR, FLAGGED_COLOUR = "green", "orange"
NORTH = 90.0
"""Degrees from DS9's first axis to north."""

FIRST_PIXEL = 1.0
"""DS9's coordinate of the centre of the first pixel."""


def region_file(table: Table) -> str:
    """Describe the rows of a catalogue; see `regions`.

    Returns
    -------
    str
        The text of a DS9 region file.
    """
    return HEADER + regions(table)


def regions(table: Table) -> str:
    """Describe every source that has a position; a source without a size becomes a point.

    Parameters
    ----------
    table : Table
        Rows of a catalogue.

    Returns
    -------
    str
        Lines of a DS9 region file; green are the good rows, orange the flagged ones.
    """
    shapes = [(row, _shape(row)) for row in table]
    return "".join(f"{shape}{_properties(row, shape)}\n" for row, shape in shapes if shape)


def _shape(row: Row) -> str:
    """Draw on the sky if possible, else on the image, else not at all."""
    if np.isfinite([row["ra"], row["dec"]]).all():
        position = f"{row['ra']:.9f},{row['dec']:.9f}"
        size = _ellipse(row["maj_axis"], row["min_axis"], row["pos_ang"] + NORTH, '"')
        system = "icrs"
    elif np.isfinite([row["x"], row["y"]]).all():
        position = f"{row['x'] + FIRST_PIXEL:.6f},{row['y'] + FIRST_PIXEL:.6f}"
        size = _ellipse(row["maj_pix"], row["min_pix"], row["pa_pix"], "")
        system = "image"
    else:
        return ""
    return f"{system};ellipse({position},{size})" if size else f"{system};point({position})"


def _ellipse(major: float, minor: float, angle: float, unit: str) -> str:
    """Write semi-axes and angle; '' if any of them is unknown."""
    if not np.isfinite([major, minor, angle]).all():
        return ""
    return f"{major / 2:.6f}{unit},{minor / 2:.6f}{unit},{angle:.6f}"


def _properties(row: Row, shape: str) -> str:
    colour = FLAGGED_COLOUR if row["flags"] & GOOD else GOOD_COLOUR
    marker = " point=x" if "point(" in shape else ""
    label = row["name"] or row["source_id"]
    return f" #{marker} color={colour} text={{{label}}} tag={{{_unbraced(row['image'])}}}"


def _unbraced(text: str) -> str:
    """Replace braces, which would end a text of DS9."""
    return text.replace("{", "(").replace("}", ")")
