"""Moffat profiles are measured as well as least squares measures them, outliers or not.

The same functions as benchmarks/point_spread.py, on fewer stars.
"""

import numpy as np
import pytest
from point_spread import BETAS, draw_stars, least_squares_fits, measure, noiseless_error

from surveyfit.fit.cutouts import FitSettings

N = 48
DEFAULT = FitSettings()


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("snr", [10.0, 100.0, 3000.0])
def test_flux_and_position_are_those_of_least_squares(beta: float, snr: float) -> None:
    stars = draw_stars(beta, snr, N, seed=round(100 * beta + snr))
    reference = least_squares_fits(stars)
    for pixels in (stars.clean, stars.spoilt):
        found = measure(stars, pixels, reference, DEFAULT)
        # Measured at worst 1.7 % (beta 2.5).
        assert found.excess <= 0.03
        # The mean of 48 stars of S/N 10 is known to 0.01 pixel on either axis.
        assert found.centre <= 0.02 + 2.5 * 0.1 / np.sqrt(N) * (10 / snr)
    assert noiseless_error(stars, DEFAULT) <= 0.02


def test_without_the_model_error_the_core_is_rejected_or_the_star_flagged() -> None:
    stars = draw_stars(2.5, 100.0, N, seed=350)
    found = measure(stars, stars.clean, least_squares_fits(stars), FitSettings(model_error=0.0))
    # The negative control: measured +17 %.
    assert found.excess > 0.03
