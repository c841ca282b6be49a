"""Count the fits that are wrong and do not say so: outliers on sources of three sizes.

    python benchmarks/robustness.py [--n 16384] [--quick] [--core 0]

Cutouts with Gaussian noise of 1, peak S/N 5-100, rough starts; 0, 2 or 10 % of the pixels are hit
by 20-50 noises of either sign. Sides are those that `surveyfit submit` would cut. Counted are

- wrong: centre off by more than 1.5 pixels or flux by more than half, in a GOOD row; and how many
  of these lie within 4 of their published errors: faint sources, as uncertain as they say;
- unfinished: iterations ran out, or no step lowers the likelihood;
- lost: right, but outside GOOD, and the flags that say so.

Below each row the first wrong ones, with what reproduces them.
"""

from typing import NamedTuple

import numpy as np
from drawn_sources import SIZES, Truth, draw_sources, outliers, rough_starts
from timing import argument_parser, pin, print_setting, print_table

from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.fit.derived import pixel_quantities
from surveyfit.fit.flags import fit_flags
from surveyfit.fit.result import FitResult
from surveyfit.schema import GOOD, FitStatus, Flag

SNR = (5.0, 100.0)
SHARES = (0.0, 0.02, 0.1)
"""Of the pixels that are hit."""

WRONG_CENTRE = 1.5
"""Pixels."""
WRONG_FLUX = 0.5
"""Of the true flux."""
EXPLAINED = 4.0
"""Published errors."""
UNFINISHED = (FitStatus.MAX_ITERATIONS, FitStatus.STALLED)
SHOWN = 3
"""Wrong fits printed for each row of the table."""


class Population(NamedTuple):
    """Sources of sigma ``sizes`` (pixels) in cutouts of ``side``; a share of the number asked."""

    sizes: tuple[float, float]
    side: int
    share: float = 1.0


POPULATIONS = (
    Population(SIZES, 32),
    Population((1.0, 1.0), 32),
    # Each has 16 times the pixels.
    Population((6.0, 6.0), 128, share=1 / 8),
)


class Trial(NamedTuple):
    """Fits and what became of them; the last five are arrays (n,)."""

    truth: Truth
    result: FitResult
    flags: np.ndarray
    centre_error: np.ndarray
    flux_ratio: np.ndarray
    explained: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        """Whether centre or flux is wrong, or missing."""
        near = self.centre_error <= WRONG_CENTRE
        return ~(near & (np.abs(self.flux_ratio - 1) <= WRONG_FLUX))

    @property
    def good(self) -> np.ndarray:
        """Whether the row is one to be taken without reading further."""
        return (self.flags & GOOD) == 0

    @property
    def unfinished(self) -> np.ndarray:
        """Whether the iteration did not end well."""
        return np.isin(self.result.status, UNFINISHED)


def draw(population: Population, hit: float, n: int, seed: int) -> tuple[Truth, Cutouts]:
    """Return sources and their cutouts, ``hit`` of the pixels outliers."""
    rng = np.random.default_rng(seed)
    side = population.side
    truth = draw_sources(n, rng, side, SNR, population.sizes)
    pixels = truth.images(side) + rng.standard_normal((n, side, side))
    pixels += outliers(pixels.shape, hit, rng)
    start = rough_starts(truth, rng)
    return truth, Cutouts(pixels.astype(np.float32), np.ones(n), start, np.full(n, np.nan))


def attempt(truth: Truth, cutouts: Cutouts, settings: FitSettings | None = None) -> Trial:
    """Fit the cutouts and compare with the truth."""
    result = fit_batch(cutouts, settings)
    derived = pixel_quantities(result.params, result.cov)
    off = result.params[:, :2] - np.stack([truth.x0, truth.y0], 1)
    errors = np.sqrt(np.diagonal(result.cov, axis1=1, axis2=2))[:, :2]
    flux_pull = (derived["flux_int"] - truth.flux()) / derived["flux_int_err"]
    return Trial(
        truth,
        result,
        fit_flags(cutouts, result),
        np.hypot(*off.T),
        derived["flux_int"] / truth.flux(),
        (np.abs(off) < EXPLAINED * errors).all(axis=1) & (np.abs(flux_pull) < EXPLAINED),
    )


def names_of(flags: np.ndarray) -> str:
    """Return the flags outside GOOD and how many rows carry each, the most frequent first."""
    counts = {flag: np.count_nonzero(flags & flag) for flag in Flag if flag & GOOD}
    ordered = sorted(counts, key=lambda flag: -counts[flag])
    return ", ".join(f"{flag.name} {counts[flag]}".lower() for flag in ordered if counts[flag])


def row_of(population: Population, hit: float, trial: Trial) -> tuple[str, ...]:
    """Return one row of the table."""
    n, passed = len(trial.good), trial.wrong & trial.good
    right = ~trial.wrong
    lost = right & ~trial.good
    low, high = population.sizes
    return (
        f"{low:g}" if low == high else f"{low:g}-{high:g}",
        str(population.side),
        f"{hit:.0%}",
        str(n),
        f"{1000 * passed.mean():.2f} ({np.count_nonzero(passed & trial.explained)} within errors)",
        f"{1000 * trial.unfinished.mean():.2f}",
        f"{lost.sum() / right.sum():.2%}",
        names_of(trial.flags[lost]),
        f"{100 * (trial.wrong & ~trial.good).mean():.2f} %",
    )


HEADER = (
    *("sigma", "side", "hit", "sources", "wrong per 1000", "unfinished per 1000"),
    *("lost", "lost by", "wrong and flagged"),
)


def print_wrong(trial: Trial, seed: int) -> None:
    """Print the first wrong fits that carry no flag."""
    np.set_printoptions(precision=2, suppress=True, linewidth=150)
    for i in np.flatnonzero(trial.wrong & trial.good)[:SHOWN]:
        ratio, off = trial.flux_ratio[i], trial.centre_error[i]
        print(f"seed {seed} index {i}: flux x {ratio:.2f}, centre off by {off:.2f} pixels")
        print(f"  true   {trial.truth.params()[i]}")
        print(f"  fitted {trial.result.params[i]}")


def main() -> None:
    """Print the wrong ones of each population, then the table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--n", type=int, default=16384, help="sources in each row of the table")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax")
    n = 512 if options.quick else options.n
    rows = []
    for population in POPULATIONS:
        for hit in SHARES:
            count = round(n * population.share)
            trial = attempt(*draw(population, hit, count, options.seed))
            rows.append(row_of(population, hit, trial))
            print(f"sigma {rows[-1][0]}, {hit:.0%} hit:")
            print_wrong(trial, options.seed)
    print_table(HEADER, rows)


if __name__ == "__main__":
    main()
