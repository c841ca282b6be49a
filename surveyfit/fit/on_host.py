"""Run a function of one row over many rows, in float64 on the CPU.

What follows a fit is little work, but image units of 1e-12 and parameters that can hardly be told
apart need double precision, which a GPU and the fit itself do without.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

CHUNK = 256
"""Rows in one compiled call; the last call is filled up, so that there is one compile."""


def in_chunks(one: Callable[..., Any], *columns: Any) -> Any:
    """Return ``one`` of every row of the columns: a pytree of arrays (n, ...).

    Parameters
    ----------
    one : callable
        Of one row; a function of a module, since each object is compiled anew.
    columns : arrays (n, ...)
        Of bool, or of numbers, which become float64.
    """
    arrays = [np.asarray(column) for column in columns]
    arrays = [array if array.dtype == bool else array.astype(float) for array in arrays]
    n = len(arrays[0])
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        parts = [
            jax.device_get(_compiled(one, *(_rows(array, first) for array in arrays)))
            for first in range(0, max(n, 1), CHUNK)
        ]
    return jax.tree.map(lambda *chunks: np.concatenate(chunks)[:n], *parts)


@partial(jax.jit, static_argnums=0)
def _compiled(one: Callable[..., Any], *columns: jax.Array) -> Any:
    return jax.vmap(one)(*columns)


def _rows(array: np.ndarray, first: int) -> np.ndarray:
    """Return the rows of one chunk, filled up with zeros."""
    rows = array[first : first + CHUNK]
    return np.pad(rows, [(0, CHUNK - len(rows))] + [(0, 0)] * (rows.ndim - 1))
