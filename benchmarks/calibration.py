"""Show whether the published errors are true: pulls, (fit - truth) / error, in six kinds of noise.

    python benchmarks/calibration.py [--images 4] [--quick] [--core 0]

An image holds 4096 isolated sources of sigma 1.5-2.2 pixels and e up to 0.4; our code measures
all of its noise (benchmarks/simulated_images.py). For each quantity: mean and standard deviation
of the pulls of the GOOD rows, 1.4826 MAD, and the share within one error. An asterisk marks what
leaves its band: at peak S/N 10-100 both spreads within 0.95-1.05 and the mean within 0.05, at 5-10
the spreads within 0.90-1.10; the share within 3 % of 68 %. The last table is the negative control,
the plain inverse Hessian in correlated noise.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import median_abs_deviation
from simulated_images import CASES, Case, Fitted, measure_image
from timing import argument_parser, pin, print_setting, print_table

from surveyfit.fit.derived import pixel_quantities
from surveyfit.fit.flags import fit_flags
from surveyfit.schema import GOOD

BRIGHT, FAINT = (10.0, 100.0), (5.0, 10.0)
"""Ranges of peak S/N."""
FWHM = 2.3548
"""Of a Gaussian of unit sigma."""
ELONGATED = 5.0
"""The axes are judged where the true e is at least this many times its published error: those of
rounder sources are biased, since the longer one is the major one by construction. To choose by the
fitted e would prefer the sources whose e came out too large."""
FEWEST = 1000
"""Pulls without which a spread is not known to 2.5 % and is not judged."""


class Band(NamedTuple):
    """How far from 1 both spreads may be, the mean from 0, and the share within 1 from 68.3 %."""

    spread: float
    mean: float
    coverage: float = 0.03


BANDS = {BRIGHT: Band(0.05, 0.05), FAINT: Band(0.10, np.inf)}


class Spread(NamedTuple):
    """Number, mean, standard deviation, 1.4826 MAD of pulls, and the share of them within 1."""

    number: int
    mean: float
    deviation: float
    robust: float
    coverage: float

    def outside(self, band: Band) -> list[str]:
        """Return the names of the numbers that leave the band."""
        off = {
            "mean": abs(self.mean) > band.mean,
            "deviation": abs(self.deviation - 1) > band.spread,
            "robust": abs(self.robust - 1) > band.spread,
            "coverage": abs(self.coverage - 0.6827) > band.coverage,
        }
        return [name for name, is_off in off.items() if is_off and self.number >= FEWEST]


def spread_of(values: np.ndarray) -> Spread:
    """Return the spread of pulls (n,)."""
    if not len(values):
        return Spread(0, np.nan, np.nan, np.nan, np.nan)
    robust = median_abs_deviation(values, scale="normal")
    return Spread(len(values), values.mean(), values.std(), robust, np.mean(np.abs(values) < 1))


def pulls(fitted: Fitted, covariance: np.ndarray) -> dict[str, np.ndarray]:
    """Return (fit - truth) / error of the GOOD rows, with errors from ``covariance`` (n, 7, 7)."""
    good = is_good(fitted)
    params, cov, truth = fitted.result.params[good], covariance[good], fitted.truth
    errors = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    x0, y0, _, sigma, rho, diff, _ = ((params - truth.params()[good]) / errors).T
    derived = pixel_quantities(params, cov)

    def pull(name: str, true: np.ndarray) -> np.ndarray:
        return (derived[name] - true[good]) / derived[f"{name}_err"]

    axes = {"maj_pix": FWHM * truth.major, "min_pix": FWHM * truth.minor}
    elongated = is_elongated(truth.params()[good], cov)
    return {
        "x0": x0,
        "y0": y0,
        "flux_int": pull("flux_int", truth.flux()),
        "sigma": sigma,
        "rho": rho,
        "diff": diff,
        **{name: pull(name, true)[elongated] for name, true in axes.items()},
    }


def is_good(fitted: Fitted) -> np.ndarray:
    """Return whether each row (n,) is one to be taken without reading further."""
    return (fit_flags(fitted.cutouts, fitted.result) & GOOD) == 0


def is_elongated(params: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return whether e (n,) of ``params`` is at least ELONGATED of its errors (delta method)."""
    rho, diff = params[:, 4], params[:, 5]
    e = np.hypot(diff, rho / 2)
    slope = np.stack([rho / 4, diff], 1) / e[:, None]
    return e > ELONGATED * np.sqrt(np.einsum("ni,nij,nj->n", slope, cov[:, 4:6, 4:6], slope))


def measure(case: Case, snr: tuple[float, float], images: int, seed: int) -> list[Fitted]:
    """Return the sources of ``images`` images."""
    return [measure_image(case, snr, seed + i) for i in range(images)]


def spreads(fields: list[Fitted], covariance: str = "cov") -> dict[str, Spread]:
    """Return the spread of each quantity, with the errors of that field of `FitResult`."""
    found = [pulls(field, getattr(field.result, covariance)) for field in fields]
    return {name: spread_of(np.concatenate([f[name] for f in found])) for name in found[0]}


def failures(found: dict[str, Spread], band: Band) -> list[str]:
    """Return what leaves the band, in words."""
    return [
        f"{name}: {word} {getattr(spread, word):.3f}"
        for name, spread in found.items()
        for word in spread.outside(band)
    ]


def print_spreads(title: str, fields: list[Fitted], band: Band, covariance: str = "cov") -> None:
    """Print one table."""
    good = np.concatenate([is_good(field) for field in fields])
    noise = np.median(np.concatenate([field.cutouts.noise for field in fields]))
    print(f"{title}: {len(good)} sources, {good.mean():.2%} GOOD, measured noise {noise:.3f}")
    rows = []
    for name, spread in spreads(fields, covariance).items():
        off = spread.outside(band)
        cells = [
            f"{getattr(spread, word):{'+' if word == 'mean' else ''}.3f}{'*' * (word in off)}"
            for word in spread._fields[1:]
        ]
        rows.append([name, str(spread.number), *cells])
    print_table(("pull of", "number", "mean", "sd", "1.4826 MAD", "within 1"), rows)


def main() -> None:
    """Print a table for each kind of noise and range of S/N."""
    parser = argument_parser(__doc__)
    parser.add_argument("--images", type=int, default=4, help="of 4096 sources, for each table")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax", "scipy", "sep")
    images = 1 if options.quick else options.images
    for snr, band in BANDS.items():
        for name, case in CASES.items():
            fields = measure(case, snr, images, options.seed)
            print_spreads(f"{name}, S/N {snr[0]:g}-{snr[1]:g}", fields, band)
            if snr == BRIGHT and name == "4-pixel beam":
                correlated = fields
    print_spreads("negative control, inverse Hessian", correlated, BANDS[BRIGHT], "cov_crb")


if __name__ == "__main__":
    main()
