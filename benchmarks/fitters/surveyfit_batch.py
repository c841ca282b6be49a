"""surveyfit's `fit_batch`, as the pipeline calls it, and the flags and fluxes that follow."""

import numpy as np
from drawn_sources import outliers

from fitters.measured import Measured
from fitters.problem import Problem
from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.fit.derived import pixel_quantities
from surveyfit.fit.flags import fit_flags
from surveyfit.fit.noise_law import NoiseLaw, noise_law
from surveyfit.fit.result import FitResult
from surveyfit.schema import GOOD

SKY_SEED = 4
SKY_PIXELS = 1_000_000
QUANTILES = 2001
"""Of the source-free pixels: the tails of Gaussian noise are then right to 1e-3."""


def sky_law(hit: float) -> NoiseLaw:
    """Return what source-free pixels say of the noise, as the pipeline measures it."""
    rng = np.random.default_rng(SKY_SEED)
    sky = rng.normal(size=SKY_PIXELS) + outliers((SKY_PIXELS,), hit, rng)
    return noise_law(np.quantile(sky, (np.arange(QUANTILES) + 0.5) / QUANTILES))


def fit(problem: Problem, law: NoiseLaw) -> tuple[Cutouts, FitResult]:
    """Fit as the pipeline does; the gain is not known."""
    n = len(problem.start)
    cutouts = Cutouts(problem.pixels, np.ones(n), problem.start, np.full(n, np.nan))
    return cutouts, fit_batch(cutouts, FitSettings(dtype="float32"), law)


def read(_: Problem, found: tuple[Cutouts, FitResult]) -> Measured:
    """Return centre and flux with their published errors, and the rows outside GOOD."""
    cutouts, result = found
    derived = pixel_quantities(result.params, result.cov)
    return Measured(
        x0=result.params[:, 0],
        y0=result.params[:, 1],
        flux=derived["flux_int"],
        x0_err=np.sqrt(result.cov[:, 0, 0]),
        flux_err=derived["flux_int_err"],
        flagged=(fit_flags(cutouts, result) & GOOD) != 0,
    )
