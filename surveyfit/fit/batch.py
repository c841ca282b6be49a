"""Fit a batch of cutouts: from image units to the units of the fit, and back.

The cutouts go through the compiled code in chunks of one fixed size, the last one filled up with
empty cutouts, so that each side of cutout is compiled once.
"""

from math import ceil
from typing import NamedTuple

import jax
import numpy as np

from surveyfit.errors import InputError
from surveyfit.fit.covariance import LogLaw, inverse, log_law, sandwich
from surveyfit.fit.model import pixel_scale
from surveyfit.fit.noise_law import NoiseLaw
from surveyfit.fit.noise_law import noise_law as tabulate
from surveyfit.fit.quality import quality
from surveyfit.fit.solve import Recipe, Solution, Source, fit_chunk
from surveyfit.fit.units import (
    Units,
    covariance_in_image_units,
    params_in_image_units,
    to_source,
)
from surveyfit.schema import FitStatus

GPU_BATCH = 1024
"""Cutouts in step with each other, and in one call, on a GPU, which a CPU's blocks leave idle."""

FAILED = (FitStatus.NOT_FINITE, FitStatus.NO_DATA)
"""Rows of these statuses hold no numbers."""


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
    """

    pixels: np.ndarray
    noise: np.ndarray
    start: np.ndarray
    gain: np.ndarray


class FitSettings(NamedTuple):
    """How to fit.

    Attributes
    ----------
    gamma : float
        Scale of the Cauchy likelihood, in local noises. At 2.4 Gaussian noise costs 5 % in
        variance against least squares; smaller resists more outliers.
    model_error : float
        What an elliptical Gaussian cannot describe of a real source, as a fraction of its peak.
    dtype : str
        ``float32`` or ``float64``.
    max_iterations : int
        Newton steps of one source, over all refreshes of its scale.
    batch : int
        Cutouts in one compiled call on a CPU; a tile's last call is filled up with empty ones.
    block : int
        Cutouts fitted in step with each other on a CPU: few enough for its cache.
    """

    gamma: float = 2.4
    model_error: float = 0.05
    dtype: str = "float32"
    max_iterations: int = 50
    batch: int = 32
    block: int = 8


class FitResult(NamedTuple):
    """The fits, one row a cutout, in image units; NaN in the rows of a failed status.

    Attributes
    ----------
    params : array (n, 7)
        Linear, in pixels from the cutout's first pixel.
    cov, cov_crb : array (n, 7, 7)
        Published covariance, and the inverse of the Hessian (NaN where not positive definite).
    gamma : array (n,)
        Scale of the likelihood for a pixel of the local noise.
    nll : array (n,)
        Sum of log(1 + z^2) + log(pi gamma_i) over the used pixels.
    gof, resid_max, mismatch, n_pix, n_outlier : array (n,)
        See `surveyfit.fit.quality`.
    grad_norm : array (n,)
        Distance from the optimum at the end, in errors of ``cov_crb``.
    hess_cond : array (n,)
        Condition number of the Hessian scaled to unit diagonal.
    n_iter, status : array (n,) of int32
        Newton steps; `surveyfit.schema.FitStatus`.
    """

    params: np.ndarray
    cov: np.ndarray
    cov_crb: np.ndarray
    gamma: np.ndarray
    nll: np.ndarray
    gof: np.ndarray
    resid_max: np.ndarray
    grad_norm: np.ndarray
    hess_cond: np.ndarray
    mismatch: np.ndarray
    n_pix: np.ndarray
    n_outlier: np.ndarray
    n_iter: np.ndarray
    status: np.ndarray


def fit_batch(
    cutouts: Cutouts, settings: FitSettings | None = None, noise_law: NoiseLaw | None = None
) -> FitResult:
    """Fit every cutout; row i of the result belongs to cutout i.

    Parameters
    ----------
    cutouts : Cutouts
    settings : FitSettings, optional
    noise_law : NoiseLaw, optional
        What the image's noise does to the loss; Gaussian noise if left out.

    Raises
    ------
    InputError
        If arrays do not belong together, or a setting cannot be used.
    """
    settings = settings or FitSettings()
    check(cutouts, settings)
    table = log_law(tabulate() if noise_law is None else noise_law, settings.dtype)
    _, size = _block_and_size(settings)
    # At least one chunk, so that a batch of no cutouts has the right columns.
    starts = range(0, max(len(cutouts.pixels), 1), size)
    parts = [
        _fit(Cutouts(*(column[first : first + size] for column in cutouts)), settings, table)
        for first in starts
    ]
    return FitResult(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def check(cutouts: Cutouts, settings: FitSettings) -> None:
    """Raise `InputError` if the arrays do not belong together or a setting cannot be used."""
    shape = np.shape(cutouts.pixels)
    if len(shape) != 3 or shape[1] != shape[2]:
        raise InputError(f"pixels of shape {shape}", "give square cutouts (n, side, side)")
    n = shape[0]
    wanted = {"noise": [(n,), shape], "start": [(n, 7)], "gain": [(n,)]}
    for name, shapes in wanted.items():
        found = np.shape(getattr(cutouts, name))
        if found not in shapes:
            remedy = f"give {' or '.join(map(str, shapes))} for pixels of shape {shape}"
            raise InputError(f"{name} of shape {found}", remedy)
    if settings.dtype not in ("float32", "float64"):
        raise InputError(f"dtype {settings.dtype!r}", "use 'float32' or 'float64'")
    for name in ("gamma", "max_iterations", "batch", "block"):
        if not getattr(settings, name) > 0:
            raise InputError(f"{name} = {getattr(settings, name)}", "give a positive number")
    if not settings.model_error >= 0:
        raise InputError(f"model_error = {settings.model_error}", "give zero or a fraction")


def _fit(chunk: Cutouts, settings: FitSettings, table: LogLaw) -> FitResult:
    """Fit at most one chunk of cutouts."""
    source, units = to_source(*chunk, settings.dtype)
    with jax.enable_x64(settings.dtype == "float64"):
        block, size = _block_and_size(settings)
        solution = jax.device_get(fit_chunk(_filled(source, size), _recipe(settings), table, block))
    solution = Solution(*(np.asarray(a[: len(units.unit)], np.float64) for a in solution))
    return _finish(source, units, solution, settings)


def _block_and_size(settings: FitSettings) -> tuple[int, int]:
    """Return the cutouts in step with each other, and in one call (a multiple of it)."""
    if jax.default_backend() != "cpu":
        return GPU_BATCH, GPU_BATCH
    return settings.block, settings.block * ceil(settings.batch / settings.block)


def _recipe(settings: FitSettings) -> Recipe:
    """Return the settings as arrays: other values of the same type need no other compile."""
    gamma, model_error = (
        np.asarray(value, settings.dtype) for value in (settings.gamma, settings.model_error)
    )
    return Recipe(gamma, model_error, np.asarray(settings.max_iterations, np.int32))


def _filled(source: Source, size: int) -> Source:
    """Return ``size`` sources, the last of them without a used pixel: they end at once."""

    def fill(column: np.ndarray) -> np.ndarray:
        return np.pad(column, [(0, size - len(column))] + [(0, 0)] * (column.ndim - 1))

    return Source(*(fill(column) for column in source))


def _finish(source: Source, units: Units, solution: Solution, settings: FitSettings) -> FitResult:
    """Turn the solutions into covariances, quality numbers and image units."""
    crb, condition = inverse(solution.hessian)
    seen = quality(source, solution, settings.gamma, settings.model_error)
    scale = pixel_scale(source.local_noise, solution.scale_amp, settings.model_error)
    result = FitResult(
        params=params_in_image_units(solution.params, units),
        cov=covariance_in_image_units(sandwich(solution.curvature, solution.score_variance), units),
        cov_crb=covariance_in_image_units(crb, units),
        gamma=settings.gamma * scale * units.unit,
        nll=solution.loss + seen.log_scale + seen.n_pix * np.log(np.pi * units.unit),
        gof=seen.gof,
        resid_max=seen.resid_max,
        grad_norm=solution.distance,
        hess_cond=condition,
        mismatch=seen.mismatch,
        n_pix=seen.n_pix,
        n_outlier=seen.n_outlier,
        n_iter=solution.n_iter.astype(np.int32),
        status=solution.status.astype(np.int32),
    )
    return _without_failed_numbers(result)


def _without_failed_numbers(result: FitResult) -> FitResult:
    """Return the result with NaN for every number of the rows that failed."""
    failed = np.isin(result.status, FAILED)

    def blank(column: np.ndarray) -> np.ndarray:
        if np.issubdtype(column.dtype, np.integer):
            return column
        return np.where(failed.reshape(-1, *[1] * (column.ndim - 1)), np.nan, column)

    return FitResult(*(blank(column) for column in result))
