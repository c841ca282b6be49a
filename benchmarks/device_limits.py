"""What a device reaches, to say what share of it a program uses: memory and arithmetic."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from timing import compare

DTYPES = ("float32", "float64")
CHAINS, CHAIN = 8, 32
"""Multiply-adds on an element that is read and written once: the memory does not limit them."""
TURNS = 10
"""Of the copy, in one call."""
ELEMENTS = {"cpu": 1 << 25, "gpu": 1 << 28}
"""Of the arrays for these; no cache holds them."""


class Limits(NamedTuple):
    """What the device reaches: bytes a second, and operations a second of each type."""

    bandwidth: float
    arithmetic: dict[str, float]


def kind() -> str:
    """Return whether JAX runs on a ``cpu`` or a ``gpu``."""
    return "cpu" if jax.default_backend() == "cpu" else "gpu"


def measure_limits() -> Limits:
    """Time a copy in place, and chains of multiply-adds on every element."""
    arithmetic, elements = {}, ELEMENTS[kind()]
    for dtype in DTYPES:
        with jax.enable_x64(dtype == "float64"):
            x, factor = jnp.ones(elements, dtype), jnp.asarray(0.5, dtype)
        timing, _ = compare({dtype: in_type(dtype, _multiply_adds, x, factor)})[dtype]
        arithmetic[dtype] = 2 * CHAINS * CHAIN * elements / timing.median
    with jax.enable_x64(False):
        x, turns = jnp.ones(elements, jnp.float32), jnp.asarray(TURNS)
        timing, _ = compare({"copy": in_type("float32", _read_and_write, x, turns)})["copy"]
    return Limits(2 * x.nbytes * TURNS / timing.median, arithmetic)


@jax.jit
def _multiply_adds(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Return the sum of chains that do not wait for each other."""
    chains = [x + k for k in range(CHAINS)]
    for _ in range(CHAIN):
        chains = [chain * factor + factor for chain in chains]
    return jnp.sum(jnp.stack(chains), axis=0)


@jax.jit
def _read_and_write(x: jax.Array, turns: jax.Array) -> jax.Array:
    """Add one in place, often enough that the new array for the result does not count.

    XLA must not know how often: it would add all at once.
    """
    return lax.fori_loop(0, turns, lambda _, y: y + 1.0, x)


def in_type(dtype: str, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Return a call that returns when its work is done."""

    def call() -> Any:
        with jax.enable_x64(dtype == "float64"):
            return jax.block_until_ready(function(*arguments))

    return call
