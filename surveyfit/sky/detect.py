"""Detection: which pixels belong to which source, by sep."""

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.ndimage import label

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

SUB_OBJECTS = 1024
MOST_SUB_OBJECTS = 262144
"""Room for the parts of one island: sep's own start, and the most that we allow it."""

ACTIVE_PIXELS_MIN = 300_000


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
    objects, segments = _extract(data, sigma.astype(np.float32), mask, ISOPHOTE * thresh, kernel)
    objects, segments = _keep(objects["cpeak"] >= objects["thresh"] / ISOPHOTE, objects, segments)
    islands, _ = label(segments > 0, structure=np.ones((3, 3)))
    return Detections(objects, segments, islands[objects["ypeak"], objects["xpeak"]])


def _extract(
    data: NDArray[np.float32],
    sigma: NDArray[np.float32],
    mask: NDArray[np.bool_],
    thresh: float,
    kernel: NDArray[np.float32] | None,
) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Run sep, with more room for the parts of an island where it asks for it."""
    sep.set_extract_pixstack(max(ACTIVE_PIXELS_MIN, data.size))
    sub_objects = SUB_OBJECTS
    while True:
        sep.set_sub_object_limit(sub_objects)
        try:
            return sep.extract(
                data,
                thresh,
                err=sigma,
                mask=mask,
                minarea=MIN_PIXELS,
                filter_kernel=kernel,
                filter_type="conv",
                deblend_nthresh=DEBLEND_LEVELS,
                deblend_cont=DEBLEND_CONTRAST,
                segmentation_map=True,
            )
        except Exception as error:
            # sep raises a bare Exception; only this one is cured by more room.
            if "sub-object" not in str(error) or sub_objects >= MOST_SUB_OBJECTS:
                raise
            sub_objects *= 8


def _keep(
    wanted: NDArray[np.bool_], objects: NDArray[np.void], segments: NDArray[np.int32]
) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Drop objects and their segments; the others are renumbered."""
    numbers = np.zeros(len(objects) + 1, np.int32)
    numbers[1:][wanted] = np.arange(1, np.count_nonzero(wanted) + 1)
    return objects[wanted], numbers[segments]
