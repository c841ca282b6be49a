"""The piece of sky under an image: its corners, and a circle around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surveyfit.sky.world import World

SAMPLES = 17
"""Positions along either axis from which the circle is found, the outer edges among them."""

WIDER = 1.05
"""The circle is made wider by this factor, since edges may bulge between the samples."""

HALF_SKY = 1e-6
"""Length of a mean of unit vectors below which they point everywhere."""


@dataclass(frozen=True)
class Footprint:
    """Where an image lies; ICRS, degrees.

    Attributes
    ----------
    ra, dec : float
        Centre of the circle: the middle of the image as the mean of directions.
    radius : float
        Of a circle that holds the whole image; 180 is the whole sky.
    corners : tuple of float
        ra, dec of the outer corners of the pixels (0, 0), (nx - 1, 0), (nx - 1, ny - 1),
        (0, ny - 1); NaN where the projection does not reach.
    """

    ra: float
    dec: float
    radius: float
    corners: tuple[float, ...]

    @property
    def vector(self) -> NDArray[np.float64]:
        """Unit vector (3,) of the centre."""
        return unit_vectors(np.array([self.ra]), np.array([self.dec]))[0]


def footprint_of(world: World, shape: tuple[int, int]) -> Footprint | None:
    """Return the footprint of an image of this shape (ny, nx); None without sky positions."""
    if not world.ok:
        return None
    right, top = shape[1] - 0.5, shape[0] - 0.5
    x, y = np.meshgrid(np.linspace(-0.5, right, SAMPLES), np.linspace(-0.5, top, SAMPLES))
    where = world.positions(x.ravel(), y.ravel())
    vectors = unit_vectors(where.ra, where.dec)
    vectors = vectors[np.isfinite(vectors).all(axis=1)]
    if not len(vectors):
        return None
    mean = vectors.mean(axis=0)
    length = float(np.linalg.norm(mean))
    radius = 180.0
    if length > HALF_SKY:
        nearest = float(np.clip((vectors @ mean).min() / length, -1, 1))
        radius = min(180.0, WIDER * float(np.degrees(np.arccos(nearest))))
    corners = world.positions(
        np.array([-0.5, right, right, -0.5]), np.array([-0.5, -0.5, top, top])
    )
    return Footprint(
        ra=float(np.degrees(np.arctan2(mean[1], mean[0])) % 360 % 360),  # -1e-15 % 360 is 360
        dec=float(np.degrees(np.arctan2(mean[2], np.hypot(mean[0], mean[1])))),
        radius=radius,
        corners=tuple(np.stack([corners.ra, corners.dec], axis=1).ravel().tolist()),
    )


def unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors (n, 3) of positions in degrees, each (n,)."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
