"""Blends: islands of several peaks, whose pixels are shared out among them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from skimage.segmentation import watershed

from surveyfit.sky.scene import MIN_PIXELS, Found, Scene, Slices

ALONG_X = ("x", "xmin", "xmax", "xpeak", "xcpeak")
ALONG_Y = ("y", "ymin", "ymax", "ypeak", "ycpeak")
"""Fields of sep's objects that are coordinates."""

Peaks = tuple[NDArray[np.int_], NDArray[np.int_]]
"""The pixels (y, x) of peaks, each (n,)."""


def divide(
    scene: Scene, thresh: float, peaks: Peaks, islands: NDArray[np.int32], blended: NDArray[np.int_]
) -> Iterator[tuple[Slices, Found]]:
    """Share out islands among their peaks, one island after the other.

    sep draws lots for the pixels between blended objects; what they come to hold, and so their
    fits, would depend on the tile in which they are found. Here a pixel goes to the peak on whose
    slope it lies.

    Parameters
    ----------
    scene : Scene
    thresh : float
        Of the islands, in sigmas.
    peaks : array (n,), array (n,)
    islands : int32 array (height, width)
        Number of the island that a pixel belongs to.
    blended : array (m,)
        Numbers of the islands to share out.

    Yields
    ------
    window : pair of slices
        A part of the scene that holds the island.
    objects, segments
        The island's objects, in pixels of the scene, and their segments in the window.
    """
    boxes = find_objects(islands)
    owner = islands[peaks]
    for number in blended:
        window = _grown(boxes[number - 1], scene.reach)
        y0, x0 = (at.start for at in window)
        y, x = (axis[owner == number] for axis in peaks)
        part = scene.window(window)
        shares = _shares(part.smooth, islands[window] == number, (y - y0, x - x0))
        objects, _ = part.measure(thresh, shares)
        for names, start in ((ALONG_Y, y0), (ALONG_X, x0)):
            for name in names:
                objects[name] += start
        yield window, (objects, shares)


def _grown(box: Slices, margin: int) -> Slices:
    """Add a margin; a slice may end beyond the array."""
    y, x = (slice(max(at.start - margin, 0), at.stop + margin) for at in box)
    return y, x


def _shares(
    smooth: NDArray[np.float32], island: NDArray[np.bool_], peaks: Peaks
) -> NDArray[np.int32]:
    """Give each pixel of an island to one of its peaks; those with too few pixels go without."""
    shares = _slopes(smooth, island, peaks)
    enough = np.bincount(shares.ravel(), minlength=len(peaks[0]) + 1)[1:] >= MIN_PIXELS
    if enough.all():
        return shares
    return _slopes(smooth, island, (peaks[0][enough], peaks[1][enough]))


def _slopes(
    smooth: NDArray[np.float32], island: NDArray[np.bool_], peaks: Peaks
) -> NDArray[np.int32]:
    """Give each pixel of an island the number, from 1, of the peak on whose slope it lies."""
    markers = np.zeros(island.shape, np.int32)
    markers[peaks] = np.arange(1, len(peaks[0]) + 1)
    return np.asarray(watershed(-smooth, markers, connectivity=2, mask=island), np.int32)
