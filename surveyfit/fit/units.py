"""From image units to the units of the fit, and back.

Some images have values of 1e-12, whose squares single precision cannot hold. Inside the fit a
value is its difference from the starting background in units of the starting amplitude (at least
of the local noise), and a position is counted from the whole pixel nearest to the start: so the
logarithm of the amplitude and the position stay near zero, where single precision is finest. (In
units of the noise, log(amp) of a source of S/N 1e5 is known to a tenth of its error only.) The
way back runs in float64.
"""

from typing import NamedTuple

import numpy as np

from surveyfit.fit.bounds import SMALLEST_AMP, SMALLEST_SIGMA, box
from surveyfit.fit.moments import SHAPE
from surveyfit.fit.objective import AMP, SIGMA
from surveyfit.fit.source import Source

BKG = 6
"""Place of the background."""


class Units(NamedTuple):
    """What brings parameters back: image = offset + factor * fitted.

    Attributes
    ----------
    unit : array (n,)
        The unit of pixel values, in image units.
    offset, factor : array (n, 7)
    """

    unit: np.ndarray
    offset: np.ndarray
    factor: np.ndarray


def local_noise(noise: np.ndarray) -> np.ndarray:
    """Return the noise (n,) of each cutout: its map's centre pixel, else its median.

    Parameters
    ----------
    noise : array (n,) or (n, side, side)
        Values that are not positive and finite do not count.
    """
    if noise.ndim == 1:
        return np.where(noise > 0, noise, np.nan)
    middle = noise.shape[1] // 2
    local = noise[:, middle, middle].copy()
    for row in np.flatnonzero(~((local > 0) & np.isfinite(local))):
        valid = noise[row][(noise[row] > 0) & np.isfinite(noise[row])]
        local[row] = np.median(valid) if valid.size else np.nan
    return local


def to_source(
    pixels: np.ndarray,
    noise: np.ndarray,
    start: np.ndarray,
    gain: np.ndarray,
    fixed: np.ndarray,
    dtype: str,
) -> tuple[Source, Units]:
    """Return the cutouts as they are fitted, in ``dtype``, and the way back.

    Shapes as in `surveyfit.fit.cutouts.Cutouts`; ``fixed`` (n, 7). Pixels of ``dtype`` are passed
    on as they are, and brought to the units of the fit by the compiled code; others here, in
    float64.
    """
    noise, start, gain = (np.asarray(a, np.float64) for a in (noise, start, gain))
    n, side = pixels.shape[:2]
    local = local_noise(noise)
    amp = np.abs(start[:, AMP])
    unit = np.where(amp > local, amp, local)
    level, divisor = start[:, BKG], unit
    if pixels.dtype != dtype:
        pixels = ((pixels - level[:, None, None]) / unit[:, None, None]).astype(dtype)
        level, divisor = np.zeros(n), np.ones(n)
    origin = np.clip(np.nan_to_num(np.rint(start[:, :2])), 0, side - 1)
    offset, factor = np.zeros((n, 7)), np.ones((n, 7))
    offset[:, :2], offset[:, BKG] = origin, start[:, BKG]
    factor[:, AMP] = factor[:, BKG] = unit
    linear_amp = np.all(fixed[:, SHAPE], axis=1)
    lower, upper = (np.tile(bound, (n, 1)) for bound in box(side))
    for bound in (lower, upper):
        bound[:, :2] -= origin
    lower[:, AMP] = np.where(linear_amp, -np.inf, np.log(SMALLEST_AMP * local / unit))
    first = _internal((start - offset) / factor, linear_amp)
    columns = {
        "level": level,
        "unit": divisor,
        "noise": noise.reshape(n, *noise.shape[1:] or (1, 1)) / unit[:, None, None],
        "local_noise": local / unit,
        "origin": origin,
        "start": first,
        "lower": np.where(fixed, np.minimum(lower, first), lower),
        "upper": np.where(fixed, np.maximum(upper, first), upper),
    }
    if np.any(gain > 0):
        columns["electrons"] = np.where(gain > 0, gain * unit, np.inf)
    as_fitted = {name: column.astype(dtype) for name, column in columns.items()}
    source = Source(pixels=pixels, fixed=fixed, linear_amp=linear_amp, **as_fitted)
    return source, Units(unit, offset, factor)


def _internal(start: np.ndarray, linear_amp: np.ndarray) -> np.ndarray:
    """Return internal parameters (n, 7) for linear ones; amplitudes not positive start at one."""
    out = start.copy()
    amp = start[:, AMP]
    out[:, AMP] = np.where(linear_amp, amp, np.log(np.where(amp <= 0, 1.0, amp)))
    out[:, SIGMA] = np.log(np.maximum(start[:, SIGMA], SMALLEST_SIGMA))
    return out


def params_in_image_units(params: np.ndarray, units: Units) -> np.ndarray:
    """Return fitted linear parameters (n, 7) in image units, from the cutout's first pixel."""
    return units.offset + units.factor * params


def covariance_in_image_units(covariance: np.ndarray, units: Units) -> np.ndarray:
    """Return covariances (n, 7, 7) of fitted linear parameters in image units."""
    return units.factor[:, :, None] * covariance * units.factor[:, None, :]
