"""In Cauchy noise of known scale the fit is as good as any can be.

The bound is one for many pixels, so the sources are wide. (The scatter of sources of sigma 1.8
pixels was measured 1.10 to 1.20 times their bound at every S/N.)
"""

import numpy as np
import pytest
from drawn_sources import Truth, draw_sources, rough_starts

from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.schema import PARAMETERS, FitStatus

SHAPES, DRAWS = 20, 400
SIDE = 48
SIGMA = 5.0
SNR = (15.0, 30.0)
"""Peak over the scale of the noise."""
STEP = 1e-4
"""Of the central differences; the model is smooth over a pixel."""


def bound(params: np.ndarray) -> np.ndarray:
    """Return the Cramer-Rao errors (n, 7): a pixel of Cauchy noise of scale 1 informs by 1/2.

    The derivatives are differences of a model that is written out here.
    """
    steps = STEP * np.eye(7)
    slopes = np.stack([(_model(params + s) - _model(params - s)) / (2 * STEP) for s in steps])
    information = 0.5 * np.einsum("pni,qni->npq", slopes, slopes)
    return np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2))


def _model(params: np.ndarray) -> np.ndarray:
    """Return the pixels (n, SIDE^2) of sources (n, 7)."""
    y, x = (axis.reshape(1, -1) for axis in np.mgrid[:SIDE, :SIDE])
    x0, y0, amp, sigma, rho, diff, bkg = params.T[:, :, None]
    dx, dy = x - x0, y - y0
    form = dx**2 + dy**2 + rho * dx * dy + diff * (dx**2 - dy**2)
    return amp * np.exp(-form / (2 * sigma**2)) + bkg


@pytest.fixture(scope="module")
def scatter() -> dict[str, float]:
    """Return the standard deviation of fit - truth over the bound, of each parameter."""
    rng = np.random.default_rng(80)
    shapes = draw_sources(SHAPES, rng, SIDE, SNR, (SIGMA, SIGMA))
    truth = Truth(*(np.repeat(column, DRAWS) for column in shapes))
    noise = rng.standard_cauchy((SHAPES * DRAWS, SIDE, SIDE))
    pixels = (truth.images(SIDE) + noise).astype(np.float32)
    n, start = len(pixels), rough_starts(truth, rng)
    cutouts = Cutouts(pixels, np.ones(n), start, np.full(n, np.nan))
    result = fit_batch(cutouts, FitSettings(gamma=1.0, model_error=0.0))
    assert (result.status == FitStatus.CONVERGED).all()
    pulls = (result.params - truth.params()) / np.repeat(bound(shapes.params()), DRAWS, axis=0)
    return dict(zip(PARAMETERS, pulls.std(axis=0), strict=True))


@pytest.mark.parametrize("name", ["x0", "y0", "amp", "sigma"])
def test_the_scatter_reaches_the_cramer_rao_bound(scatter: dict[str, float], name: str) -> None:
    # 8000 draws know a spread to 0.8 %.
    assert scatter[name] == pytest.approx(1.0, abs=0.03)
