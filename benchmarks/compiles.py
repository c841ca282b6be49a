"""Tell how long and how often the fits of a run compile, and how much memory cutouts take.

    python benchmarks/compiles.py --core 0

Fits cutouts of the three sides of a run, 32, 64 and 128 pixels, in a fresh process without a
compilation cache, then twice as many of them: what was compiled for a side serves any number.
"""

import resource
import time
from typing import Any

import numpy as np
from timing import argument_parser, pin, print_setting

SIDES = (32, 64, 128)
MIB = 1024.0


def peak_memory() -> float:
    """Return the peak resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def main() -> None:
    """Fit, count and print."""
    parser = argument_parser(__doc__)
    parser.add_argument("--n", type=int, default=1000, help="cutouts of each side")
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax")
    n = 100 if options.quick else options.n

    import jax

    from surveyfit.fit.batch import fit_batch
    from surveyfit.fit.cutouts import Cutouts

    compiled: list[tuple[str, float]] = []

    def listen(event: str, seconds: float, **about: Any) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append((str(about.get("fun_name")), seconds))

    jax.config.update("jax_enable_compilation_cache", False)
    jax.monitoring.register_event_duration_secs_listener(listen)
    print(" side  cutouts  seconds  compiles  compiling  peak MiB")
    for side in SIDES:
        for count in (n, 2 * n):
            rng = np.random.default_rng(side)
            pixels = rng.normal(size=(count, side, side)).astype(np.float32)
            start = np.tile([side / 2, side / 2, 20.0, side / 16, 0.0, 0.0, 0.0], (count, 1))
            y, x = np.mgrid[:side, :side] - side / 2
            pixels += 20 * np.exp(-(x**2 + y**2) / (2 * (side / 16) ** 2)).astype(np.float32)
            before, began, memory = len(compiled), time.perf_counter(), peak_memory()
            fit_batch(Cutouts(pixels, np.ones(count), start, np.full(count, np.nan)))
            took = time.perf_counter() - began
            seconds = sum(s for _, s in compiled[before:])
            print(
                f"{side:5} {count:8} {took:8.1f} {len(compiled) - before:9} {seconds:10.1f}"
                f" {peak_memory():9.0f}  (+{peak_memory() - memory:.0f})",
                flush=True,
            )
    large = [(name, s) for name, s in compiled if s > 0.1]
    print(f"\n{len(compiled)} compiles, {len(large)} of them over 0.1 s:")
    for name, seconds in large:
        print(f"  {seconds:5.1f} s  {name}")


if __name__ == "__main__":
    main()
