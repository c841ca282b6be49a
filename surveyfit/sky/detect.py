"""Detection: which pixels belong to which source, by sep."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.ndimage import convolve, label
from skimage.segmentation import watershed

from surveyfit.sky.kernel import detection_kernel

ISOPHOTE = 0.8
"""A source reaches out to this share of the threshold, which only its peak must pass."""

MIN_PIXELS = 3
"""Pixels within the isophote that make a source."""

WORTHWHILE_FACTOR = 0.6
"""A filter that leaves more of the noise than this takes more from a star (0.66 of the peak at the
default width and a seeing of 3.5 pixels) than from the noise, as in beam-correlated radio images;
there the image itself is thresholded."""

DEBLEND_LEVELS = 32
DEBLEND_CONTRAST = 0.001
"""A peak is a source of its own if it holds this share of its island's flux. At source-extractor's
0.005 galaxies beside a bright star are lost in its halo (2 of 15 in a VISTA image)."""

SHARP_THRESH = 10.0
SHARP_CONTRAST = 0.005
"""Bright sources are told apart in the image itself, above this many sigmas: of simulated pairs
4 to 12 pixels apart at a seeing of 3.5 that finds 508 of 548 where the filtered image shows 494."""

SUB_OBJECTS = 1024
MOST_SUB_OBJECTS = 262144
"""Room for the parts of one island: sep's own start, and the most that we allow it."""

ACTIVE_PIXELS_MIN = 300_000
"""sep's own room for the pixels above the threshold; we give as much as there are pixels."""

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
    kernel = detection_kernel(filter_fwhm) if filter_factor < WORTHWHILE_FACTOR else None
    sigma = np.where(mask, 1, noise * (filter_factor if kernel is not None else 1))
    scene = _Scene(data, sigma.astype(np.float32), mask, kernel)
    objects, segments = _keep(*scene.find(ISOPHOTE * thresh, DEBLEND_CONTRAST, clean=True))
    peak_y, peak_x = objects["ycpeak"], objects["xcpeak"]
    if kernel is not None:
        sharp = _Scene(data, np.where(mask, 1, noise).astype(np.float32), mask, None)
        bright, _ = sharp.find(SHARP_THRESH, SHARP_CONTRAST, clean=False)
        peak_y, peak_x = _sharpened(objects, segments, bright)
    islands, _ = label(segments > 0, structure=TOUCHING)
    blended = np.bincount(islands[peak_y, peak_x], minlength=islands.max() + 1) > 1
    if blended[1:].any():
        shared = scene.share_out(peak_y, peak_x, segments, blended[islands])
        objects, segments = scene.measure(ISOPHOTE * thresh, shared)
    return Detections(objects, segments, islands[objects["ypeak"], objects["xpeak"]])


def _sharpened(
    objects: NDArray[np.void], segments: NDArray[np.int32], sharp: NDArray[np.void]
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the peaks (y, x) of the filtered image; of the image itself where it shows some.

    The filter that finds faint sources melts close bright ones together.
    """
    owner = segments[sharp["ypeak"], sharp["xpeak"]]
    sharp, owner = sharp[owner > 0], owner[owner > 0]
    only_filtered = np.delete(np.arange(len(objects)), np.unique(owner) - 1)
    return (
        np.concatenate([objects["ycpeak"][only_filtered], sharp["ypeak"]]),
        np.concatenate([objects["xcpeak"][only_filtered], sharp["xpeak"]]),
    )


@dataclass(frozen=True)
class _Scene:
    """A piece of image as sep takes it."""

    data: NDArray[np.float32]
    sigma: NDArray[np.float32]
    mask: NDArray[np.bool_]
    kernel: NDArray[np.float32] | None

    def find(
        self, thresh: float, contrast: float, *, clean: bool
    ) -> tuple[NDArray[np.void], NDArray[np.int32]]:
        """Find objects above a threshold in sigmas; return them and their segments.

        Cleaning drops what may be the wing of a neighbour. It judges by moments that hold the
        lots drawn for pixels of blends, so bright peaks, which cannot be wings, go without it.
        """
        return self._extract(thresh, deblend_cont=contrast, clean=clean, segmentation_map=True)

    def measure(
        self, thresh: float, segments: NDArray[np.int32]
    ) -> tuple[NDArray[np.void], NDArray[np.int32]]:
        """Measure the objects of given segments."""
        return self._extract(thresh, segmentation_map=segments)

    def _extract(self, thresh: float, **options: Any) -> tuple[NDArray[np.void], NDArray[np.int32]]:
        """Run sep, with more room for the parts of an island where it asks for it."""
        sep.set_extract_pixstack(max(ACTIVE_PIXELS_MIN, self.data.size))
        sub_objects = SUB_OBJECTS
        while True:
            sep.set_sub_object_limit(sub_objects)
            try:
                return sep.extract(
                    self.data,
                    thresh,
                    err=self.sigma,
                    mask=self.mask,
                    minarea=MIN_PIXELS,
                    filter_kernel=self.kernel,
                    filter_type="conv",
                    deblend_nthresh=DEBLEND_LEVELS,
                    **options,
                )
            except Exception as error:
                # sep raises a bare Exception; only this one is cured by more room.
                if "sub-object" not in str(error) or sub_objects >= MOST_SUB_OBJECTS:
                    raise
                sub_objects *= 8

    def share_out(
        self,
        peak_y: NDArray[np.int_],
        peak_x: NDArray[np.int_],
        segments: NDArray[np.int32],
        blended: NDArray[np.bool_],
    ) -> NDArray[np.int32]:
        """Give each pixel of a blend to the peak on whose slope it lies; numbers follow the peaks.

        sep draws lots for the pixels between blended objects; what they come to hold, and so
        their fits, would depend on the tile in which they are found.
        """
        smooth = self.data if self.kernel is None else convolve(self.data, self.kernel)
        peaks = np.zeros_like(segments)
        peaks[peak_y, peak_x] = np.arange(1, len(peak_y) + 1)
        alone = np.zeros(segments.max() + 1, np.int32)
        alone[segments[peak_y, peak_x]] = peaks[peak_y, peak_x]
        slopes = watershed(-smooth, peaks, connectivity=2, mask=blended)
        return np.where(blended, slopes, alone[segments]).astype(np.int32)


def _keep(
    objects: NDArray[np.void], segments: NDArray[np.int32]
) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Drop objects whose peak does not pass the threshold; the others are renumbered."""
    wanted = objects["cpeak"] >= objects["thresh"] / ISOPHOTE
    numbers = np.zeros(len(objects) + 1, np.int32)
    numbers[1:][wanted] = np.arange(1, np.count_nonzero(wanted) + 1)
    return objects[wanted], numbers[segments]
