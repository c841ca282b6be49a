"""Artificial sources that are added to the pixels of real images as these are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.schema import Column
from surveyfit.sky.arrow_table import to_numpy
from surveyfit.sky.box import Box
from surveyfit.sky.gaussian_light import draw_stamp, stamp_box
from surveyfit.sky.image import Image
from surveyfit.sky.parts import read_columns

# fmt: off
_ROWS = (
    ("number", "int32", "", "meta.id;meta.main", "number of the artificial source"),
    ("path", "str", "", "meta.id;meta.file", "file of the image"),
    ("digest", "str", "", "meta.checksum", "SHA-256 of the file"),
    ("hdu", "int32", "", "meta.number", "number of the image's extension, the primary is 0"),
    ("plane", "str", "", "meta.number", "plane of a cube: index on each further axis"),
    ("x", "float64", "pixel", "pos.cartesian.x;instr.det", "true column, as x in the catalogue"),
    ("y", "float64", "pixel", "pos.cartesian.y;instr.det", "true row"),
    ("amp", "float64", "", "phot.flux.density;stat.max", "true peak, image units"),
    ("cxx", "float64", "pixel2", "stat.variance", "covariance matrix of the light: x, x"),
    ("cxy", "float64", "pixel2", "stat.covariance", "covariance matrix of the light: x, y"),
    ("cyy", "float64", "pixel2", "stat.variance", "covariance matrix of the light: y, y"),
    ("gain", "float64", "", "instr.param", "electrons per image unit; NaN: no photon noise"),
    ("noise_seed", "int64", "", "meta.number", "seed of the source's photon noise"),
    ("snr", "float64", "", "stat.snr", "true peak over the error expected of it"),
    ("local_rms", "float64", "", "stat.stdev;instr.background", "noise of a pixel, image units"),
    ("point_like", "int32", "", "meta.code", "1: of the shape of a point source; 0: larger"),
    ("beam_pixels", "float64", "pixel", "instr.beam", "pixels a beam; 1: unit not per beam"),
)
# fmt: on

INJECTED_COLUMNS = tuple(Column(*row, group="artificial source") for row in _ROWS)
"""Every column of a table of artificial sources."""

DRAWN = ("x", "y", "amp", "cxx", "cxy", "cyy", "gain", "noise_seed")
IDENTITY = ("digest", "hdu", "plane")
"""What a reader of the image must know: how to draw a source, and into which image."""


@dataclass(frozen=True)
class Injected:
    """The artificial sources of one image.

    Attributes
    ----------
    values : mapping of str to array (n,)
        The columns `DRAWN`.
    """

    values: dict[str, NDArray[Any]]

    def add_to(self, data: NDArray[np.float32], box: Box) -> None:
        """Add the light of all sources to the pixels of a box, with its photon noise.

        A source is always drawn as a whole, so that its noise does not depend on the boxes in
        which an image is read.
        """
        for x, y, amp, cxx, cxy, cyy, gain, seed in zip(*self.values.values(), strict=True):
            covariance = np.array([[cxx, cxy], [cxy, cyy]])
            stamp = stamp_box(x, y, covariance)
            shared = stamp.common(box)
            if 0 in shared.shape:
                continue
            light = draw_stamp(stamp, x, y, amp, covariance)
            if np.isfinite(gain):
                light = np.random.default_rng(seed).poisson(light * gain) / gain
            data[shared.within(box)] += light[shared.within(stamp)].astype(np.float32)


def injected_into(image: Image, table: str | None) -> Injected:
    """Read the artificial sources of an image; none where no table is named.

    Raises
    ------
    InputError
        If the table is missing, damaged, or another kind of table.
    """
    if table is None:
        return Injected({name: np.zeros(0) for name in DRAWN})
    columns = read_table(Path(table))
    own = (columns["digest"] == image.digest) & (columns["hdu"] == image.hdu)
    own &= columns["plane"] == plane_text(image)
    return Injected({name: columns[name][own] for name in DRAWN})


def read_table(path: Path) -> dict[str, NDArray[Any]]:
    """Read the columns that tell which source is drawn where."""
    names = (*IDENTITY, *DRAWN)
    try:
        table = read_columns(path, names)
    except InputError as error:
        raise InputError(f"--inject {error.what}", "give a table that validate wrote") from error
    if missing := set(names) - set(table.column_names):
        what = f"--inject {path} has no column {sorted(missing)[0]}"
        raise InputError(what, "give a table that validate wrote")
    return {name: to_numpy(table[name]) for name in names}


def plane_text(image: Image) -> str:
    """Spell the plane of an image as the table does; empty for an image of two axes."""
    return ",".join(map(str, image.plane))
