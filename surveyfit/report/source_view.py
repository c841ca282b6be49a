"""One source of a run with everything that a picture of it shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveyfit.fit.model import gaussian, pixel_scale
from surveyfit.schema import PARAMETERS
from surveyfit.sky.box import Box
from surveyfit.sky.image import Image

Row = dict[str, Any]
"""A row of the catalogue: the value of each column of `surveyfit.schema.COLUMNS` by its name."""


@dataclass(frozen=True)
class SourceView:
    """A source, the pixels that were fitted, and what lies around it.

    Attributes
    ----------
    row : dict
        Its row of the catalogue.
    image : Image
    corner : (int, int)
        Column and row, in the image, of the first pixel of the arrays below.
    peak : (int, int)
        Column and row of the peak pixel in the image.
    data : float32 array (side, side)
        Image units. The variation of the background map across the cutout has been removed, its
        level at the peak has not. NaN outside of the image, and where ``mask`` is set if
        ``note`` says why.
    mask : bool array (side, side)
        True where the fit did not use a pixel: bad, saturated, outside, or of a neighbour.
    noise : float64 array (side, side)
        1-sigma noise of each pixel.
    model_error : float
        What a Gaussian may miss, as a share of the peak: widens the likelihood.
    jacobian : array (2, 2)
        Arcsec a pixel on the sky at the source: rows east and north, columns x and y; NaN where
        not known.
    neighbours : tuple of Row
        Other rows of the catalogue in this cutout: source_id, name, x, y, maj_pix, min_pix,
        pa_pix, flags.
    note : str
        Why pixels that were not used are not shown; empty where they are.
    """

    row: Row
    image: Image
    corner: tuple[int, int]
    peak: tuple[int, int]
    data: NDArray[np.float32]
    mask: NDArray[np.bool_]
    noise: NDArray[np.float64]
    model_error: float
    jacobian: NDArray[np.float64]
    neighbours: tuple[Row, ...]
    note: str = ""

    @property
    def side(self) -> int:
        """Pixels along an edge of the cutout."""
        return len(self.data)

    @property
    def box(self) -> Box:
        """Where the cutout lies in the image; it may reach beyond."""
        x, y = self.corner
        return Box(y, y + self.side, x, x + self.side)

    @property
    def unit(self) -> str:
        """VOUnit of the pixels; empty if unknown."""
        return str(self.row["flux_unit"])

    @property
    def params(self) -> NDArray[np.float64]:
        """The fitted parameters (7,), in image pixels and units; NaN where the fit failed."""
        return np.array([self.row[f"fit_{name}"] for name in PARAMETERS], float)

    @property
    def model(self) -> NDArray[np.float64]:
        """The fitted model with its level (side, side), image units; NaN where the fit failed."""
        x, y = np.arange(self.box.x0, self.box.x1), np.arange(self.box.y0, self.box.y1)
        return np.asarray(gaussian(self.params, x, y[:, None], np))

    @property
    def residual(self) -> NDArray[np.float64]:
        """Data minus model (side, side), image units."""
        return self.data - self.model

    @property
    def weights(self) -> NDArray[np.float64]:
        """Share of its weight that the likelihood left to each pixel; 0 where it was not used.

        For a Cauchy law of width g the score of a residual r is r / (1 + (r / g)^2) times a
        constant: a least-squares fit with these weights has the same optimum (iteratively
        reweighted least squares). g is the column ``gamma`` at the noise of the pixel.
        """
        amp, local = self.row["fit_amp"], self.row["local_rms"]
        widening = pixel_scale(self.noise, amp, self.model_error) / pixel_scale(
            local, amp, self.model_error
        )
        z = self.residual / (self.row["gamma"] * widening)
        return np.where(self.mask, 0.0, 1 / (1 + z * z))
