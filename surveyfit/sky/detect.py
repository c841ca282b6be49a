"""Detection: which pixels belong to which source, by sep."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from surveyfit.sky.blends import Peaks, divide
from surveyfit.sky.kernel import detection_profile
from surveyfit.sky.scene import Found, Scene

ISOPHOTE = 0.8
"""A source reaches out to this share of the threshold, which only its peak must pass."""

WORTHWHILE_FACTOR = 0.6
"""A filter that leaves more of the noise than this takes more from a star (0.66 of the peak at the
default width and a seeing of 3.5 pixels) than from the noise, as in beam-correlated radio images;
there the image itself is thresholded."""

DEBLEND_CONTRAST = 0.001
"""A peak is a source of its own if it holds this share of its island's flux. At source-extractor's
0.005 galaxies beside a bright star are lost in its halo (2 of 15 in a VISTA image)."""

SHARP_THRESH = 10.0
SHARP_CONTRAST = 0.005
"""Bright sources are told apart in the image itself, above this many sigmas: of simulated pairs
4 to 12 pixels apart at a seeing of 3.5 that finds 508 of 548 where the filtered image shows 494."""

TOUCHING = np.ones((3, 3))
"""Pixels that touch at a corner belong together, as for sep."""


@dataclass(frozen=True)
class Detections:
    """Sources of a piece of image; pixel coordinates count from the piece's first pixel.

    Attributes
    ----------
    objects : structured array (n,)
        The fields of ``sep.extract``.
    segments : int32 array (height, width)
        Pixel i + 1 where a pixel belongs to ``objects[i]``, else 0.
    islands : int32 array (n,)
        Number of the island of touching segments that an object belongs to.
    """

    objects: NDArray[np.void]
    segments: NDArray[np.int32]
    islands: NDArray[np.int32]


def detect(
    data: NDArray[np.float32],
    noise: NDArray[np.float32],
    mask: NDArray[np.bool_],
    *,
    thresh: float,
    filter_factor: float,
    filter_fwhm: float,
) -> Detections:
    """Find sources in the filtered image.

    Parameters
    ----------
    data, noise : array (height, width)
        Background-subtracted pixels, zero where masked, and their 1-sigma noise; same units.
    mask : bool array (height, width)
        True where a pixel is unusable.
    thresh : float
        Threshold in sigmas of the noise of the *filtered* image, so that it means the same for
        independent and for correlated pixels.
    filter_factor : float
        Noise of the filtered image over that of the image.
    filter_fwhm : float
        Width of the filter in pixels.
    """
    filtered = filter_factor < WORTHWHILE_FACTOR
    profile = detection_profile(filter_fwhm) if filtered else None
    sigma = np.where(mask, 1, noise * (filter_factor if filtered else 1))
    scene = Scene(data, sigma.astype(np.float32), mask, profile)
    isophote = ISOPHOTE * thresh
    found = objects, segments = scene.find(isophote, DEBLEND_CONTRAST, clean=True)
    wanted = np.append(False, objects["cpeak"] >= objects["thresh"] / ISOPHOTE)
    bright = _bright_peaks(data, noise, mask) if filtered else None
    peaks = _peaks(found, wanted, bright)
    islands, _ = label(wanted[segments], structure=TOUCHING)
    blended = np.flatnonzero(np.bincount(islands[peaks]) > 1)
    wanted[1:] &= ~np.isin(islands[objects["ycpeak"], objects["xcpeak"]], blended)
    objects, segments = _only(found, wanted)
    parts = [objects]
    for window, (shared, shares) in divide(scene, isophote, peaks, islands, blended):
        mine = shares > 0
        segments[window][mine] = shares[mine] + sum(map(len, parts))
        parts.append(shared)
    objects = np.concatenate(parts)
    return Detections(objects, segments, islands[objects["ypeak"], objects["xpeak"]])


def _bright_peaks(
    data: NDArray[np.float32], noise: NDArray[np.float32], mask: NDArray[np.bool_]
) -> Peaks:
    """Return the bright peaks of the image itself.

    The filter that finds faint sources melts close bright ones together.
    """
    sharp = Scene(data, np.where(mask, 1, noise).astype(np.float32), mask, None)
    objects, _ = sharp.find(SHARP_THRESH, SHARP_CONTRAST, clean=False)
    return objects["ypeak"], objects["xpeak"]


def _peaks(found: Found, wanted: NDArray[np.bool_], bright: Peaks | None) -> Peaks:
    """Return the peaks of the wanted segments: the bright ones, and for others that of the filter.

    ``wanted[i]`` tells of segment i; that of 0, which is no segment, is False.
    """
    objects, segments = found
    y, x = objects["ycpeak"], objects["xcpeak"]
    if bright is None:
        return y[wanted[1:]], x[wanted[1:]]
    owner = segments[bright]
    without = wanted.copy()
    without[owner] = False
    bright_y, bright_x = (axis[wanted[owner]] for axis in bright)
    return np.append(y[without[1:]], bright_y), np.append(x[without[1:]], bright_x)


def _only(found: Found, wanted: NDArray[np.bool_]) -> Found:
    """Drop what is not wanted; the other segments are renumbered."""
    objects, segments = found
    numbers = np.where(wanted, np.cumsum(wanted), 0).astype(np.int32)
    return objects[wanted[1:]], numbers[segments]
