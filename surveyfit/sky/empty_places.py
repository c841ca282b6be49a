"""Places in an image where nothing is: where artificial sources can be put."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from surveyfit.sky.box import Box
from surveyfit.sky.cutouts import Plane
from surveyfit.sky.detect import Detections

MOST_COVERED = 0.12
"""Largest share of the empty pixels that the surroundings of artificial sources may take: the
crowding, and the sky from which background and noise are measured, stay nearly what they were."""


def empty_places(
    plane: Plane, found: Detections, core: Box, clear: float, most: int, rng: np.random.Generator
) -> NDArray[np.int_]:
    """Choose pixels with nothing around them but empty sky, and not each other's surroundings.

    Parameters
    ----------
    plane : Plane
        A tile with its halo.
    found : Detections
        Its sources: their pixels are not empty, nor are masked and saturated ones, nor the outside
        of the image.
    core : Box
        The pixels the tile owns; the places and all that is around them lie in it, so that those
        of two tiles do not meet.
    clear : float
        Radius of the surroundings in pixels.
    most : int
        Places wanted; there may be fewer, see `MOST_COVERED`.
    rng : Generator

    Returns
    -------
    array (n, 2) of int
        x and y in the image.
    """
    empty = (found.segments == 0) & ~plane.pixels.mask & ~plane.pixels.saturated
    own = np.pad(empty[core.within(plane.box)], 1)
    possible = distance_transform_edt(own)[1:-1, 1:-1] > clear
    room = int(MOST_COVERED * np.count_nonzero(own) / (np.pi * clear**2))
    places: list[tuple[int, int]] = []
    while len(places) < min(most, room):
        left = np.flatnonzero(possible)
        if not left.size:
            break
        y, x = divmod(int(rng.choice(left)), possible.shape[1])
        _close(possible, x, y, 2 * clear)
        places.append((x + core.x0, y + core.y0))
    return np.array(places, int).reshape(-1, 2)


def _close(possible: NDArray[np.bool_], x: int, y: int, radius: float) -> None:
    """Mark the pixels within a radius of one as no longer possible."""
    height, width = possible.shape
    reach = int(np.ceil(radius))
    disc = Box(y - reach, y + reach + 1, x - reach, x + reach + 1).common(Box(0, height, 0, width))
    dy = np.arange(disc.y0, disc.y1)[:, None] - y
    dx = np.arange(disc.x0, disc.x1) - x
    possible[disc.slices] &= dx**2 + dy**2 > radius**2
