"""Time the exact Hessians of thousands of small cutouts, and what a Newton step adds.

Usage: python benchmarks/batches.py [--core 0] [--n 4096] [--side 32] [--quick]

The same float32 cutouts to everyone: automatic differentiation vmapped over all of them, as one
writes it first (maps of x and y) and with x a row and y a column; the same over a few at a time, so
that what lies between stays in the cache; and surveyfit: its public function (NumPy in and out),
and its compiled parts in a few slots, as a fit runs them. A whole step is value, gradient, Hessian,
solve and acceptance.

Agreement is max |D (H - H64) D| over all sources, with H64 the autodiff in float64 and
D = diag(H64)^-1/2.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from drawn_sources import draw_sources
from jax import lax
from likelihood import GAMMA, disagreement, grid, hessian, hessian_on_maps
from timing import (
    argument_parser,
    compare,
    fastest_of,
    in_words,
    pin,
    print_setting,
    print_table,
)

import surveyfit
from surveyfit.fit import newton
from surveyfit.fit.batch import ON_CPU
from surveyfit.fit.bounds import LARGEST_ELLIPTICITY
from surveyfit.fit.hessian import hessians
from surveyfit.fit.limits import Limits
from surveyfit.fit.loss import Pixels, cauchy
from surveyfit.fit.objective import derivatives

SEED = 2
SNR = (5.0, 100.0)
TOGETHER = (4, 8, 16, 32)
"""Cutouts that the blocked autodiff takes at a time; the fastest is reported."""
REFERENCE = "jacfwd(jacrev), vmapped"
BLOCKS = "at a time"
HESSIAN = "in the fit: Hessian"
STEP = "in the fit: whole Newton step"
Call = Callable[[], Any]


def draw_batch(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the true parameters (n, 7) and noisy cutouts (n, side, side)."""
    rng = np.random.default_rng(SEED)
    truth = draw_sources(n, rng, side, SNR)
    return truth.params(), truth.images(side) + rng.normal(size=(n, side, side))


def autodiff(params: np.ndarray, pixels: np.ndarray) -> Iterator[tuple[str, Call]]:
    """Yield the ways of plain JAX."""
    on_device = jax.device_put(params), jax.device_put(pixels)
    maps = np.broadcast_arrays(*grid(pixels[0], np))
    on_maps = jax.jit(jax.vmap(hessian_on_maps, in_axes=(0, 0, None, None)))
    yield REFERENCE, partial(_call, on_maps, *on_device, *map(jnp.array, maps))
    yield "the same, x a row, y a column", partial(_call, jax.jit(jax.vmap(hessian)), *on_device)
    for together in TOGETHER:
        blocked = jax.jit(partial(in_blocks, hessian, together))
        yield f"the same, {together} {BLOCKS}", partial(_call, blocked, *on_device)


def in_blocks(function: Callable[..., Any], together: int, *columns: jax.Array) -> Any:
    """Return ``function`` of every row of the columns, vmapped over a few rows at a time."""
    return lax.map(lambda row: function(*row), columns, batch_size=together)


def ours(params: np.ndarray, pixels: np.ndarray) -> Iterator[tuple[str, Call]]:
    """Yield the public function and the compiled parts of surveyfit."""
    yield (
        "surveyfit.hessian",
        partial(surveyfit.hessian, params, pixels, GAMMA, dtype=pixels.dtype.name),
    )
    origin = np.rint(params[:, :2])
    component = np.concatenate([params[:, :2] - origin, params[:, 2:6]], axis=1)
    one, scale = np.ones(len(params)), np.full((len(params), 1, 1), GAMMA)
    columns = (component[:, None], origin[:, None], pixels, params[:, 6], one, scale)
    numbers = (jnp.asarray(column, pixels.dtype) for column in columns)
    yield "the same, compiled part", partial(_call, partial(hessians, loss=cauchy), *numbers)
    slots = ON_CPU.pixels // pixels[0].size
    on_device = jax.device_put(params), jax.device_put(pixels)
    parts = {
        HESSIAN: hessian_alone,
        "in the fit: value, gradient, Hessian": likelihood_of,
        STEP: whole_step,
    }
    for name, part in parts.items():
        compiled = jax.jit(partial(in_blocks, part, slots))
        yield name, partial(_call, compiled, *on_device)


def likelihood_of(params: jax.Array, data: jax.Array) -> newton.Derivatives:
    """Return value, gradient and Hessian of one cutout in linear parameters (7,)."""
    axis = jnp.arange(data.shape[-1], dtype=data.dtype)
    weight = jnp.where(jnp.isfinite(data), 1 / GAMMA, 0.0)
    pixels = Pixels(axis[None, :], axis[:, None], data, weight)
    return derivatives(params, jnp.zeros(7, bool), pixels, cauchy)


def hessian_alone(params: jax.Array, data: jax.Array) -> jax.Array:
    """Return the Hessian (7, 7); what it does not need is not computed."""
    return likelihood_of(params, data).hessian


def whole_step(params: jax.Array, data: jax.Array) -> newton.State:
    """Return the state of Newton after its first step."""
    anywhere = jnp.full(7, jnp.inf, params.dtype)
    limits = Limits(-anywhere, anywhere, jnp.zeros(7, bool), anywhere, LARGEST_ELLIPTICITY)
    tolerance, most = jnp.zeros((), params.dtype), jnp.ones((), jnp.int32)
    found = likelihood_of(params, data)
    return newton.turn(newton.begin(params), found, limits, tolerance, most)


def _call(compiled: Callable[..., Any], *arguments: Any) -> Any:
    return jax.block_until_ready(compiled(*arguments))


def hessian_in(result: Any) -> np.ndarray:
    """Return the Hessians (n, 7, 7) of any of the results."""
    if isinstance(result, newton.State):
        result = result.derivatives
    if isinstance(result, newton.Derivatives):
        result = result.hessian
    return np.asarray(result, np.float64)


def main() -> None:
    """Print the table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--n", type=int, default=4096, help="cutouts")
    parser.add_argument("--side", type=int, default=32, help="pixels a side")
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax", "jaxlib", "surveyfit")
    n = 256 if options.quick else options.n
    typed = tuple(column.astype(np.float32) for column in draw_batch(n, options.side))
    with jax.enable_x64(True):
        # Of the same numbers: what float32 does to parameters and pixels is not our subject.
        exact = (column.astype(np.float64) for column in typed)
        wanted = hessian_in(_call(jax.jit(partial(in_blocks, hessian, TOGETHER[0])), *exact))
    found = fastest_of(BLOCKS, compare(dict((*autodiff(*typed), *ours(*typed)))))
    reference = found[REFERENCE][0].median
    blocks = min(timing.median for name, (timing, _) in found.items() if BLOCKS in name)
    print(f"{n} cutouts of {options.side} x {options.side} pixels, float32\n")
    print_table(
        ("Hessians", "median", "a source", "first call", "x plain", "x blocks", "agreement"),
        [
            (
                name,
                in_words(timing.median),
                in_words(timing.median / n),
                in_words(timing.first),
                f"{reference / timing.median:.3g}",
                f"{blocks / timing.median:.3g}",
                f"{disagreement(hessian_in(result), wanted):.1e}",
            )
            for name, (timing, result) in found.items()
        ],
    )
    ratio = found[STEP][0].median / found[HESSIAN][0].median
    print(f"a whole step takes {ratio:.2f} times the Hessian alone")


if __name__ == "__main__":
    main()
