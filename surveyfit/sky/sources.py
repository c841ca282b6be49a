"""What is known of sources before they are fitted: their pixels, and where the fit starts."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sources:
    """What is known of n sources before they are fitted; every field is an array (n,).

    Attributes
    ----------
    peak_x, peak_y : pixel of the largest value; it names the source and decides its owner
    corner_x, corner_y : image pixel that is the first of the cutout
    x, y, amp, sigma, rho, diff, bkg : start of the fit; x, y from the cutout's first pixel
    local_rms, local_bkg : noise and background of the image at the peak, image units
    aperture : sum in a circle minus background, image units x pixels
    island_x, island_y : peak pixel of the brightest source of the island
    n_components : sources in the island
    sky_flags : bits of `schema.Flag` that are known already
    """

    peak_x: NDArray[np.float64]
    peak_y: NDArray[np.float64]
    corner_x: NDArray[np.float64]
    corner_y: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    amp: NDArray[np.float64]
    sigma: NDArray[np.float64]
    rho: NDArray[np.float64]
    diff: NDArray[np.float64]
    bkg: NDArray[np.float64]
    local_rms: NDArray[np.float64]
    local_bkg: NDArray[np.float64]
    aperture: NDArray[np.float64]
    island_x: NDArray[np.float64]
    island_y: NDArray[np.float64]
    n_components: NDArray[np.float64]
    sky_flags: NDArray[np.float64]

    @property
    def start(self) -> NDArray[np.float64]:
        """Start parameters (n, 7) in the order of `schema.PARAMETERS`."""
        parts = (self.x, self.y, self.amp, self.sigma, self.rho, self.diff, self.bkg)
        return np.stack(parts, axis=1)

    def to_array(self) -> NDArray[np.float64]:
        """All fields as one array (n, number of fields)."""
        return np.stack([getattr(self, name) for name in SOURCE_FIELDS], axis=1)

    @classmethod
    def from_array(cls, values: NDArray[np.float64]) -> "Sources":
        """Inverse of `to_array`."""
        return cls(*values.T)


SOURCE_FIELDS = tuple(f.name for f in fields(Sources))


@dataclass(frozen=True)
class CutoutGroup:
    """Cutouts of one side.

    Attributes
    ----------
    pixels : float32 array (n, side, side)
        Image units, NaN where a pixel is not to be used. The variation of the background map
        across the cutout is removed; its level at the peak pixel is left in.
    noise : float32 array (n, side, side) or None
        1-sigma noise of each pixel, where the user gave a noise image.
    sources : Sources
    """

    side: int
    pixels: NDArray[np.float32]
    noise: NDArray[np.float32] | None
    sources: Sources
