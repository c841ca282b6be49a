"""A rectangle of pixels: the tile of a plan, the part of an image that is read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, order=True)
class Box:
    """Rows ``y0`` to ``y1`` and columns ``x0`` to ``x1`` of an image, half-open at the upper ends.

    Pixels are zero-based with their centres on integers: pixel 3 covers 2.5 to 3.5.
    """

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an image (ny, nx)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grow(self, margin: int, shape: tuple[int, int]) -> "Box":
        """Add ``margin`` pixels on every side, as far as an image of ``shape`` (ny, nx) reaches.

        ``Box(0, 10, 50, 60).grow(8, (100, 64))`` is ``Box(0, 18, 42, 64)``.
        """
        ny, nx = shape
        return Box(
            max(self.y0 - margin, 0),
            min(self.y1 + margin, ny),
            max(self.x0 - margin, 0),
            min(self.x1 + margin, nx),
        )

    def common(self, other: "Box") -> "Box":
        """Return the pixels of both boxes; a box without pixels where they do not meet."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        return Box(y0, max(y0, min(self.y1, other.y1)), x0, max(x0, min(self.x1, other.x1)))

    def within(self, outer: "Box") -> tuple[slice, slice]:
        """Index of this box in an array that holds the pixels of ``outer``."""
        return (
            slice(self.y0 - outer.y0, self.y1 - outer.y0),
            slice(self.x0 - outer.x0, self.x1 - outer.x0),
        )

    def contains(self, y: ArrayLike, x: ArrayLike) -> np.ndarray:
        """Whether pixels ``y``, ``x`` (any shape, integers) lie in the box, element by element."""
        y, x = np.asarray(y), np.asarray(x)
        return (y >= self.y0) & (y < self.y1) & (x >= self.x0) & (x < self.x1)
