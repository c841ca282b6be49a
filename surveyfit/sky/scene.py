"""A piece of image as sep takes it: objects found above a threshold, or measured in segments."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

MIN_PIXELS = 3
"""Pixels within the isophote that make a source."""

DEBLEND_LEVELS = 32

ACTIVE_PIXELS = 30_000
"""sep's room for the pixels of unfinished objects, at first. It is filled at every call, so that
one entry for each pixel of a tile takes as long as the search itself."""

SUB_OBJECTS = 1024
MOST_SUB_OBJECTS = 262144
"""sep's room for the parts of one island: its own start, and the most that we allow it."""

MORE = 8
"""How many times more room there is at the next try."""

Slices = tuple[slice, slice]
Found = tuple[NDArray[np.void], NDArray[np.int32]]
"""The objects (n,) of ``sep.extract`` and their segments (height, width): i + 1 for object i."""


@dataclass(frozen=True)
class Scene:
    """A piece of image as sep takes it.

    Attributes
    ----------
    data, sigma : float32 array (height, width)
        Background-subtracted pixels, and the noise that thresholds are multiples of.
    mask : bool array (height, width)
    profile : float32 array or None
        Of the detection filter along an axis; None for no filter.
    """

    data: NDArray[np.float32]
    sigma: NDArray[np.float32]
    mask: NDArray[np.bool_]
    profile: NDArray[np.float32] | None

    @property
    def reach(self) -> int:
        """Pixels on either side from which the filter takes something."""
        return 0 if self.profile is None else len(self.profile) // 2

    @cached_property
    def smooth(self) -> NDArray[np.float32]:
        """The filtered image."""
        if self.profile is None:
            return self.data
        return np.asarray(convolve1d(convolve1d(self.data, self.profile, axis=0), self.profile))

    def window(self, at: Slices) -> "Scene":
        """Return a copy of a part, since sep wants contiguous arrays."""
        return Scene(
            self.data[at].copy(), self.sigma[at].copy(), self.mask[at].copy(), self.profile
        )

    def find(self, thresh: float, contrast: float, *, clean: bool) -> Found:
        """Find objects above a threshold in sigmas.

        Cleaning drops what may be the wing of a neighbour. It judges by moments that hold the
        lots drawn for pixels of blends, so bright peaks, which cannot be wings, go without it.
        """
        options = {"deblend_cont": contrast, "clean": clean, "segmentation_map": True}
        return self._extract(thresh, ACTIVE_PIXELS, options)

    def measure(self, thresh: float, segments: NDArray[np.int32]) -> Found:
        """Measure the objects of given segments, numbered from 1, of two pixels and more.

        Of a segment of one pixel sep 1.4 does not find the end.
        """
        return self._extract(thresh, self.data.size, {"segmentation_map": segments})

    def _extract(self, thresh: float, active_pixels: int, options: dict[str, Any]) -> Found:
        """Run sep, with more room where it asks for it."""
        kernel = None if self.profile is None else np.outer(self.profile, self.profile)
        sub_objects = SUB_OBJECTS
        while True:
            sep.set_extract_pixstack(active_pixels)
            sep.set_sub_object_limit(sub_objects)
            try:
                return sep.extract(
                    self.data,
                    thresh,
                    err=self.sigma,
                    mask=self.mask,
                    minarea=MIN_PIXELS,
                    filter_kernel=kernel,
                    filter_type="conv",
                    deblend_nthresh=DEBLEND_LEVELS,
                    **options,
                )
            except Exception as error:
                # sep raises a bare Exception; only these two are cured by more room.
                if "active object pixels" in str(error) and active_pixels <= self.data.size:
                    active_pixels *= MORE
                elif "sub-object" in str(error) and sub_objects < MOST_SUB_OBJECTS:
                    sub_objects *= MORE
                else:
                    raise
