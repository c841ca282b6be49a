"""How right a fitter is: wrong answers, those that nothing warns of, and errors that are true."""

import numpy as np
from drawn_sources import Truth

from fitters.measured import Measured

FAR = 1.5
"""Pixels: a centre that is further off is wrong."""
OFF = 0.5
"""A flux that is off by more than this share is wrong."""
SIGMA_PER_MEDIAN = 1.4826
"""Standard deviation over the median of |x| for Gaussian x."""


def accuracy(truth: Truth, measured: Measured) -> tuple[str, ...]:
    """Return wrong, wrong and not flagged, right but flagged, flux error, and both spreads."""
    n = len(measured.flux)
    flux, x0, y0 = truth.flux()[:n], truth.x0[:n], truth.y0[:n]
    share = np.abs(measured.flux / flux - 1)
    # What is not a number is not near either.
    right = (np.hypot(measured.x0 - x0, measured.y0 - y0) <= FAR) & (share <= OFF)
    return (
        f"{np.mean(~right):.2%}",
        f"{np.mean(~right & ~measured.flagged):.2%}",
        f"{np.mean(measured.flagged[right]):.2%}",
        f"{np.median(share[right]):.2%}",
        _spread((measured.x0 - x0)[right], measured.x0_err[right]),
        _spread((measured.flux - flux)[right], measured.flux_err[right]),
    )


def _spread(off: np.ndarray, error: np.ndarray) -> str:
    known = error > 0
    if not known.any():
        return "no errors"
    pull = off[known] / error[known]
    return f"{SIGMA_PER_MEDIAN * np.median(np.abs(pull - np.median(pull))):.2f}"
