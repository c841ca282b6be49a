"""The filter that makes faint sources stand out before they are thresholded."""

import numpy as np
from numpy.typing import NDArray

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))


def detection_profile(fwhm: float) -> NDArray[np.float32]:
    """Gaussian of unit sum on an odd number of pixels, cut off beyond 2.5 standard deviations.

    >>> detection_profile(2.5).shape
    (7,)
    """
    sigma = fwhm * FWHM_TO_SIGMA
    reach = int(np.ceil(2.5 * sigma))
    offsets = np.arange(-reach, reach + 1)
    profile = np.exp(-0.5 * (offsets / sigma) ** 2)
    return (profile / profile.sum()).astype(np.float32)
