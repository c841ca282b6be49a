"""Count whole fits a second, and the wrong ones, beside other fitters on the same cutouts.

Usage: python benchmarks/whole_fits.py [--core 0] [--n 20000] [--peers-n 1000] [--hit 0.02]
                                       [--only NAME] [--quick]

Everyone gets the same cutouts of 32 x 32 pixels, the first ones of one seeded set, and the same
rough starts: Gaussian noise of 1, peak S/N 5 to 100 (log-uniform), sigma 1.5 to 2.2 pixels,
e up to 0.4, and ``--hit`` of the pixels 20 to 50 sigma off. surveyfit runs as it does for a
catalogue: `fit_batch` in float32 with its preparation, both covariances and quality numbers, and
the noise's law as source-free pixels show it; flags and flux errors, which follow on the host, have
their own line below the table.

Wrong: centre off by more than 1.5 pixels or flux by more than half. Spread: 1.4826 median
|fit - truth| / error about the median, over the fits that are not wrong; 1 where errors are true.
The median round of five sets the speed; the first call, which compiles, is given apart. scipy runs
with its options as they come, and tuned: Jacobian written out, parameters scaled.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from drawn_sources import Truth
from fitters import (
    astropy_modeling,
    optimistix_lm,
    photutils_psf,
    scipy_least_squares,
    surveyfit_batch,
)
from fitters.accuracy import accuracy
from fitters.measured import Measured, joined
from fitters.problem import SIDE, Problem, draw_problem
from timing import argument_parser, in_words, pin, print_setting, print_table

SEED = 3
ROUNDS = 5


class Fitter(NamedTuple):
    """A call that is timed, and one that reads its result; each of a problem."""

    fit: Callable[[Problem], Any]
    read: Callable[[Problem, Any], Measured]


class Run(NamedTuple):
    """What a fitter made of its cutouts.

    Attributes
    ----------
    first : float
        Seconds of the first call.
    seconds, reading : float
        Of a source, in the median round: the fit, and the reading of its result.
    measured : Measured
    """

    first: float
    seconds: float
    reading: float
    measured: Measured


def peer(fit: Callable[[Problem], Measured]) -> Fitter:
    """Return a fitter whose call hands back what is wanted."""
    return Fitter(fit, lambda _, measured: measured)


OURS = "surveyfit"
REFERENCE = "scipy cauchy"
PEERS = {
    REFERENCE: peer(scipy_least_squares.fit),
    "scipy cauchy, tuned": peer(scipy_least_squares.fit_tuned),
    "astropy": peer(astropy_modeling.fit),
    "photutils": peer(photutils_psf.fit),
    "optimistix LM cauchy": peer(optimistix_lm.fit),
}


def compare(tasks: dict[str, tuple[Fitter, Problem]]) -> dict[str, Run]:
    """Let fitters work through their cutouts, each a fifth of its own in every round.

    So a slow minute of the machine is slow for all. The first fifth runs twice: calls are compiled.
    """
    first = {name: _fit_part(*task, 0)[0] for name, task in tasks.items()}
    parts: dict[str, list[tuple[float, float, Measured]]] = {name: [] for name in tasks}
    for k in range(ROUNDS):
        for name, task in tasks.items():
            parts[name].append(_fit_part(*task, k))
    runs = {}
    for name, found in parts.items():
        fitting, reading, measured = zip(*found, strict=True)
        size = len(measured[0].flux)
        runs[name] = Run(
            first[name],
            float(np.median(fitting)) / size,
            float(np.median(reading)) / size,
            joined(measured),
        )
    return runs


def _fit_part(fitter: Fitter, problem: Problem, k: int) -> tuple[float, float, Measured]:
    """Return the seconds of fitting and of reading the k-th part, and what was measured."""
    size = len(problem.start) // ROUNDS
    part = problem.part(slice(k * size, (k + 1) * size))
    fitting, found = _timed(fitter.fit, part)
    reading, measured = _timed(fitter.read, part, found)
    return fitting, reading, measured


def _timed(call: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    start = perf_counter()
    found = call(*given)
    return perf_counter() - start, found


HEADER = (
    "fitter",
    "n",
    "fits a second",
    "x scipy cauchy",
    "first call",
    "wrong",
    "not flagged",
    "right but flagged",
    "flux error",
    "spread x0",
    "spread flux",
)


def main() -> None:
    """Print the table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="cutouts for surveyfit")
    parser.add_argument("--peers-n", type=int, default=1000, help="cutouts for each other fitter")
    parser.add_argument("--hit", type=float, default=0.02, help="share of the pixels spoilt")
    parser.add_argument("--only", choices=[OURS, *PEERS], nargs="*", default=[OURS, *PEERS])
    options = parser.parse_args()
    pin(options.core)
    print_setting("scipy", "astropy", "photutils", "jax", "optimistix", "surveyfit")
    n, peers_n = (100, 50) if options.quick else (options.n, options.peers_n)
    truth, problem = draw_problem(max(n, peers_n), SEED, options.hit)
    law = surveyfit_batch.sky_law(options.hit)
    ours = Fitter(partial(surveyfit_batch.fit, law=law), surveyfit_batch.read)
    fitters = {OURS: ours, **PEERS}
    sizes = dict.fromkeys(PEERS, peers_n) | {OURS: n}
    runs = compare(
        {name: (fitters[name], problem.part(slice(sizes[name]))) for name in options.only}
    )
    print(f"{SIDE} x {SIDE} pixels, {options.hit:.0%} of them hit\n")
    print_table(HEADER, [row(name, found, runs, truth) for name, found in runs.items()])
    if OURS in runs:
        reading = in_words(runs[OURS].reading)
        print(f"{OURS}: flags and flux errors take another {reading} a source")


def row(name: str, found: Run, runs: dict[str, Run], truth: Truth) -> tuple[str, ...]:
    """Return the row of one fitter."""
    faster = f"{runs[REFERENCE].seconds / found.seconds:.3g}" if REFERENCE in runs else "-"
    n, rate = str(len(found.measured.flux)), f"{1 / found.seconds:.0f}"
    return (name, n, rate, faster, in_words(found.first), *accuracy(truth, found.measured))


if __name__ == "__main__":
    main()
