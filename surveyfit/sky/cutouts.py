"""A square of pixels around every source, with what its fit needs to start."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sep
from numpy.typing import NDArray

from surveyfit.schema import Flag
from surveyfit.sky.box import Box
from surveyfit.sky.detect import Detections
from surveyfit.sky.reader import Pixels
from surveyfit.sky.sources import CutoutGroup, Sources

SIDES = (32, 64, 128)
"""The only cutout sides: every new shape costs a compilation."""

SIGMAS_ACROSS = 10.0
"""A cutout reaches five standard deviations of the source to either side ..."""

SKY_MARGIN = 6
"""... and this many pixels more, so that the level under the source is well determined."""

MIN_START_SIGMA = 0.6
"""Smallest size in pixels that a fit starts from."""

START_ELONGATION = 0.8
"""Share of the measured elongation that a fit starts from; moments of few pixels exaggerate it."""

EDGE_SIGMAS = 2.0
"""A source whose ellipse of this many sigmas leaves the image is edge_truncated."""

APERTURE_SIGMAS = 3.0
MIN_APERTURE = 3.0
"""Radius of the aperture, in sigmas of the source and at least this many pixels."""


@dataclass(frozen=True)
class Plane:
    """A piece of image ready for detection and cutting; all arrays (height, width).

    ``box`` places the piece in the image, whose shape is ``image_shape``.
    """

    box: Box
    image_shape: tuple[int, int]
    pixels: Pixels
    background: NDArray[np.float32]
    noise: NDArray[np.float32]

    @cached_property
    def subtracted(self) -> NDArray[np.float32]:
        """Pixels minus background, zero where unusable."""
        return np.where(self.pixels.mask, 0, self.pixels.data - self.background)


def cut(plane: Plane, found: Detections, core: Box, filter_sigma: float) -> list[CutoutGroup]:
    """Cut out the sources whose peak pixel lies in the core, grouped by side.

    Rows are ordered by peak pixel (y, then x). ``filter_sigma`` is the detection filter's width
    in pixels, which the measured sizes are corrected for.
    """
    objects = found.objects
    y, x = objects["ypeak"] + plane.box.y0, objects["xpeak"] + plane.box.x0
    order = np.lexsort((x, y))
    owned = order[core.contains(y, x)[order]]
    sigma = _sigmas(objects, filter_sigma)
    major = sigma * np.sqrt(_axis_ratio(objects))
    side = np.select(
        [major * SIGMAS_ACROSS + SKY_MARGIN <= s for s in SIDES], SIDES, default=SIDES[-1]
    )
    return [
        _cut_side(plane, found, owned[side[owned] == s], s, sigma, major)
        for s in SIDES
        if np.any(side[owned] == s)
    ]


def _axis_ratio(objects: NDArray[np.void]) -> NDArray[np.float64]:
    """Major over minor axis from the isophotal moments, at most 5."""
    return np.minimum(objects["a"] / np.maximum(objects["b"], 1e-3), 5.0)


def _sigmas(objects: NDArray[np.void], filter_sigma: float) -> NDArray[np.float64]:
    """Geometric-mean sigma of each source, pixels.

    A Gaussian of peak P covers an area 2 pi sigma^2 ln(P / t) above an isophote t; the area is
    that of the filtered source, so the filter's variance is taken off.
    """
    contrast = np.log(objects["cpeak"] / objects["thresh"])
    variance = objects["npix"] / (2 * np.pi * contrast) - filter_sigma**2
    return np.sqrt(np.maximum(variance, MIN_START_SIGMA**2))


def _cut_side(
    plane: Plane,
    found: Detections,
    rows: NDArray[np.int_],
    side: int,
    sigma: NDArray[np.float64],
    major: NDArray[np.float64],
) -> CutoutGroup:
    objects = found.objects[rows]
    peak_y, peak_x = objects["ypeak"], objects["xpeak"]
    at, inside = _windows(peak_y, peak_x, side, plane.noise.shape)
    bkg = plane.background[peak_y, peak_x]
    segment, number = np.take(found.segments, at), rows + 1
    other = inside & (segment > 0) & (segment != number[:, None, None])
    unusable = np.take(plane.pixels.mask | plane.pixels.saturated, at)
    level = np.take(plane.background, at) - bkg[:, None, None]
    pixels = np.take(plane.pixels.data, at) - level
    pixels[unusable | other | ~inside] = np.nan
    flags = np.where(other.any(axis=(1, 2)), int(Flag.NEIGHBOUR_IN_CUTOUT), 0)
    hit = np.isin(number, found.segments[plane.pixels.saturated])
    flags |= np.where(hit, int(Flag.SATURATED), 0)
    flags |= _edge_flags(plane, objects, major[rows])
    return CutoutGroup(
        side=side,
        pixels=pixels,
        noise=None if plane.pixels.noise is None else np.take(plane.noise, at),
        sources=_sources(plane, found, rows, side, sigma[rows], major[rows], bkg, flags),
    )


def _windows(
    y: NDArray[np.int_], x: NDArray[np.int_], side: int, shape: tuple[int, int]
) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """Squares around pixels (n,) of an array of this shape.

    Returns
    -------
    at : int array (n, side, side)
        Index into the flat array; beyond its edges, that of the nearest pixel.
    inside : bool array (n, side, side)
    """
    height, width = shape
    offsets = np.arange(side) - side // 2
    row, column = y[:, None, None] + offsets[:, None], x[:, None, None] + offsets
    at = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
    return at, (row >= 0) & (row < height) & (column >= 0) & (column < width)


def _edge_flags(
    plane: Plane, objects: NDArray[np.void], major: NDArray[np.float64]
) -> NDArray[np.int_]:
    """Mark sources cut by the image's edge, and islands cut by the edge of the piece."""
    height, width = plane.noise.shape
    y, x = objects["y"] + plane.box.y0, objects["x"] + plane.box.x0
    reach = EDGE_SIGMAS * major
    ny, nx = plane.image_shape
    out = (y - reach < 0) | (x - reach < 0) | (y + reach > ny - 1) | (x + reach > nx - 1)
    cut_off = (objects["ymin"] == 0) | (objects["xmin"] == 0)
    cut_off |= (objects["ymax"] == height - 1) | (objects["xmax"] == width - 1)
    return np.where(out | cut_off, int(Flag.EDGE_TRUNCATED), 0)


def _sources(
    plane: Plane,
    found: Detections,
    rows: NDArray[np.int_],
    side: int,
    sigma: NDArray[np.float64],
    major: NDArray[np.float64],
    bkg: NDArray[np.float32],
    flags: NDArray[np.int_],
) -> Sources:
    objects = found.objects[rows]
    x0, y0 = plane.box.x0, plane.box.y0
    corner_x, corner_y = objects["xpeak"] - side // 2, objects["ypeak"] - side // 2
    rho, diff = _ellipticity(objects)
    brightest, members = _islands(found)
    leader = found.objects[brightest[rows]]
    columns = (
        objects["xpeak"] + x0,
        objects["ypeak"] + y0,
        corner_x + x0,
        corner_y + y0,
        objects["x"] - corner_x,
        objects["y"] - corner_y,
        objects["peak"],
        sigma,
        rho,
        diff,
        bkg,
        plane.noise[objects["ypeak"], objects["xpeak"]],
        bkg,
        _apertures(plane, found, rows, major),
        leader["xpeak"] + x0,
        leader["ypeak"] + y0,
        members[rows],
        flags,
    )
    return Sources(*(np.asarray(c, np.float64) for c in columns))


def _ellipticity(objects: NDArray[np.void]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rho and diff of the moments' ellipse: its angle is atan2(-rho, -2 diff) / 2."""
    ratio2 = _axis_ratio(objects) ** 2
    e = START_ELONGATION * (ratio2 - 1) / (ratio2 + 1)
    angle = 2 * objects["theta"]
    return -2 * e * np.sin(angle), -e * np.cos(angle)


def _islands(found: Detections) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """For every object: the row of the brightest of its island, and the island's count."""
    objects, islands = found.objects, found.islands
    count = np.bincount(islands) if islands.size else np.zeros(1, int)
    # Later rows overwrite earlier ones: faintest first, position decides between equals.
    order = np.lexsort((objects["xpeak"], objects["ypeak"], objects["peak"]))
    brightest = np.zeros(count.size, int)
    brightest[islands[order]] = order
    return brightest[islands], count[islands]


def _apertures(
    plane: Plane, found: Detections, rows: NDArray[np.int_], major: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum in a circle around each barycentre; masked pixels and neighbours are made up for."""
    objects = found.objects[rows]
    radius = np.maximum(APERTURE_SIGMAS * major, MIN_APERTURE)
    total, _, _ = sep.sum_circle(
        plane.subtracted,
        objects["x"],
        objects["y"],
        radius,
        mask=plane.pixels.mask,
        segmap=found.segments,
        seg_id=(rows + 1).astype(np.int32),
    )
    return np.asarray(total)
