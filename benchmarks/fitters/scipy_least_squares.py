"""``scipy.optimize.least_squares`` with the Cauchy loss, one cutout a call."""

from typing import Any

import numpy as np
from likelihood import GAMMA, gaussian, grid
from scipy.optimize import least_squares

from fitters.measured import Floats, Measured, from_params
from fitters.problem import Problem


def fit(problem: Problem) -> Measured:
    """Fit with the options as they come: Jacobian by finite differences, no scaling."""
    return _fit_each(problem, jac="2-point", x_scale=1.0)


def fit_tuned(problem: Problem) -> Measured:
    """Fit with the Jacobian written out, and parameters scaled by its columns."""
    return _fit_each(problem, jac=_jacobian, x_scale="jac")


def _fit_each(problem: Problem, **options: Any) -> Measured:
    """Errors are those of the inverse of J^T J at the end, which scipy has weighted by the loss."""
    pixels = problem.pixels.astype(float)
    x, y = grid(pixels[0], np)
    rows = []
    for start, data in zip(problem.start, pixels, strict=True):
        # Fits that run away overflow.
        with np.errstate(over="ignore"):
            found = least_squares(
                _residuals, start, args=(x, y, data), loss="cauchy", f_scale=GAMMA, **options
            )
        rows.append((found.x, _inverse(found.jac.T @ found.jac), not found.success))
    params, covariance, flagged = (np.array(column) for column in zip(*rows, strict=True))
    return from_params(params, covariance, flagged)


def _residuals(params: Floats, x: Floats, y: Floats, data: Floats) -> Floats:
    return (gaussian(params, x, y, np) - data).ravel()


def _jacobian(params: Floats, x: Floats, y: Floats, _: Floats) -> Floats:
    """Return the derivatives (pixels, 7) of the model."""
    x0, y0, amp, sigma, rho, diff, _ = params
    dx, dy = x - x0, y - y0
    form = dx**2 + dy**2 + rho * dx * dy + diff * (dx**2 - dy**2)
    shape = np.exp(-form / (2 * sigma**2))
    bell = amp * shape / sigma**2
    columns = (
        bell * ((1 + diff) * dx + rho * dy / 2),
        bell * ((1 - diff) * dy + rho * dx / 2),
        shape,
        bell * form / sigma,
        -bell * dx * dy / 2,
        -bell * (dx**2 - dy**2) / 2,
        np.ones_like(shape),
    )
    return np.stack([column.ravel() for column in columns], axis=1)


def _inverse(matrix: Floats) -> Floats:
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full_like(matrix, np.nan)
