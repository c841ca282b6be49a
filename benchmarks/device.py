"""Count the fits a second that never leave the device, and what share of the device they use.

Usage: PYTHONPATH=. python benchmarks/device.py [--n N] [--slots S ...] [--core 0] [--quick]

Made for a GPU where nothing but jax and numpy is installed: the package is taken from the checkout,
uninstalled. Runs on a CPU too, with fewer sources. Cutouts of 32 x 32 pixels as in whole_fits.py
(2 % of the pixels hit) lie on the device, and the results stay there: starts, every Newton step,
the information for both covariances and the quality numbers are inside the time. The number of
fits in step with each other (slots) is tried, and every one reported.

The arithmetic is that of the Newton steps alone, as XLA counts the operations of one step, an
exponential or logarithm as TRANSCENDENTAL of them; its share is of what a chain of multiply-adds
reaches on the same device. The floor is the time to read every pixel once. Agreement is that with
the fit of the same cutouts in float64 on the CPU, in published errors, over all parameters.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from batches import whole_step
from device_limits import DTYPES, Limits, in_type, kind, measure_limits
from fitters.problem import SIDE, draw_problem
from timing import Timing, argument_parser, compare, in_words, pin, print_setting, print_table

from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.fit.information import noise_of
from surveyfit.fit.loss import cauchy, density
from surveyfit.fit.noise_law import noise_law
from surveyfit.fit.solve import Solution, fit_chunk
from surveyfit.fit.source import Likelihood, Recipe
from surveyfit.fit.units import to_source
from surveyfit.schema import FitStatus

SEED = 5
HIT = 0.02
DISTINCT = 4096
"""Cutouts that are drawn; more are copies of them."""
N = {"cpu": 4096, "gpu": 1 << 19}
SLOTS = {"cpu": (16,), "gpu": (2048, 8192, 32768)}
CPU_SLOTS = 16
COMPARED = 1024
"""Cutouts that the CPU fits too."""
TRANSCENDENTAL = 10
SETTINGS = FitSettings()


def draw_cutouts(n: int) -> Cutouts:
    """Return ``n`` cutouts of unknown gain."""
    _, problem = draw_problem(n, SEED, HIT)
    return Cutouts(problem.pixels, np.ones(n), problem.start, np.full(n, np.nan))


def fits(cutouts: Cutouts, dtype: str, copies: int, slots: int) -> Callable[[], Solution]:
    """Return the call that fits ``copies`` of the cutouts, all of it on the device."""
    fixed = np.zeros((len(cutouts.start), 7), bool)
    source, _ = to_source(*cutouts[:4], fixed, dtype)
    likelihood = Likelihood(cauchy, fit_gamma=False, expected=False)
    with jax.enable_x64(dtype == "float64"):
        many = jax.tree.map(lambda column: jnp.concatenate([jnp.asarray(column)] * copies), source)
        numbers = {
            "gamma": SETTINGS.gamma,
            "model_error": SETTINGS.model_error,
            "curvature": density(cauchy).curvature,
            "gamma_power": 1.0,
        }
        recipe = Recipe(
            max_iterations=jnp.asarray(SETTINGS.max_iterations, jnp.int32),
            **{name: jnp.asarray(number, dtype) for name, number in numbers.items()},
        )
        noise = jax.device_put(noise_of(noise_law(), None, SIDE, dtype))
        count = jnp.asarray(copies * len(fixed), jnp.int32)
    return in_type(dtype, fit_chunk, many, count, recipe, noise, likelihood, slots)


def operations_of_a_step() -> float:
    """Return the operations of one Newton step on a pixel, as XLA counts them."""
    given = jnp.ones(7, jnp.float32), jnp.ones((SIDE, SIDE), jnp.float32)
    counted: Any = jax.jit(whole_step).lower(*given).cost_analysis()
    return (counted["flops"] + TRANSCENDENTAL * counted["transcendentals"]) / SIDE**2


def compare_with_cpu(cutouts: Cutouts) -> None:
    """Print how far the device's fits are from the CPU's in float64."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        wanted = fit_batch(cutouts, SETTINGS._replace(dtype="float64", slots=CPU_SLOTS))
    errors = np.sqrt(np.diagonal(wanted.cov, axis1=1, axis2=2))
    rows = []
    for dtype in DTYPES:
        found = fit_batch(cutouts, SETTINGS._replace(dtype=dtype))
        off = np.max(np.abs(found.params - wanted.params) / errors, axis=1)
        rows.append((dtype, *(f"{np.quantile(off, q):.1e}" for q in (0.5, 0.99, 1.0))))
    print(f"device against CPU in float64, {len(off)} sources: largest difference in errors\n")
    print_table(("", "median source", "99 % within", "worst"), rows)


def row(name: str, timing: Timing, solution: Solution, limits: Limits) -> tuple[str, ...]:
    """Return the row of one type and number of slots."""
    dtype, slots = name.split()
    n_iter, status = np.asarray(solution.n_iter), np.asarray(solution.status)
    steps = n_iter.mean()
    rate = len(n_iter) / timing.median
    arithmetic = rate * steps * operations_of_a_step() * SIDE**2 / limits.arithmetic[dtype]
    floor = limits.bandwidth / (SIDE**2 * np.dtype(dtype).itemsize)
    return (
        dtype,
        slots,
        in_words(timing.first),
        in_words(timing.median),
        f"{rate:.3g}",
        f"{steps:.1f}, {np.median(n_iter):.0f}, {n_iter.max()}",
        f"{np.mean(status == FitStatus.CONVERGED):.2%}",
        f"{arithmetic:.1%}",
        f"{rate / floor:.1%}",
    )


HEADER = (
    "",
    "slots",
    "first call",
    "median",
    "sources a second",
    "steps: mean, median, most",
    "converged",
    "of the arithmetic",
    "of the memory floor",
)


def main() -> None:
    """Print the tables."""
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--n", type=int, default=N[kind()], help=f"sources, a multiple of {DISTINCT}"
    )
    parser.add_argument("--slots", type=int, nargs="*", default=SLOTS[kind()], help="fits in step")
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax", "jaxlib", "surveyfit")
    print(f"device: {jax.devices()[0].device_kind}\n")
    cutouts = draw_cutouts(COMPARED if options.quick else DISTINCT)
    n = len(cutouts.start)
    copies = 1 if options.quick else max(1, options.n // n)
    limits = measure_limits()
    print_limits(limits)
    contenders = {
        f"{dtype} {slots}": fits(cutouts, dtype, copies, slots)
        for dtype in DTYPES
        for slots in options.slots
    }
    found = compare(contenders)
    print(f"{copies * n} sources of {SIDE} x {SIDE} pixels\n")
    print_table(HEADER, [row(name, *result, limits) for name, result in found.items()])
    compare_with_cpu(Cutouts(*(column[:COMPARED] for column in cutouts[:4])))


def print_limits(limits: Limits) -> None:
    """Print what the shares are shares of."""
    print(f"reading and writing: {limits.bandwidth / 1e9:.0f} GB/s")
    for dtype, rate in limits.arithmetic.items():
        print(f"multiply-adds, {dtype}: {rate / 1e12:.3g} Tflop/s")
    counted = f"{operations_of_a_step():.0f} operations a step and pixel"
    print(f"a Newton step: {counted}, exp and log counted as {TRANSCENDENTAL}\n", flush=True)


if __name__ == "__main__":
    main()
