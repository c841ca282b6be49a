"""Time the exact Hessian of one large image, beside autodiff and finite differences.

Usage: python benchmarks/seed_table.py [--core 0] [--size 3000] [--small 500] [--quick]

One Gaussian of seven parameters fills an image; its Hessian under a Cauchy likelihood is computed
by automatic differentiation as one writes it first (maps of x and y), with x a row and y a column,
by the same in blocks of rows that fit the cache, and by surveyfit. Finite differences
(numdifftools, float64 only: in float32 they are noise) join in at the smaller size, which they can
finish; ratios are to be read within one table.

Agreement is max |D (H - H64) D| with H64 the plain autodiff in float64 and D = diag(H64)^-1/2.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numdifftools
import numpy as np
from likelihood import (
    GAMMA,
    disagreement,
    gaussian,
    grid,
    hessian,
    hessian_in_rows,
    hessian_on_maps,
    nll,
    value,
)
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
from surveyfit.fit.hessian import hessians
from surveyfit.fit.loss import cauchy

SEED = 1
PEAK = 100.0
"""In noises; a pixel's noise is 1."""
ROWS = (1, 2, 4, 10)
"""Rows of a block; the fastest is reported. Sizes must be multiples of each."""
ROUNDS = 3

Call = Callable[[], np.ndarray]
REFERENCE = "jacfwd(jacrev), jitted"
BLOCKS = "in blocks of"


def draw_image(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the parameters (7,) of a source that fills an image, and the image (size, size)."""
    params = np.array([0.51 * size, 0.49 * size, PEAK, 0.1 * size, 0.2, -0.1, 3.0])
    noise = np.random.default_rng(SEED).normal(size=(size, size))
    return params, gaussian(params, *grid(noise, np), np) + noise


def autodiff(params: np.ndarray, image: np.ndarray) -> Iterator[tuple[str, Call]]:
    """Yield the ways of JAX, in the type of ``image``."""
    on_device = jax.device_put(params), jax.device_put(image)
    maps = np.broadcast_arrays(*grid(image, np))
    yield REFERENCE, partial(_call, jax.jit(hessian_on_maps), *on_device, *map(jnp.array, maps))
    functions = {"the same, x a row, y a column": hessian}
    for rows in ROWS:
        functions[f"the same, {BLOCKS} {rows} rows"] = partial(hessian_in_rows, rows=rows)
    for name, function in functions.items():
        yield name, partial(_call, jax.jit(function), *on_device)


def _call(compiled: Callable[..., jax.Array], *arguments: Any) -> np.ndarray:
    return np.asarray(compiled(*arguments), np.float64)


def ours(params: np.ndarray, image: np.ndarray) -> Iterator[tuple[str, Call]]:
    """Yield surveyfit's function, NumPy in and out, and what it compiles, on the device."""
    yield (
        "surveyfit.hessian",
        partial(surveyfit.hessian, params, image, GAMMA, dtype=image.dtype.name),
    )
    origin = np.rint(params[:2])
    component = np.append(params[:2] - origin, params[2:6])
    columns = (component[None], origin[None], image, params[6], 1.0, [[GAMMA]])
    on_device = (jnp.asarray(column, image.dtype)[None] for column in columns)
    yield "the same, compiled part", partial(_first, *on_device)


def _first(*columns: jax.Array) -> np.ndarray:
    return np.asarray(hessians(*columns, cauchy)[0], np.float64)


def finite_differences(params: np.ndarray, image: np.ndarray) -> Iterator[tuple[str, Call]]:
    """Yield numdifftools, on the jitted likelihood and on the one in NumPy."""
    compiled = jax.jit(value)
    data = jax.device_put(image)
    x, y = grid(image, np)
    functions: dict[str, Callable[[np.ndarray], Any]] = {
        "numdifftools, jitted function": lambda p: float(compiled(p, data)),
        "numdifftools, NumPy": lambda p: nll(p, x, y, image, np),
    }
    for name, function in functions.items():
        yield name, partial(numdifftools.Hessian(function), params)


def run(size: int, dtype: str, slow: bool) -> None:
    """Print the table of one size of image and one type."""
    params, image = (column.astype(dtype) for column in draw_image(size))
    with jax.enable_x64(True):
        # Of the same numbers: what float32 does to parameters and pixels is not our subject.
        exact = (column.astype(np.float64) for column in (params, image))
        wanted = _call(jax.jit(hessian), *exact)
    jax.clear_caches()
    with jax.enable_x64(dtype == "float64"):
        contenders = dict((*autodiff(params, image), *ours(params, image)))
        if slow and dtype == "float64":
            contenders |= finite_differences(params, image)
        found = fastest_of(BLOCKS, compare(contenders, ROUNDS))
    reference = found[REFERENCE][0].median
    blocks = min(timing.median for name, (timing, _) in found.items() if BLOCKS in name)
    print(f"{size} x {size} pixels, {dtype}\n")
    print_table(
        ("Hessian", "median", "first call", "calls", "x plain", "x blocks", "agreement"),
        [
            (
                name,
                in_words(timing.median),
                in_words(timing.first),
                str(timing.calls),
                f"{reference / timing.median:.3g}",
                f"{blocks / timing.median:.3g}",
                f"{disagreement(result, wanted):.1e}",
            )
            for name, (timing, result) in found.items()
        ],
    )


def main() -> None:
    """Print the tables."""
    parser = argument_parser(__doc__)
    parser.add_argument("--size", type=int, default=3000, help="pixels a side")
    parser.add_argument("--small", type=int, default=500, help="the size for finite differences")
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax", "jaxlib", "numdifftools", "surveyfit")
    size, small = (400, 100) if options.quick else (options.size, options.small)
    for dtype in ("float32", "float64"):
        run(size, dtype, slow=False)
    for dtype in ("float32", "float64"):
        run(small, dtype, slow=True)


if __name__ == "__main__":
    main()
