"""Fit a batch of cutouts: from image units to the units of the fit, and back.

The cutouts go through the compiled code in chunks of one fixed size, the last one filled up, so
that each side of cutout is compiled once.
"""

import warnings
from typing import NamedTuple

import jax
import numpy as np

from surveyfit.errors import HalvedWarning
from surveyfit.fit.covariance import Covariances, covariances
from surveyfit.fit.cutouts import Cutouts, FitSettings, check
from surveyfit.fit.information import Noise, noise_of
from surveyfit.fit.loss import LOSSES, Loss, density
from surveyfit.fit.noise_law import NoiseLaw
from surveyfit.fit.noise_law import noise_law as tabulate
from surveyfit.fit.result import FitResult, without_failed_numbers
from surveyfit.fit.second_start import looks_wrong, second_start, with_better_rows
from surveyfit.fit.solve import Solution, fit_chunk
from surveyfit.fit.source import Likelihood, Recipe, Source
from surveyfit.fit.units import (
    Units,
    covariance_in_image_units,
    params_in_image_units,
    to_source,
)

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
"""How XLA begins what it says of memory that it does not get."""


class Chunk(NamedTuple):
    """How many pixels are fitted in step, and how many fits a slot is given in one call."""

    pixels: int
    queue: int


ON_CPU = Chunk(pixels=16 * 32 * 32, queue=48)
"""Their maps fit the cache of a core; the last fits of a call, which run alone, cost little."""

ON_GPU = Chunk(pixels=2048 * 32 * 32, queue=4)
"""Enough to fill it; a call of 8192 cutouts, since small tiles are filled up to one."""


def fit_batch(
    cutouts: Cutouts,
    settings: FitSettings | None = None,
    noise_law: NoiseLaw | None = None,
    correlation: np.ndarray | None = None,
) -> FitResult:
    """Fit every cutout; row i of the result belongs to cutout i.

    Parameters
    ----------
    cutouts : Cutouts
    settings : FitSettings, optional
    noise_law : NoiseLaw, optional
        What the image's noise does to the loss; Gaussian noise if left out.
    correlation : array (2 L + 1, 2 L + 1), optional
        Correlation of the noise of two pixels at each lag [dy + L, dx + L]; independent pixels if
        left out.

    Raises
    ------
    InputError
        If arrays do not belong together, or a setting cannot be used.
    """
    settings = settings or FitSettings()
    check(cutouts, settings)
    law = tabulate(loss=LOSSES[settings.loss]) if noise_law is None else noise_law
    noise = noise_of(law, correlation, cutouts.pixels.shape[-1], settings.dtype)
    first = _fit(cutouts, settings, noise)
    again = np.flatnonzero(looks_wrong(first))
    if again.size == 0:
        return first
    rows = cutouts.rows(again)
    second = _fit(rows._replace(start=second_start(rows)), settings, noise)
    return with_better_rows(first, second, again, rows.start)


def _fit(cutouts: Cutouts, settings: FitSettings, noise: Noise) -> FitResult:
    """Fit all cutouts from their start; in smaller steps where the device's memory is too small."""
    chunk = ON_CPU if jax.default_backend() == "cpu" else ON_GPU
    slots = settings.slots or max(1, chunk.pixels // cutouts.pixels.shape[-1] ** 2)
    while True:
        try:
            return _fit_in_chunks(cutouts, settings, noise, slots, slots * chunk.queue)
        except jax.errors.JaxRuntimeError as error:
            if OUT_OF_MEMORY not in str(error) or slots == 1:
                raise
        slots //= 2
        message = f"the device's memory is too small: {slots} fits in step instead of {2 * slots}"
        warnings.warn(message, HalvedWarning, stacklevel=2)


def _fit_in_chunks(
    cutouts: Cutouts, settings: FitSettings, noise: Noise, slots: int, size: int
) -> FitResult:
    # At least one chunk, so that a batch of no cutouts has the right columns.
    parts = [
        _fit_chunk(cutouts.rows(slice(first, first + size)), settings, noise, slots, size)
        for first in range(0, max(len(cutouts.pixels), 1), size)
    ]
    return FitResult(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _fit_chunk(
    cutouts: Cutouts, settings: FitSettings, noise: Noise, slots: int, size: int
) -> FitResult:
    """Fit at most ``size`` cutouts in one compiled call."""
    n = len(cutouts.pixels)
    fixed = np.zeros((n, 7), bool) if cutouts.fixed is None else np.asarray(cutouts.fixed, bool)
    source, units = to_source(
        np.asarray(cutouts.pixels),
        cutouts.noise,
        cutouts.start,
        cutouts.gain,
        fixed,
        settings.dtype,
    )
    loss = LOSSES[settings.loss]
    likelihood = Likelihood(loss, settings.fit_gamma, settings.fisher == "expected")
    with jax.enable_x64(settings.dtype == "float64"):
        found = fit_chunk(
            _filled(source, size),
            np.asarray(n, np.int32),
            _recipe(settings),
            noise,
            likelihood,
            slots,
        )
        solution = jax.device_get(found)
    solution = jax.tree.map(lambda column: np.asarray(column[:n], np.float64), solution)
    seen = solution.appraisal
    errors = covariances(
        solution.params, solution.hessian, seen.bread, seen.filling, seen.added, ~fixed
    )
    return _result(solution, errors, units, loss)


def _recipe(settings: FitSettings) -> Recipe:
    """Return the settings as arrays: other values of the same type need no other compile."""
    law = density(LOSSES[settings.loss])
    # Newton's power is 1 / width; more than one overshoots where gamma is far off.
    power = min(1.0, 1.0 / law.width)
    return Recipe(
        gamma=np.asarray(settings.gamma, settings.dtype),
        model_error=np.asarray(settings.model_error, settings.dtype),
        max_iterations=np.asarray(settings.max_iterations, np.int32),
        curvature=np.asarray(law.curvature, settings.dtype),
        gamma_power=np.asarray(power, settings.dtype),
    )


def _filled(columns: Source | np.ndarray, size: int) -> Source | np.ndarray:
    """Return columns of ``size`` rows; what is added is never looked at."""

    def fill(column: np.ndarray) -> np.ndarray:
        missing = size - len(column)
        return (
            column
            if missing == 0
            else np.pad(column, [(0, missing)] + [(0, 0)] * (column.ndim - 1))
        )

    return jax.tree.map(fill, columns)


def _result(solution: Solution, errors: Covariances, units: Units, loss: Loss) -> FitResult:
    """Bring solutions and covariances to image units."""
    seen = solution.appraisal
    norm = density(loss).norm
    result = FitResult(
        params=params_in_image_units(solution.params, units),
        cov=covariance_in_image_units(errors.published, units),
        cov_crb=covariance_in_image_units(errors.crb, units),
        correlation_factor=errors.correlation_factor,
        gamma=solution.scale * units.unit,
        nll=solution.loss + seen.log_scale + seen.n_pix * np.log(norm * units.unit),
        gof=seen.gof,
        resid_max=seen.resid_max,
        grad_norm=solution.distance,
        hess_cond=errors.condition,
        mismatch=seen.mismatch,
        n_pix=seen.n_pix.astype(np.int32),
        n_outlier=seen.n_outlier.astype(np.int32),
        core=seen.core.astype(np.int32),
        core_used=seen.core_used.astype(np.int32),
        missing=seen.missing.astype(np.int32),
        n_iter=solution.n_iter.astype(np.int32),
        status=solution.status.astype(np.int32),
    )
    return without_failed_numbers(result)
