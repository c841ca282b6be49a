"""What a fitter hands back, whatever its own parameters are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Floats = np.ndarray


class Measured(NamedTuple):
    """What a fitter says of n sources; errors are NaN where the tool gives none.

    Attributes
    ----------
    x0, y0, flux, x0_err, flux_err : array (n,)
    flagged : array (n,) of bool
        The tool itself says that something is wrong, or its answer is not a number.
    """

    x0: Floats
    y0: Floats
    flux: Floats
    x0_err: Floats
    flux_err: Floats
    flagged: np.ndarray


def from_params(params: Floats, covariance: Floats, flagged: np.ndarray) -> Measured:
    """Return centre and flux, with errors, of our own parameters (n, 7), covariance (n, 7, 7)."""
    _, _, amp, sigma, rho, diff, _ = params.T
    # Not an ellipse beyond: the flux is then NaN, and the row flagged.
    rest = np.where(np.abs(diff) < 2, 1 - diff**2 - rho**2 / 4, np.nan)
    flux = 2 * np.pi * amp * sigma**2 / np.sqrt(np.where(rest > 0, rest, np.nan))
    zero = np.zeros_like(amp)
    slope = np.stack([zero, zero, 1 / amp, 2 / sigma, rho / 4 / rest, diff / rest, zero], axis=1)
    relative = np.einsum("ni,nij,nj->n", slope, covariance, slope)
    return Measured(
        x0=params[:, 0],
        y0=params[:, 1],
        flux=flux,
        x0_err=_root(covariance[:, 0, 0]),
        flux_err=np.abs(flux) * _root(relative),
        flagged=flagged | ~np.isfinite(flux),
    )


def _root(variance: Floats) -> Floats:
    return np.sqrt(np.where(variance > 0, variance, np.nan))


def joined(parts: Sequence[Measured]) -> Measured:
    """Return the rows of all parts."""
    return Measured(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
