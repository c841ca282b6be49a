"""Time the exact Hessians of thousands of small cutouts, and what a Newton step adds.

Usage: python benchmarks/batches.py [--core 0] [--n 4096] [--side 32] [--quick]

The same float32 cutouts to everyone: automatic differentiation vmapped over all of them, the same
over a few at a time so that what lies between stays in the cache, and surveyfit: its public
function, and its compiled parts as Newton uses them.

Agreement is max |D (H - H64) D| over all sources, with H64 the autodiff in float64 and
D = diag(H64)^-1/2. For a part that is more than a Hessian its Hessian is meant.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from drawn_sources import draw_sources
from jax import lax
from likelihood import GAMMA, disagreement, hessian
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
from surveyfit.fit.loss import Pixels
from surveyfit.fit.objective import derivatives, linear_hessian

SEED = 2
SNR = (5.0, 100.0)
TOGETHER = (4, 8, 16, 32)
"""Cutouts that the blocked autodiff takes at a time; the fastest is reported."""
OUR_BLOCK = 8
"""Cutouts that today's fit takes at a time: `surveyfit.fit.batch.FitSettings.block`."""

REFERENCE = "vmapped jacfwd(jacrev)"
Call = Callable[[], np.ndarray]


def draw_batch(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the true parameters (n, 7) and noisy cutouts (n, side, side)."""
    rng = np.random.default_rng(SEED)
    truth = draw_sources(n, rng, side, SNR)
    return truth.params(), truth.images(side) + rng.normal(size=(n, side, side))


def autodiff(params: np.ndarray, pixels: np.ndarray) -> Iterator[tuple[str, Call]]:
    """Yield the ways of plain JAX."""
    on_device = jax.device_put(params), jax.device_put(pixels)
    yield REFERENCE, partial(_call, jax.jit(jax.vmap(hessian)), *on_device)
    for together in TOGETHER:
        blocked = jax.jit(partial(in_blocks, hessian, together))
        yield f"the same, {together} at a time", partial(_call, blocked, *on_device)


def in_blocks(function: Callable[..., Any], together: int, *columns: jax.Array) -> Any:
    """Return ``function`` of every row of the columns, vmapped over a few rows at a time."""
    return lax.map(lambda row: function(*row), columns, batch_size=together)


def ours(params: np.ndarray, pixels: np.ndarray) -> Iterator[tuple[str, Call]]:
    """Yield the public function and the compiled parts of surveyfit."""
    yield (
        "surveyfit.hessian",
        partial(surveyfit.hessian, params, pixels, GAMMA, dtype=pixels.dtype.name),
    )
    internal = params.copy()
    internal[:, 2:4] = np.log(params[:, 2:4])
    on_device = jax.device_put(internal), jax.device_put(pixels)
    part = jax.jit(partial(in_blocks, value_gradient_hessian, OUR_BLOCK))
    yield "surveyfit: value, gradient, Hessian", partial(_call, part, *on_device)


def value_gradient_hessian(internal: jax.Array, data: jax.Array) -> jax.Array:
    """Return the Hessian (7, 7) of one cutout, and add what else a step needs, times zero."""
    axis = jnp.arange(data.shape[-1], dtype=data.dtype)
    weight = jnp.full_like(data, 1 / GAMMA)
    found = derivatives(internal, Pixels(axis[None, :], axis[:, None], data, weight))
    rest = found.value + jnp.sum(found.gradient) + jnp.sum(found.positive)
    return linear_hessian(internal, found) + 0 * rest


def _call(compiled: Callable[..., jax.Array], *arguments: jax.Array) -> np.ndarray:
    return np.asarray(compiled(*arguments), np.float64)


def main() -> None:
    """Print the table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--n", type=int, default=4096, help="cutouts")
    parser.add_argument("--side", type=int, default=32, help="pixels a side")
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax", "jaxlib", "surveyfit")
    n = 256 if options.quick else options.n
    params, pixels = draw_batch(n, options.side)
    with jax.enable_x64(True):
        wanted = _call(jax.jit(partial(in_blocks, hessian, OUR_BLOCK)), params, pixels)
    typed = params.astype(np.float32), pixels.astype(np.float32)
    found = fastest_of("at a time", compare(dict((*autodiff(*typed), *ours(*typed)))))
    reference, blocks = (timing.median for timing, _ in list(found.values())[:2])
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
                f"{disagreement(result, wanted):.1e}",
            )
            for name, (timing, result) in found.items()
        ],
    )


if __name__ == "__main__":
    main()
