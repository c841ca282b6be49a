"""Tabulate what the scale of the likelihood, gamma, and the model error f cost and save.

    python benchmarks/gamma_table.py [--n 4096] [--output table.md] [--quick] [--core 0]

The same sources (peak S/N 5-100) in the same noise are fitted with every gamma and f, under five
conditions: clean Gaussian noise; 2 % and 10 % of the pixels hit by 20-50 noises; a neighbour of
0.1-1 times the peak 6-10 pixels away, not masked; noise smoothed to a beam of 4 pixels. A cell
holds

- efficiency: variance of least squares over ours, of (1.4826 MAD)^2, mean over x0, y0 and flux;
  least squares is the fit with an endless gamma to the clean pixels, or to the smoothed noise;
- bias: median error of the flux, in errors of that least-squares fit;
- failures per 1000: centre off by more than 1.5 pixels, flux by more than half, or not finished,
  whether flagged or not.
"""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
from drawn_sources import Truth, draw_sources, outliers, rough_starts
from robustness import Trial, attempt
from scipy.ndimage import gaussian_filter
from scipy.stats import median_abs_deviation
from timing import argument_parser, pin, print_setting, print_table

from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.fit.derived import pixel_quantities

GAMMAS = (0.6, 1.0, 1.5, 2.0, 2.4, 3.0, 4.0)
MODEL_ERRORS = (0.0, 0.02, 0.05, 0.1)
ENDLESS = FitSettings(gamma=1e3, model_error=0.0, dtype="float64")
"""The loss of a residual far below gamma is its square."""
SIDE = 32
SNR = (5.0, 100.0)
BEAM_SIGMA = 4.0 / 2.3548
"""Of a beam of 4 pixels FWHM."""
NEIGHBOUR_PEAK, NEIGHBOUR_DISTANCE = (0.1, 1.0), (6.0, 10.0)


class Condition(NamedTuple):
    """Pixels as every gamma gets them, and those that least squares gets; (n, SIDE, SIDE)."""

    pixels: np.ndarray
    reference: np.ndarray


class Yardstick(NamedTuple):
    """Errors of least squares (n, 3) for x0, y0 and flux, and the spread (3,) in units of them."""

    errors: np.ndarray
    spread: np.ndarray


def conditions(truth: Truth, rng: np.random.Generator) -> dict[str, Condition]:
    """Return the five conditions for the same sources."""
    images = truth.images(SIDE)
    clean = images + rng.standard_normal(images.shape)
    smooth = gaussian_filter(rng.standard_normal(images.shape), (0, BEAM_SIGMA, BEAM_SIGMA))
    correlated = images + smooth / smooth.std()
    return {
        "clean": Condition(clean, clean),
        "2 % hit": Condition(clean + outliers(clean.shape, 0.02, rng), clean),
        "10 % hit": Condition(clean + outliers(clean.shape, 0.1, rng), clean),
        "neighbour": Condition(clean + _neighbours(truth, rng), clean),
        "4-pixel beam": Condition(correlated, correlated),
    }


def _neighbours(truth: Truth, rng: np.random.Generator) -> np.ndarray:
    """Return images (n, SIDE, SIDE) of a source beside each source, of the same shape."""
    n = len(truth.amp)
    distance, angle = rng.uniform(*NEIGHBOUR_DISTANCE, n), rng.uniform(0, 2 * np.pi, n)
    low, high = np.log(NEIGHBOUR_PEAK)
    beside = truth._replace(
        x0=truth.x0 + distance * np.cos(angle),
        y0=truth.y0 + distance * np.sin(angle),
        amp=truth.amp * np.exp(rng.uniform(low, high, n)),
    )
    return beside.images(SIDE)


def cutouts_of(pixels: np.ndarray, start: np.ndarray) -> Cutouts:
    """Return cutouts of noise 1."""
    n = len(pixels)
    return Cutouts(pixels, np.ones(n), start, np.full(n, np.nan))


def offsets(trial: Trial) -> np.ndarray:
    """Return (n, 3): fit less truth of x0, y0 and flux."""
    truth, params = trial.truth, trial.result.params
    flux = trial.flux_ratio * truth.flux()
    fitted = np.stack([params[:, 0], params[:, 1], flux], 1)
    return fitted - np.stack([truth.x0, truth.y0, truth.flux()], 1)


def yardstick(trial: Trial) -> Yardstick:
    """Return what least squares is worth."""
    result = trial.result
    flux_error = pixel_quantities(result.params, result.cov)["flux_int_err"]
    errors = np.sqrt(np.stack([result.cov[:, 0, 0], result.cov[:, 1, 1], flux_error**2], 1))
    return Yardstick(errors, _spread(offsets(trial) / errors))


def _spread(scaled: np.ndarray) -> np.ndarray:
    """Return 1.4826 MAD of each column; fits without numbers do not count."""
    return median_abs_deviation(scaled, axis=0, scale="normal", nan_policy="omit")


def cell(trial: Trial, stick: Yardstick) -> str:
    """Return efficiency, bias and failures of one gamma and f under one condition."""
    scaled = offsets(trial) / stick.errors
    efficiency = np.mean((stick.spread / _spread(scaled)) ** 2)
    bias = np.nanmedian(scaled[:, 2]) / stick.spread[2]
    failures = 1000 * np.mean(trial.wrong | trial.unfinished)
    return f"{efficiency:.1%}, {bias:+.2f}, {failures:.1f}"


def table(truth: Truth, start: np.ndarray, condition: Condition) -> Iterator[tuple[str, ...]]:
    """Yield a row for each gamma, a cell for each f."""
    stick = yardstick(attempt(truth, cutouts_of(condition.reference, start), ENDLESS))
    cutouts = cutouts_of(condition.pixels, start)
    for gamma in GAMMAS:
        trials = (
            attempt(truth, cutouts, FitSettings(gamma=gamma, model_error=f)) for f in MODEL_ERRORS
        )
        yield (f"{gamma:g}", *(cell(trial, stick) for trial in trials))


def print_tables(n: int, seed: int) -> None:
    """Print one table for each condition."""
    print_setting("jax", "scipy")
    rng = np.random.default_rng(seed)
    truth = draw_sources(n, rng, SIDE, SNR)
    start = rough_starts(truth, rng)
    print(f"{n} sources; each cell: efficiency, bias in errors, failures per 1000\n")
    for name, condition in conditions(truth, rng).items():
        print(f"### {name}\n")
        header = ("gamma", *(f"f = {f:g}" for f in MODEL_ERRORS))
        print_table(header, list(table(truth, start, condition)))


def main() -> None:
    """Print the tables, or write them to a file."""
    parser = argument_parser(__doc__)
    parser.add_argument("--n", type=int, default=4096, help="sources in each cell")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="Markdown file to write; default: print")
    options = parser.parse_args()
    pin(options.core)
    n = 128 if options.quick else options.n
    if options.output is None:
        print_tables(n, options.seed)
        return
    with options.output.open("w") as file, redirect_stdout(file):
        print_tables(n, options.seed)
    print(f"written to {options.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
