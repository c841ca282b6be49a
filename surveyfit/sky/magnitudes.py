"""Fluxes as magnitudes."""

import numpy as np
from numpy.typing import NDArray

MAG_PER_RELATIVE_FLUX = 2.5 / np.log(10)


def magnitudes(
    flux: NDArray[np.float64], flux_err: NDArray[np.float64], zeropoint: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return magnitudes and their errors, (n,) each; NaN for a flux that is not positive.

    Parameters
    ----------
    flux, flux_err : array (n,)
        In units of the image.
    zeropoint : float or None
        Magnitude of a flux of 1; without it all are NaN.
    """
    positive = np.where(flux > 0, flux, np.nan)
    zero = np.nan if zeropoint is None else zeropoint
    return zero - 2.5 * np.log10(positive), MAG_PER_RELATIVE_FLUX * flux_err / positive + 0 * zero
