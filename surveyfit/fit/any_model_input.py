"""What a fit of one's own model is given: checked, and brought to one shape and type."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from surveyfit.errors import InputError
from surveyfit.fit.model import Array

ModelFunction = Callable[[Any, Any, Any, ModuleType], Any]
"""Of parameters (p,), columns x (1, width), rows y (height, 1), and an array module."""


class Images(NamedTuple):
    """Images to be fitted, and where their fits start; float64 if not said otherwise.

    Attributes
    ----------
    data : array (n, height, width)
        As given; a pixel that is not finite is not used.
    noise : array (n, 1, 1) or (n, height, width)
        1-sigma noise of a pixel; where it is not positive and finite the pixel is not used.
    start, lower, upper : array (n, p)
    fixed : array (n, p) of bool
    """

    data: Array
    noise: Array
    start: Array
    lower: Array
    upper: Array
    fixed: Array


def images_of(
    pixels: ArrayLike,
    noise: ArrayLike,
    start: ArrayLike,
    lower: ArrayLike | None,
    upper: ArrayLike | None,
    fixed: ArrayLike | None,
) -> Images:
    """Return the arguments of `surveyfit.fit_model` as arrays with a row for every image.

    Raises
    ------
    InputError
        If they do not belong together.
    """
    data = np.asarray(pixels, float)
    if data.ndim != 3:
        raise InputError(f"pixels of shape {data.shape}", "give images (n, height, width)")
    n = len(data)
    first = np.asarray(start, float)
    rows = (n, first.shape[-1] if first.ndim else 0)
    widths = np.asarray(noise, float)
    if widths.shape not in ((), (n,), data.shape):
        remedy = f"give one number, {(n,)} or {data.shape}"
        raise InputError(f"noise of shape {widths.shape}", remedy)
    maps = widths if widths.ndim == 3 else np.broadcast_to(widths, n)[:, None, None]
    return Images(
        data=data,
        noise=maps,
        start=_with_rows("start", first, rows),
        lower=_with_rows("lower", -np.inf if lower is None else lower, rows),
        upper=_with_rows("upper", np.inf if upper is None else upper, rows),
        fixed=_with_rows("fixed", False if fixed is None else fixed, rows).astype(bool),
    )


def leaders(tied: ArrayLike | None, n_parameters: int) -> np.ndarray:
    """Return the place (p,) of the parameter whose value each parameter takes.

    Raises
    ------
    InputError
        If a place does not exist, or the parameter there follows another one itself.
    """
    places = np.arange(n_parameters)
    if tied is None:
        return places
    found = np.asarray(tied)
    if found.shape != places.shape or not np.isin(found, places).all():
        raise InputError(
            f"tied = {found.tolist()}", f"give {n_parameters} places from 0 to {n_parameters - 1}"
        )
    if not np.array_equal(found[found], found):
        raise InputError(f"tied = {found.tolist()}", "let each follow one that follows itself")
    return found


def check_function(function: ModelFunction, n_parameters: int, shape: tuple[int, int]) -> None:
    """Raise `InputError` if the function is no model of an image (height, width) for JAX."""
    height, width = shape
    kinds = (
        jax.ShapeDtypeStruct(s, jnp.float64) for s in ((n_parameters,), (1, width), (height, 1))
    )
    try:
        with jax.enable_x64(True):
            found = jax.eval_shape(lambda p, x, y: function(p, x, y, jnp), *kinds)
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
        remedy = "compute with the module xp it is given, with xp.where instead of if"
        raise InputError(f"the model {_name(function)}", remedy) from error
    given = getattr(found, "shape", None)
    if given is None or np.broadcast_shapes(given, shape) != shape:
        raise InputError(f"a model of shape {given}", f"return an array of shape {shape}")


def _name(function: ModelFunction) -> str:
    return getattr(function, "__name__", str(function))


def _with_rows(name: str, values: ArrayLike, rows: tuple[int, int]) -> np.ndarray:
    """Return values (), (p,) or (n, p) as an array (n, p)."""
    array = np.asarray(values)
    if array.shape not in ((), rows[1:], rows) or not rows[1]:
        raise InputError(f"{name} of shape {array.shape}", f"give {rows[1:]} or {rows}")
    return np.broadcast_to(array, rows)
