"""What people give to `surveyfit.fit_cutouts`: checked, and brought to one shape and type."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surveyfit.errors import InputError
from surveyfit.fit.cutouts import FitSettings
from surveyfit.schema import N_PARAMETERS, PARAMETERS


def numbers(name: str, values: ArrayLike) -> NDArray[np.floating]:
    """Return an array of native floats, single precision where that is what was given.

    Raises
    ------
    InputError
        If the values are no numbers, or rows of different lengths.
    """
    try:
        array = np.asarray(values)
        kind = array.dtype.kind
    except ValueError:
        kind = "O"
    if kind not in "biuf":
        raise InputError(f"{name} is no array of numbers", "give a NumPy array of numbers")
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)


def usable_pixels(pixels: ArrayLike, mask: ArrayLike | None) -> NDArray[np.floating]:
    """Return the pixels (n, side, side), NaN where not to be used.

    Raises
    ------
    InputError
        If they are no square cutouts, or the mask does not fit them.
    """
    found = numbers("pixels", pixels)
    if found.ndim != 3 or found.shape[1] != found.shape[2]:
        raise InputError(f"pixels of shape {found.shape}", "give square cutouts (n, side, side)")
    hidden = np.ma.getmaskarray(pixels) if np.ma.isMaskedArray(pixels) else np.zeros((), bool)
    if mask is not None:
        given = np.asarray(mask)
        if given.shape not in (found.shape, found.shape[1:]):
            remedy = f"give {found.shape} or {found.shape[1:]}"
            raise InputError(f"mask of shape {given.shape}", remedy)
        hidden = hidden | (given != 0)
    return np.where(hidden, np.nan, found) if hidden.any() else found


def one_each(name: str, values: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return one number, or (n,) of them, as an array (n,)."""
    array = numbers(name, values)
    if array.shape not in ((), (n,)):
        raise InputError(f"{name} of shape {array.shape}", f"give one number or {(n,)}")
    return np.broadcast_to(array, n).astype(float)


def noise_of(noise: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Return the given noise as (n,), or as maps of the pixels' ``shape``."""
    array = numbers("noise", noise)
    if array.shape == shape:
        return array
    if array.shape not in ((), shape[:1]):
        raise InputError(
            f"noise of shape {array.shape}", f"give one number, {shape[:1]} or {shape}"
        )
    return one_each("noise", array, shape[0])


def given_starts(start: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return the given starts as an array (n, 7), NaN where they are to be found."""
    array = numbers("start", start)
    rows = (n, N_PARAMETERS)
    if array.shape not in (rows, rows[1:]):
        remedy = f"give {rows[1:]} or {rows}, in the order {', '.join(PARAMETERS)}"
        raise InputError(f"start of shape {array.shape}", remedy)
    return np.broadcast_to(array, rows).astype(float)


def held(fixed: Sequence[str], start: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which parameters (n, 7) stay where they start.

    Raises
    ------
    InputError
        For a name that is no parameter, or a parameter whose value is not given.
    """
    names = [fixed] if isinstance(fixed, str) else list(fixed)
    for name in names:
        if name not in PARAMETERS:
            raise InputError(f"fixed parameter {name!r}", f"use names of {', '.join(PARAMETERS)}")
    which = np.isin(PARAMETERS, names)
    unknown = which & np.isnan(start).any(axis=0)
    if unknown.any():
        missing = ", ".join(np.array(PARAMETERS)[unknown])
        raise InputError(f"fixed {missing} without a value", "give it in start")
    return np.broadcast_to(which, start.shape)


def settings_of(gamma: float | str | None, **others: Any) -> FitSettings:
    """Return the settings of the fit; a gamma of ``"fit"`` is fitted to each source."""
    settings = FitSettings(**others)
    if gamma is None:
        return settings
    if gamma == "fit":
        return settings._replace(fit_gamma=True)
    if isinstance(gamma, str) or np.ndim(gamma) > 0:
        raise InputError(f"gamma {gamma!r}", "give one number, or 'fit'")
    return settings._replace(gamma=float(gamma))
