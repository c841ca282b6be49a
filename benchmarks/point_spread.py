"""Fit Gaussians to Moffat profiles, as real point-spread functions are, beside least squares.

    python benchmarks/point_spread.py [--n 128] [--gamma 2.4] [--quick] [--core 0]

Moffat profiles of beta 2.5-5 and 4 pixels FWHM, sampled at the pixel centres, S/N 10-3000, centres
anywhere in a pixel, in noise of 1; with and without 2 % of outliers of 20-50 noises. The reference
is the same elliptical Gaussian fitted by least squares (scipy) to the same pixels without outliers.

For each model error f: how much worse than least squares the flux is at worst, over all beta and
S/N. Worse means |mean flux / truth - 1| less the same of least squares, over the rows that are not
flagged model_mismatch. Then, for the default f, every beta and S/N. Positions: distance of the mean
fitted centre from the mean true one; and the largest error of a fit to pixels without noise.
"""

from typing import NamedTuple

import numpy as np
from drawn_sources import Truth, outliers, rough_starts
from scipy.optimize import least_squares
from timing import argument_parser, pin, print_setting, print_table

from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.fit.derived import pixel_quantities
from surveyfit.fit.flags import fit_flags
from surveyfit.schema import Flag

SIDE = 32
FWHM = 4.0
BETAS = (2.5, 3.0, 4.0, 5.0)
SNRS = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
MODEL_ERRORS = (0.0, 0.02, 0.03, 0.05, 0.1)
HIT = 0.02


class Stars(NamedTuple):
    """Stars of one beta and S/N: truth (as if Gaussian), integrated flux, and their pixels."""

    truth: Truth
    flux: float
    noiseless: np.ndarray
    clean: np.ndarray
    spoilt: np.ndarray


class Measured(NamedTuple):
    """Means over the stars that are not flagged, beside those of least squares (``_ls``).

    Peak and integrated flux over the true ones less 1, distance of the mean centre (pixels).
    """

    flagged: float
    peak: float
    flux: float
    centre: float
    peak_ls: float
    flux_ls: float

    @property
    def excess(self) -> float:
        """How much further from the truth than least squares, the worse of the two fluxes."""
        peak, flux = abs(self.peak) - abs(self.peak_ls), abs(self.flux) - abs(self.flux_ls)
        return max(peak, flux)


def draw_stars(beta: float, snr: float, n: int, seed: int) -> Stars:
    """Return ``n`` stars in noise of 1, with and without outliers."""
    rng = np.random.default_rng(seed)
    x0, y0 = (SIDE - 1) / 2 + rng.uniform(-0.5, 0.5, (2, n))
    core2 = (0.5 * FWHM) ** 2 / (2 ** (1 / beta) - 1)
    y, x = np.mgrid[:SIDE, :SIDE]
    r2 = (x - x0[:, None, None]) ** 2 + (y - y0[:, None, None]) ** 2
    noiseless = snr * (1 + r2 / core2) ** -beta
    clean = noiseless + rng.standard_normal(noiseless.shape)
    spoilt = clean + outliers(clean.shape, HIT, rng)
    zero, sigma = np.zeros(n), np.full(n, FWHM / 2.3548)
    truth = Truth(x0, y0, np.full(n, snr), sigma, sigma, zero, zero)
    return Stars(truth, np.pi * core2 * snr / (beta - 1), noiseless, clean, spoilt)


def least_squares_fits(stars: Stars) -> np.ndarray:
    """Return the parameters (n, 7) of the Gaussians that fit the clean pixels best."""
    y, x = np.mgrid[:SIDE, :SIDE]

    def residual(p: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        model, _ = _gaussian(p, x, y)
        return (model - pixels).ravel()

    def jacobian(p: np.ndarray, _: np.ndarray) -> np.ndarray:
        return _gaussian(p, x, y)[1].reshape(7, -1).T

    starts = stars.truth.params()
    fits = [
        least_squares(residual, start, jacobian, x_scale="jac", args=(pixels,))
        for start, pixels in zip(starts, stars.clean, strict=True)
    ]
    return np.array([fit.x for fit in fits])


def _gaussian(p: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the model (side, side) and its derivatives (7, side, side)."""
    x0, y0, amp, sigma, rho, diff, bkg = p
    dx, dy = x - x0, y - y0
    form = dx**2 + dy**2 + rho * dx * dy + diff * (dx**2 - dy**2)
    shape = np.exp(-form / (2 * sigma**2))
    slope = amp * shape / sigma**2
    columns = (
        slope * ((1 + diff) * dx + 0.5 * rho * dy),
        slope * ((1 - diff) * dy + 0.5 * rho * dx),
        shape,
        slope * form / sigma,
        -0.5 * slope * dx * dy,
        -0.5 * slope * (dx**2 - dy**2),
        np.ones_like(shape),
    )
    return amp * shape + bkg, np.stack(columns)


def flux_of(params: np.ndarray) -> np.ndarray:
    """Return the integrated flux (n,) of Gaussians (n, 7)."""
    _, _, amp, sigma, rho, diff, _ = params.T
    return 2 * np.pi * amp * sigma**2 / np.sqrt(1 - diff**2 - 0.25 * rho**2)


def cutouts_of(stars: Stars, pixels: np.ndarray, seed: int) -> Cutouts:
    """Return cutouts with rough starts."""
    n = len(pixels)
    start = rough_starts(stars.truth, np.random.default_rng(seed))
    return Cutouts(pixels.astype(np.float32), np.ones(n), start, np.full(n, np.nan))


def measure(
    stars: Stars, pixels: np.ndarray, reference: np.ndarray, settings: FitSettings
) -> Measured:
    """Fit and compare with the parameters (n, 7) of least squares."""
    cutouts = cutouts_of(stars, pixels, seed=1)
    result = fit_batch(cutouts, settings)
    flagged = (fit_flags(cutouts, result) & Flag.MODEL_MISMATCH) != 0
    kept, reference = result.params[~flagged], reference[~flagged]
    if not len(kept):
        return Measured(1.0, *[np.nan] * 5)
    peak = stars.truth.amp[0]
    flux = pixel_quantities(kept, result.cov[~flagged])["flux_int"]
    off = kept[:, :2] - np.stack([stars.truth.x0, stars.truth.y0], 1)[~flagged]
    return Measured(
        flagged.mean(),
        kept[:, 2].mean() / peak - 1,
        flux.mean() / stars.flux - 1,
        np.hypot(*off.mean(axis=0)),
        reference[:, 2].mean() / peak - 1,
        flux_of(reference).mean() / stars.flux - 1,
    )


def noiseless_error(stars: Stars, settings: FitSettings) -> float:
    """Return the largest error of a centre, in pixels, where there is no noise."""
    params = fit_batch(cutouts_of(stars, stars.noiseless, 1), settings).params
    return float(np.hypot(params[:, 0] - stars.truth.x0, params[:, 1] - stars.truth.y0).max())


Fields = dict[tuple[float, float], tuple[Stars, np.ndarray]]
"""Stars and their least-squares fits, by beta and S/N."""


def worst(fields: Fields, settings: FitSettings) -> tuple[str, ...]:
    """Return a row of the table of model errors."""
    cells = [f"{settings.model_error:g}"]
    for name in ("clean", "spoilt"):
        found = {
            at: measure(stars, getattr(stars, name), reference, settings)
            for at, (stars, reference) in fields.items()
        }
        beta, snr = max(found, key=lambda at: np.nan_to_num(found[at].excess, nan=-1.0))
        flagged = np.mean([m.flagged for m in found.values()])
        centre = np.nanmax([m.centre for (_, snr), m in found.items() if snr > SNRS[0]])
        cells += [
            f"{found[beta, snr].excess:+.2%} (beta {beta:g}, S/N {snr:g})",
            f"{flagged:.1%}",
            f"{centre:.4f}",
        ]
    return (*cells, f"{max(noiseless_error(stars, settings) for stars, _ in fields.values()):.4f}")


def details(fields: Fields, settings: FitSettings) -> list[tuple[str, ...]]:
    """Return a row for every beta and S/N."""
    rows = []
    for (beta, snr), (stars, reference) in fields.items():
        clean, spoilt = (
            measure(stars, p, reference, settings) for p in (stars.clean, stars.spoilt)
        )
        numbers = (clean.peak_ls, clean.peak, spoilt.peak, clean.flux_ls, clean.flux, spoilt.flux)
        shares = (clean.flagged, spoilt.flagged)
        rows.append(
            (
                f"{beta:g}",
                f"{snr:g}",
                *(f"{value:+.2%}" for value in numbers),
                *(f"{value:.0%}" for value in shares),
                f"{clean.centre:.4f}",
            )
        )
    return rows


def main() -> None:
    """Print the table of model errors, then that of the default one."""
    parser = argument_parser(__doc__)
    parser.add_argument("--n", type=int, default=128, help="stars of each beta and S/N")
    parser.add_argument("--gamma", type=float, default=FitSettings().gamma)
    options = parser.parse_args()
    pin(options.core)
    print_setting("jax", "scipy")
    n = 8 if options.quick else options.n
    fields = {}
    for i, (beta, snr) in enumerate((beta, snr) for beta in BETAS for snr in SNRS):
        stars = draw_stars(beta, snr, n, seed=i)
        fields[beta, snr] = stars, least_squares_fits(stars)
    columns = ("worst excess", "flagged", "centre above S/N 10")
    header = ("f", *columns, *(f"{name}, 2 % hit" for name in columns), "centre without noise")
    settings = [FitSettings(gamma=options.gamma, model_error=f) for f in MODEL_ERRORS]
    print_table(header, [worst(fields, one) for one in settings])
    default = FitSettings(gamma=options.gamma)
    print(f"f = {default.model_error:g}: mean over the truth less 1")
    kinds = ("least squares", "ours", "ours, 2 % hit")
    header = ("beta", "S/N", *(f"peak, {k}" for k in kinds), *(f"flux, {k}" for k in kinds))
    print_table((*header, "flagged", "flagged, 2 % hit", "centre"), details(fields, default))


if __name__ == "__main__":
    main()
