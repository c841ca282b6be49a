"""Where an image has usable pixels, in blocks of a few pixels a side."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from surveyfit.sky.box import Box

BLOCK = 8
"""Side of a block in pixels: smaller than a large saturated star, larger than a cosmic ray."""

MEASURED_SHARE = 0.5
"""A block counts as measured if at least this share of its pixels is usable."""


class Zone(IntEnum):
    """How well an image shows a position."""

    INSIDE = 0
    BORDER = 1
    OUTSIDE = 2


class CoverageCounter:
    """Counts usable pixels, a strip of the image at a time.

    Parameters
    ----------
    shape : (ny, nx)
        Of the image.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._counts = np.zeros([-(-length // BLOCK) for length in shape], np.int32)

    def add(self, box: Box, usable: NDArray[np.bool_]) -> None:
        """Count the usable pixels of a box as wide as the image."""
        sums = np.add.reduceat(usable, np.arange(0, box.x1, BLOCK), axis=1, dtype=np.int32)
        np.add.at(self._counts, np.arange(box.y0, box.y1) // BLOCK, sums)

    def covered(self) -> NDArray[np.bool_]:
        """Return which blocks are measured, (ny / BLOCK, nx / BLOCK) rounded up.

        Of a block that sticks out of the image the pixels outside count as unusable.
        """
        return self._counts >= MEASURED_SHARE * BLOCK**2


def blocks_of(box: Box) -> tuple[slice, slice]:
    """Index all blocks that a box touches."""
    return slice(box.y0 // BLOCK, -(-box.y1 // BLOCK)), slice(box.x0 // BLOCK, -(-box.x1 // BLOCK))


def zone_of_blocks(covered: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Say of each block which `Zone` it is.

    ``INSIDE`` the block and the eight around it are measured, so a source there is not cut by the
    edge of the image or of a hole in it; on the ``BORDER`` only the block itself is.

    Parameters
    ----------
    covered : bool array (blocks_y, blocks_x)
        As `CoverageCounter.covered` returns it.

    Returns
    -------
    int8 array (blocks_y, blocks_x)
    """
    inner = binary_erosion(covered, np.ones((3, 3)))
    return np.where(inner, Zone.INSIDE, np.where(covered, Zone.BORDER, Zone.OUTSIDE)).astype(
        np.int8
    )


def zones(
    by_block: NDArray[np.int8], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Say in which `Zone` pixel positions lie.

    Parameters
    ----------
    by_block : int8 array (blocks_y, blocks_x)
        As `zone_of_blocks` returns it.
    x, y : array (n,)
        Zero-based, pixel centres on integers; NaN is outside.

    Returns
    -------
    int8 array (n,)
    """
    zone = np.full(len(x), Zone.OUTSIDE, np.int8)
    with np.errstate(invalid="ignore"):
        column, row = np.floor((x + 0.5) / BLOCK), np.floor((y + 0.5) / BLOCK)
        on = (column >= 0) & (column < by_block.shape[1]) & (row >= 0) & (row < by_block.shape[0])
    zone[on] = by_block[row[on].astype(int), column[on].astype(int)]
    return zone
