"""Simulated images that overlap, written by astropy: nothing of surveyfit in them."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

SIDE = 160
"""Pixels of 1 arcsec a side of an image."""

SIGMA = 1.7
"""Width of a star, pixels."""


PEAK = 300.0
"""Of a star where one unit is magnitude 25."""

MAGNITUDE = 25 - 2.5 * np.log10(2 * np.pi * SIGMA**2 * PEAK)
"""Of every star: the integral of a Gaussian."""


def field() -> np.ndarray:
    """Return ra, dec of the stars, (n, 2), on a jittered grid so that none are close."""
    rng = np.random.default_rng(5)
    nodes = np.stack(np.meshgrid(np.arange(-180, 181, 30), np.arange(-180, 181, 30)), -1)
    east, north = (nodes.reshape(-1, 2) + rng.uniform(-8, 8, (nodes.size // 2, 2))).T / 3600
    return np.stack([(east / np.cos(np.radians(30))) % 360, 30 + north], axis=1)


def wcs_at(ra: float, dec: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(SIDE + 1) / 2] * 2
    wcs.wcs.cdelt = [-1 / 3600, 1 / 3600]
    return wcs


def write_image(
    path: Path,
    east: float,
    noise: float,
    *,
    north: float = 0.0,
    name: str = "r",
    zeropoint: float = 25.0,
    hole: tuple[slice, slice] | None = None,
    placed: bool = True,
) -> None:
    """Write an image of the field.

    Parameters
    ----------
    path : Path
    east, north : float
        Arcsec from ra 0, dec 30 to its centre.
    noise : float
        Of a pixel, for a zero point of 25.
    name : str
        Of the filter.
    zeropoint : float
        The pixels are in units of which one is this magnitude.
    hole : slices of rows and columns, optional
        Pixels that are NaN.
    placed : bool
        Whether the header tells where it lies.
    """
    wcs = wcs_at(east / 3600 / np.cos(np.radians(30)), 30 + north / 3600)
    y, x = np.mgrid[:SIDE, :SIDE]
    # The name is no part of the seed: an image is the same whatever it is called.
    rng = np.random.default_rng([int(10 * noise), abs(int(east)), abs(int(north))])
    data = rng.normal(0, noise, (SIDE, SIDE))
    for ra, dec in field():
        at_x, at_y = wcs.all_world2pix(ra, dec, 0)
        if -10 < at_x < SIDE + 10 and -10 < at_y < SIDE + 10:
            data += PEAK * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * SIGMA**2))
    data *= 10 ** (0.4 * (zeropoint - 25))
    if hole is not None:
        data[hole] = np.nan
    header = wcs.to_header() if placed else fits.Header()
    header.update({"FILTER": name, "MAGZERO": zeropoint})
    fits.writeto(path, data.astype(np.float32), header)
