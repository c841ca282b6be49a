"""Show whether sizes with the beam removed are true: sources of known size, 0 to 3 beams.

    python benchmarks/deconvolution.py [--quick] [--core 0]

An image holds sources whose true major axis is 0 (a point) to 3 times the beam's mean width and
whose true axis ratio is 0.3 to 1, smoothed by a beam of 5 x 4 pixels FWHM; the noise is either
smoothed by the same beam (a radio map) or independent from pixel to pixel. Our code measures all
of the noise, fits, and removes the beam. S/N is the peak after smoothing over the noise of a pixel.

Columns, lengths in beams: share of the GOOD rows by `deconv_code`; and for each axis, where it is
resolved, median of axis - truth, and mean and standard deviation of the pulls; where not, the share
of the limits that are not below the truth, limits below the truth as a share of all sources, and
median limit. The last line of a table is of the sources of all sizes together. Pulls of the
compactness stand above each table.
"""

from typing import NamedTuple

import numpy as np
from drawn_sources import Truth
from scipy.ndimage import gaussian_filter
from scipy.stats import median_abs_deviation
from simulated_images import Case, Fitted, Grid, measure_sources, white
from timing import argument_parser, pin, print_setting, print_table

from surveyfit.fit.derived import sky_quantities
from surveyfit.fit.flags import fit_flags
from surveyfit.schema import GOOD

FWHM = 2.3548200450309493
"""Of a Gaussian of unit sigma."""
BEAM = (5.0, 4.0, 90.0)
"""FWHM in pixels, and the angle of the major axis east of north: along x."""
MEAN_BEAM = float(np.sqrt(BEAM[0] * BEAM[1]))
SIZES = (0.0, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""True major axes, in mean beams."""
RATIOS = (0.3, 1.0)
"""Range of the true axis ratio."""
SNR = (10.0, 30.0, 100.0)
GRID = Grid(side=64, pitch=72, rows=64)
"""A source of three beams has a FWHM of 14 pixels: 5 sigmas to either side."""
X_WEST = np.array([[-1.0, 0.0], [0.0, 1.0]])
"""Arcsec a pixel: north up, east left."""


class Injected(NamedTuple):
    """True axes with the beam removed, FWHM in pixels (n,), and the sources as they appear."""

    size: np.ndarray
    major: np.ndarray
    minor: np.ndarray
    truth: Truth


def beam_noise(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise of 1, smoothed by the beam."""
    smooth = gaussian_filter(white(shape, rng), (BEAM[1] / FWHM, BEAM[0] / FWHM), mode="wrap")
    return smooth / smooth.std()


CASES = {"noise of the beam": Case(beam_noise), "independent pixels": Case(white)}


def inject(snr: float, rng: np.random.Generator, grid: Grid = GRID) -> Injected:
    """Draw sources of each of `SIZES`, in turn, and smooth them by the beam."""
    n = grid.rows**2
    size = np.resize(SIZES, n)
    major = size * MEAN_BEAM
    minor = major * rng.uniform(*RATIOS, n)
    angle = rng.uniform(0, np.pi, n)
    along = np.stack([np.cos(angle), np.sin(angle)], -1)
    across = np.stack([-along[:, 1], along[:, 0]], -1)
    shape = major[:, None, None] ** 2 * along[:, :, None] * along[:, None, :]
    shape += minor[:, None, None] ** 2 * across[:, :, None] * across[:, None, :]
    values, vectors = np.linalg.eigh(shape + np.diag(np.square(BEAM[:2])))
    middle = (grid.pitch - 1) / 2
    truth = Truth(
        x0=middle + rng.uniform(-0.5, 0.5, n),
        y0=middle + rng.uniform(-0.5, 0.5, n),
        amp=np.full(n, snr),
        major=np.sqrt(values[:, 1]) / FWHM,
        minor=np.sqrt(values[:, 0]) / FWHM,
        angle=np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]),
        bkg=np.zeros(n),
    )
    return Injected(size, major, minor, truth)


def measure(case: Case, snr: float, seed: int, grid: Grid = GRID) -> tuple[Injected, Fitted]:
    """Return sources of one S/N in one kind of noise, as they are and as they were fitted."""
    rng = np.random.default_rng(seed)
    injected = inject(snr, rng, grid)
    return injected, measure_sources(injected.truth, case, rng, grid)


def deconvolve(fitted: Fitted) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return which rows (n,) are GOOD, and what the catalogue says of the shapes."""
    n = len(fitted.truth.amp)
    jacobian, beam = np.tile(X_WEST, (n, 1, 1)), np.tile(BEAM, (n, 1))
    found = sky_quantities(fitted.result.params, fitted.result.cov, jacobian, beam)
    return (fit_flags(fitted.cutouts, fitted.result) & GOOD) == 0, found


def compactness_pulls(injected: Injected, found: dict[str, np.ndarray]) -> np.ndarray:
    """Return (compactness - truth) / error (n,)."""
    area = FWHM**2 * injected.truth.major * injected.truth.minor
    return (found["compactness"] - MEAN_BEAM**2 / area) / found["compactness_err"]


class Axis(NamedTuple):
    """What became of one axis: resolved ones have a pull, the others a limit."""

    pulls: np.ndarray
    offsets: np.ndarray
    limits: np.ndarray
    holds: np.ndarray


def judge(value: np.ndarray, error: np.ndarray, true: np.ndarray) -> Axis:
    """Compare an axis with its truth; where there is no error, the value is a limit."""
    resolved = np.isfinite(error)
    offsets = (value - true)[resolved]
    limits = value[~resolved]
    return Axis(offsets / error[resolved], offsets, limits, limits >= true[~resolved])


def row(label: str, injected: Injected, found: dict[str, np.ndarray], chosen: np.ndarray) -> list:
    """Return one line of the table, of the chosen sources (n,)."""
    code = found["deconv_code"][chosen]
    shares = " / ".join(f"{100 * np.mean(code == k):.1f}" for k in (0, 1, 2))
    cells = []
    for name, true in (("maj_axis_deconv", injected.major), ("min_axis_deconv", injected.minor)):
        axis = judge(found[name][chosen], found[f"{name}_err"][chosen], true[chosen])
        broken = 100 * np.count_nonzero(~axis.holds) / max(1, len(code))
        cells += [
            text(np.median, axis.offsets / MEAN_BEAM, "+.3f"),
            f"{text(np.mean, axis.pulls, '+.2f')} / {text(np.std, axis.pulls, '.2f')}",
            f"{text(np.mean, 100 * axis.holds, '.1f')} / {broken:.1f}",
            text(np.median, axis.limits / MEAN_BEAM, ".2f"),
        ]
    return [label, shares, *cells]


FEWEST = 20
"""Of which a mean is given."""


def text(of: object, values: np.ndarray, form: str) -> str:
    """Return a statistic of values as text; a dash where there are too few."""
    assert callable(of)
    return f"{of(values):{form}}" if len(values) >= FEWEST else "-"


WORDS = ("offset", "pull mean / sd", "limits hold / broken %", "limit")
HEADER = ("true", "code 0 / 1 / 2 %", *(f"{a}: {w}" for a in ("major", "minor") for w in WORDS))
"""Lengths in beams."""


def main() -> None:
    """Print a table for each kind of noise and S/N."""
    parser = argument_parser(__doc__)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax", "scipy", "sep")
    grid = GRID._replace(rows=24) if options.quick else GRID
    for name, case in CASES.items():
        for snr in SNR:
            injected, fitted = measure(case, snr, options.seed, grid)
            good, found = deconvolve(fitted)
            pull = compactness_pulls(injected, found)[good]
            robust = median_abs_deviation(pull, scale="normal")
            print(
                f"{name}, S/N {snr:g}: {good.mean():.1%} of {len(good)} GOOD; pulls of compactness:"
            )
            print(f"mean {pull.mean():+.2f}, sd {pull.std():.2f}, 1.4826 MAD {robust:.2f}\n")
            rows = [row(f"{z:g}", injected, found, good & (injected.size == z)) for z in SIZES]
            print_table(HEADER, [*rows, row("all", injected, found, good)])


if __name__ == "__main__":
    main()
