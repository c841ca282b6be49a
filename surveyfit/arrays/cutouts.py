"""Fit cutouts that somebody has in memory: NumPy arrays in, an astropy table out."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from surveyfit.arrays.border import border_pixels, level_and_noise
from surveyfit.arrays.given import (
    given_starts,
    held,
    noise_of,
    numbers,
    one_each,
    settings_of,
    usable_pixels,
)
from surveyfit.arrays.start import find_starts
from surveyfit.fit.batch import fit_batch
from surveyfit.fit.columns import model_columns, quality_columns
from surveyfit.fit.cutouts import Cutouts, FitSettings, check
from surveyfit.fit.derived import pixel_quantities
from surveyfit.fit.flags import fit_flags
from surveyfit.fit.loss import LOSSES
from surveyfit.fit.noise_law import NoiseLaw, noise_law
from surveyfit.fit.result import FitResult
from surveyfit.fit.units import local_noise
from surveyfit.schema import COLUMNS, N_PARAMETERS, PACKED, PARAMETERS
from surveyfit.sky.described import described
from surveyfit.sky.noise_sample import Sample, noise_quantiles

BLOCK = 2**22
"""Pixels that are looked at together: the copies that it takes are a few times as large."""

PACKAGES = ("surveyfit", "jax", "numpy")
"""Those whose versions are named in the table's metadata."""


def fit_cutouts(
    pixels: ArrayLike,
    noise: ArrayLike | None = None,
    *,
    mask: ArrayLike | None = None,
    start: ArrayLike | None = None,
    gamma: float | str | None = None,
    dtype: str = "float32",
    gain: ArrayLike | None = None,
    fixed: Sequence[str] = (),
    loss: str = "cauchy",
    fisher: str = "observed",
    model_error: float = FitSettings().model_error,
    correlation: ArrayLike | None = None,
) -> Table:
    """Fit an elliptical Gaussian to every cutout; row i belongs to cutout i.

    Parameters
    ----------
    pixels : array (n, side, side)
        In any unit, a source near the centre of each; NaN, or masked in a masked array, where not
        to be used.
    noise : number, array (n,) or (n, side, side), optional
        1-sigma noise of a pixel, in the unit of the pixels. If left out it is measured for each
        cutout along its border, a fifth of the side wide: the standard deviation of the pixels
        within 3 robust sigmas of their median.
    mask : array of bool (n, side, side) or (side, side), optional
        True where a pixel is not to be used.
    start : array (7,) or (n, 7), optional
        Where the fits start: x0, y0, amp, sigma, rho, diff, bkg, in pixels from the cutout's first
        pixel. What is NaN, or all of it, is found in the pixels.
    gamma : number or "fit", optional
        Scale of the likelihood in units of the noise; 2.4 if left out. Smaller values resist more
        outliers, larger ones lose less to Gaussian noise. "fit" finds that of each source.
    dtype : str
        ``float32``, or ``float64``: slower, for sources of S/N beyond 10000.
    gain : number or array (n,), optional
        Electrons per unit of the pixels: the source's own photons then count in the errors.
    fixed : sequence of str
        Parameters that stay at their value in ``start``: ("x0", "y0", "sigma", "rho", "diff") is
        forced photometry, where the amplitude may be negative.
    loss : str
        ``cauchy``, ``gaussian`` (least squares) or ``student`` (4 degrees of freedom).
    fisher : str
        What the errors in ``_crb`` come from: the ``observed`` Hessian, or the ``expected`` one.
    model_error : number
        What a Gaussian cannot describe of a source, as a share of its peak.
    correlation : array (2 L + 1, 2 L + 1), optional
        Correlation of the noise of two pixels at each lag [dy + L, dx + L]. Single cutouts are too
        small to measure it: without it errors in correlated noise are too small.

    Returns
    -------
    Table
        The columns of the catalogue that a cutout has, with descriptions; see docs/notebook.md.
        Rows with ``flags & surveyfit.schema.GOOD == 0`` can be taken without reading further; a
        cutout that cannot be fitted has NaN and a flag.

    Raises
    ------
    InputError
        If arrays do not belong together, or a setting cannot be used.
    """
    settings = settings_of(gamma, dtype=dtype, loss=loss, fisher=fisher, model_error=model_error)
    values = usable_pixels(pixels, mask)
    n = len(values)
    given = given_starts(np.full(N_PARAMETERS, np.nan) if start is None else start, n)
    level, measured, starts = _look_at(values, given)
    cutouts = Cutouts(
        pixels=values,
        noise=measured if noise is None else noise_of(noise, values.shape),
        start=starts,
        gain=one_each("gain", np.nan if gain is None else gain, n),
        fixed=held(fixed, given) if len(fixed) else None,
    )
    check(cutouts, settings)
    law = _noise_law(cutouts, level, loss)
    lags = None if correlation is None else numbers("correlation", correlation)
    table = _table(cutouts, fit_batch(cutouts, settings, law, lags))
    table.meta["gamma"] = "fit" if settings.fit_gamma else settings.gamma
    table.meta["noise"] = "measured" if noise is None else "given"
    # No longer names: these become keywords of a FITS header.
    table.meta.update(loss=loss, fisher=fisher, modelerr=model_error, dtype=dtype)
    table.meta["fit_cov"] = ", ".join(f"{PARAMETERS[i]} {PARAMETERS[j]}" for i, j in PACKED)
    table.meta["versions"] = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return table


def _look_at(
    pixels: NDArray[np.floating], given: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Return level (n,), noise (n,) and start (n, 7) of cutouts, a block of them at a time."""
    size = max(1, BLOCK // pixels[:1].size) if pixels.size else 1
    parts = []
    for first in range(0, max(len(pixels), 1), size):
        rows = slice(first, first + size)
        level, noise = level_and_noise(pixels[rows])
        parts.append((level, noise, find_starts(pixels[rows], level, noise, given[rows])))
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def _noise_law(cutouts: Cutouts, level: NDArray[np.float64], loss: str) -> NoiseLaw:
    """Return what the noise along the borders does to the loss, from some of many cutouts."""
    rows = slice(None, None, max(1, cutouts.pixels.size // BLOCK))
    noise = cutouts.noise[rows]
    scale = noise if noise.ndim == 3 else noise[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = (cutouts.pixels[rows] - level[rows, None, None]) / scale
    values = border_pixels(np.where(scale > 0, scaled, np.nan))
    sample = Sample(values.astype(np.float32), np.isfinite(values), filtered_noise=None)
    return noise_law(noise_quantiles([sample]), LOSSES[loss])


def _table(cutouts: Cutouts, result: FitResult) -> Table:
    """Return the columns of the catalogue that a cutout has, in the catalogue's order."""
    values = (
        model_columns(result.params, result.cov, result.cov_crb)
        | pixel_quantities(result.params, result.cov)
        | quality_columns(result)
        | {"local_rms": local_noise(cutouts.noise), "flags": fit_flags(cutouts, result)}
    )
    columns = [column for column in COLUMNS if column.name in values]
    return described(columns, values, image_unit="")
