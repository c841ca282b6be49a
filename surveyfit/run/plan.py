"""Tiles of an image: pure integer arithmetic.

A tile is a core that it owns and a halo that it may look at. The tile whose core holds a
source's peak pixel owns the source; cores are half-open at their upper edges, so every pixel
has exactly one owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from surveyfit.sky.box import Box

BATCH_TILES = 16
"""Tiles of an image that are fitted together: an image of 4096 x 4096 pixels, a part of the
catalogue a few thousand rows long. A tile alone holds too few sources to fill a GPU."""


@dataclass(frozen=True)
class Tile:
    """A unit of work.

    Attributes
    ----------
    core : Box
        Pixels that the tile owns.
    halo : Box
        The core and the pixels around it that are read too, clipped to the image.
    """

    core: Box
    halo: Box

    @property
    def label(self) -> str:
        """Name of the tile inside its image, from the core's first pixel."""
        return f"y{self.core.y0:06d}_x{self.core.x0:06d}"


def tiles(shape: tuple[int, int], side: int, halo: int) -> list[Tile]:
    """Cut an image into tiles of nearly equal size, row by row from pixel (0, 0).

    Parameters
    ----------
    shape : (ny, nx)
    side : int
        Largest side of a core; an image a little larger than that is cut in halves, not into a
        tile and a sliver.
    halo : int

    >>> [t.label for t in tiles((100, 300), side=200, halo=10)]
    ['y000000_x000000', 'y000000_x000150']
    >>> tiles((100, 300), side=200, halo=10)[1].halo
    Box(y0=0, y1=100, x0=140, x1=300)
    """
    cores = [
        Box(y0, y1, x0, x1) for y0, y1 in _cut(shape[0], side) for x0, x1 in _cut(shape[1], side)
    ]
    return [Tile(core, core.grow(halo, shape)) for core in cores]


def batches(tiles: Sequence[Tile]) -> list[tuple[Tile, ...]]:
    """Group the tiles of an image, in their order, into those that are fitted together.

    >>> [len(batch) for batch in batches(tiles((5000, 5000), side=1024, halo=10))]
    [16, 9]
    """
    return [tuple(tiles[i : i + BATCH_TILES]) for i in range(0, len(tiles), BATCH_TILES)]


def _cut(length: int, side: int) -> list[tuple[int, int]]:
    """Cut a length into the fewest nearly equal parts of at most ``side``."""
    parts = -(-length // side)
    edges = [length * i // parts for i in range(parts + 1)]
    return list(pairwise(edges))
