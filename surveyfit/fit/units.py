"""From image units to the units of the fit, and back.

Some images have values of 1e-12, whose squares single precision cannot hold. Inside the fit a
value is its difference from the starting background in units of the starting amplitude (at least
of the local noise), and a position is counted from the whole pixel nearest to the start: so the
logarithm of the amplitude and the position stay near zero, where single precision is finest. (In
units of the noise, log(amp) of a source of S/N 1e5 is known to a tenth of its error only.) Both
ways run in float64.
"""

from typing import NamedTuple

import numpy as np

from surveyfit.fit.bounds import SMALLEST_AMP, SMALLEST_SIGMA, box
from surveyfit.fit.objective import AMP, SIGMA
from surveyfit.fit.solve import Source


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
    pixels: np.ndarray, noise: np.ndarray, start: np.ndarray, gain: np.ndarray, dtype: str
) -> tuple[Source, Units]:
    """Return the cutouts as they are fitted, in ``dtype``, and the way back.

    Shapes as in `surveyfit.fit.batch.Cutouts`.
    """
    pixels, noise, start, gain = (np.asarray(a, np.float64) for a in (pixels, noise, start, gain))
    n, side = pixels.shape[:2]
    local = local_noise(noise)
    unit = np.where(start[:, AMP] > local, start[:, AMP], local)
    maps = noise.reshape(n, *noise.shape[1:] or (1, 1)) / unit[:, None, None]
    relative = np.broadcast_to(maps, pixels.shape)
    residual = (pixels - start[:, 6, None, None]) / unit[:, None, None]
    used = np.isfinite(pixels) & np.isfinite(relative) & (relative > 0)
    origin = np.clip(np.nan_to_num(np.rint(start[:, :2])), 0, side - 1)

    offset, factor = np.zeros((n, 7)), np.ones((n, 7))
    offset[:, :2], offset[:, 6] = origin, start[:, 6]
    factor[:, 2] = factor[:, 6] = unit
    lower, upper = (np.tile(bound, (n, 1)) for bound in box(side))
    for bound in (lower, upper):
        bound[:, :2] -= origin
    lower[:, AMP] = np.log(SMALLEST_AMP * local / unit)
    source = Source(
        data=np.where(used, residual, 0.0).astype(dtype),
        noise=np.where(used, relative, 1.0).astype(dtype),
        used=used,
        local_noise=(local / unit).astype(dtype),
        origin=origin.astype(dtype),
        start=_internal((start - offset) / factor).astype(dtype),
        lower=lower.astype(dtype),
        upper=upper.astype(dtype),
        electrons=np.where(gain > 0, gain * unit, np.inf).astype(dtype),
    )
    return source, Units(unit, offset, factor)


def _internal(start: np.ndarray) -> np.ndarray:
    """Return internal parameters (n, 7) for linear ones; amplitudes not positive start at one."""
    out = start.copy()
    amp = start[:, AMP]
    out[:, AMP] = np.log(np.where(amp <= 0, 1.0, amp))
    out[:, SIGMA] = np.log(np.maximum(start[:, SIGMA], SMALLEST_SIGMA))
    return out


def params_in_image_units(params: np.ndarray, units: Units) -> np.ndarray:
    """Return fitted linear parameters (n, 7) in image units, from the cutout's first pixel."""
    return units.offset + units.factor * params


def covariance_in_image_units(covariance: np.ndarray, units: Units) -> np.ndarray:
    """Return covariances (n, 7, 7) of fitted linear parameters in image units."""
    return units.factor[:, :, None] * covariance * units.factor[:, None, :]
