"""What goes into a batch of fits: cutouts in image units, and how to fit them."""

from typing import NamedTuple

import numpy as np

from surveyfit.errors import InputError
from surveyfit.fit.loss import LOSSES


class Cutouts(NamedTuple):
    """Square cutouts of one size, one source each, in image units.

    Attributes
    ----------
    pixels : array (n, side, side)
        NaN where not to be used.
    noise : array (n,) or (n, side, side)
        1-sigma noise of a pixel; a pixel without a positive noise is not used.
    start : array (n, 7)
        Linear parameters to start from, in pixels from the cutout's first pixel.
    gain : array (n,)
        Electrons per image unit; NaN where unknown: the source's photons then add no noise.
    fixed : array (n, 7) of bool, optional
        Parameters that stay where they start; their errors are zero.
    """

    pixels: np.ndarray
    noise: np.ndarray
    start: np.ndarray
    gain: np.ndarray
    fixed: np.ndarray | None = None

    def rows(self, which: np.ndarray | slice) -> "Cutouts":
        """Return some of the cutouts."""
        fixed = None if self.fixed is None else self.fixed[which]
        return Cutouts(
            self.pixels[which], self.noise[which], self.start[which], self.gain[which], fixed
        )


class FitSettings(NamedTuple):
    """How to fit.

    Attributes
    ----------
    gamma : float
        Scale of the likelihood, in local noises. At 2.4 Gaussian noise costs a Cauchy 5 % in
        variance against least squares; smaller resists more outliers.
    fit_gamma : bool
        Fit gamma to each source, from that value on.
    model_error : float
        What an elliptical Gaussian cannot describe of a real source, as a fraction of its peak.
    loss : str
        A name in `surveyfit.fit.loss.LOSSES`.
    fisher : str
        What the Cramer-Rao errors come from: the ``observed`` Hessian, or the ``expected`` one.
    dtype : str
        ``float32`` or ``float64``.
    max_iterations : int
        Newton steps of one source, over all refreshes of its scale.
    slots : int
        Fits in step with each other; 0 for as many as the device likes.
    """

    gamma: float = 2.4
    fit_gamma: bool = False
    model_error: float = 0.05
    loss: str = "cauchy"
    fisher: str = "observed"
    dtype: str = "float32"
    max_iterations: int = 50
    slots: int = 0


def check(cutouts: Cutouts, settings: FitSettings) -> None:
    """Raise `InputError` if the arrays do not belong together or a setting cannot be used."""
    shape = np.shape(cutouts.pixels)
    if len(shape) != 3 or shape[1] != shape[2]:
        raise InputError(f"pixels of shape {shape}", "give square cutouts (n, side, side)")
    n = shape[0]
    wanted = {"noise": [(n,), shape], "start": [(n, 7)], "gain": [(n,)], "fixed": [(n, 7), ()]}
    for name, shapes in wanted.items():
        found = np.shape(getattr(cutouts, name))
        if found not in shapes:
            remedy = (
                f"give {' or '.join(map(str, filter(None, shapes)))} for pixels of shape {shape}"
            )
            raise InputError(f"{name} of shape {found}", remedy)
    choices = {
        "dtype": ("float32", "float64"),
        "loss": tuple(LOSSES),
        "fisher": ("observed", "expected"),
    }
    for name, values in choices.items():
        if getattr(settings, name) not in values:
            remedy = f"use {' or '.join(map(repr, values))}"
            raise InputError(f"{name} {getattr(settings, name)!r}", remedy)
    for name in ("gamma", "max_iterations"):
        if not getattr(settings, name) > 0:
            raise InputError(f"{name} = {getattr(settings, name)}", "give a positive number")
    for name in ("model_error", "slots"):
        if not getattr(settings, name) >= 0:
            raise InputError(
                f"{name} = {getattr(settings, name)}", "give zero or a positive number"
            )
