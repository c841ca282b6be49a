"""The fitted sources of an image as light on its pixels."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surveyfit.fit.model import ellipticity, gaussian
from surveyfit.schema import PARAMETERS, Flag
from surveyfit.sky.arrow_table import to_numpy
from surveyfit.sky.box import Box
from surveyfit.sky.cutouts import SIDES
from surveyfit.sky.parts import read_columns

FAINTEST = 1e-3
"""Light below this share of the local noise is not drawn."""

NOT_DRAWN = int(Flag.NO_DATA | Flag.POSITION_DRIFT | Flag.MAX_ITERATIONS)
"""Rows whose fit says nothing of the source that was detected: it went to another one, or nowhere.
Fits with other flags are drawn, as they describe the pixels that they were made of, be they a
cosmic ray's."""

LARGEST_FWHM = SIDES[-1] / 2
"""Pixels. A larger fit is one of a part of a ridge or nebula, several of which describe the same
light, far beyond their cutouts. Drawn, they dig holes: in scorpio_atca_extended.fits 2.6 % of the
pixels would be below -5 noises, and 0.5 % are without them."""

_COLUMNS = ("flags", "local_rms", "maj_pix", *(f"fit_{name}" for name in PARAMETERS[:-1]))


class ModelSky(NamedTuple):
    """Gaussians of an image, without their levels.

    Attributes
    ----------
    params : array (n, 7)
        In the order of `schema.PARAMETERS`, in pixels of the image; ``bkg`` is zero.
    low, high : int array (n, 2)
        First pixel (x, y) on which each is drawn, and the first beyond.
    n_rows : int
        Rows of the catalogue, drawn or not.
    """

    params: NDArray[np.float64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    n_rows: int

    def light(self, box: Box) -> NDArray[np.float64]:
        """Return the sum of the Gaussians on the pixels of a box (rows, columns), image units.

        It does not depend on the box: each is drawn on the same pixels, always in the same order.
        """
        total = np.zeros(box.shape)
        first, last = np.array([box.x0, box.y0]), np.array([box.x1, box.y1])
        near = np.all((self.low < last) & (self.high > first), axis=1)
        for i in np.flatnonzero(near):
            (x0, y0), (x1, y1) = np.maximum(self.low[i], first), np.minimum(self.high[i], last)
            x, y = np.arange(x0, x1), np.arange(y0, y1)[:, None]
            stamp = Box(int(y0), int(y1), int(x0), int(x1)).within(box)
            total[stamp] += gaussian(self.params[i], x, y, np)
        return total


def read_model(parts: Iterable[Path]) -> ModelSky:
    """Read the sources of an image from its parts of the catalogue.

    Raises
    ------
    InputError
        If a part is missing or damaged.
    """
    tables = [read_columns(part, _COLUMNS) for part in parts]
    nothing = np.zeros(0)
    columns = [np.concatenate([nothing, *(to_numpy(t[name]) for t in tables)]) for name in _COLUMNS]
    flags, noise, major = columns[0].astype(np.int64), columns[1], columns[2]
    params = np.stack([*columns[3:], np.zeros(len(flags))], axis=1)
    drawn = np.isfinite(params).all(axis=1) & (flags & NOT_DRAWN == 0) & (major <= LARGEST_FWHM)
    params, reach = params[drawn], _reach(params[drawn], noise[drawn])
    low = np.ceil(params[:, :2] - reach).astype(np.int64)
    high = np.floor(params[:, :2] + reach).astype(np.int64) + 1
    return ModelSky(params, low, high, len(flags))


def _reach(params: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width and height (n, 2) of the ellipse outside of which a source is too faint to draw.

    The light falls to ``FAINTEST * noise`` where the quadratic form is q = 2 log(amp / that); the
    ellipse of that form is sqrt(q C_xx) wide, with C the covariance matrix of the light.
    """
    _, _, amp, sigma, rho, diff, _ = params.T
    q = 2 * np.log(np.maximum(np.abs(amp) / (FAINTEST * noise), 1.0))
    variance = (sigma / np.sqrt(1 - ellipticity(rho, diff) ** 2)) ** 2
    return np.sqrt(q[:, None] * variance[:, None] * np.stack([1 - diff, 1 + diff], axis=1))
