"""What `surveyfit residual` leaves of an image whose sources are known: noise, and how much flux.

    python benchmarks/residual.py sim1024.fits sim1024_truth.csv sim1024_mask.fits.gz

The image is measured as `surveyfit submit` does it, without its mask; what is printed is about the
pixels off the mask. Expected is the noise that the image was made with: sky and readout, and the
photons of the true sources. Truth is drawn here, from the covariance matrices of the table.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import sep
from astropy.io import fits
from numpy.typing import NDArray

from surveyfit.report.residual import write_residuals
from surveyfit.run.config import Config, Execution
from surveyfit.run.pipeline import submit

SKY, READ_NOISE = 400.0, 5.0
"""Electrons a pixel of sim1024.fits."""

APERTURE_SIGMAS, SMALLEST_APERTURE = 3.0, 3.0
"""Radius of the aperture around a true position, in its sigmas and pixels: 98.9 % of the light."""

DRAWN_SIGMAS = 7.0

BRIGHT = 20.0
"""True peak S/N."""

ISOLATED = 12.0
"""Pixels to the nearest true neighbour."""


def true_light(truth: pd.DataFrame, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Draw the true sources."""
    light = np.zeros(shape)
    for source in truth.itertuples():
        reach = DRAWN_SIGMAS * source.sigma_major
        y = np.arange(max(0, int(source.y - reach)), min(shape[0], int(source.y + reach) + 2))
        x = np.arange(max(0, int(source.x - reach)), min(shape[1], int(source.x + reach) + 2))
        inverse = np.linalg.inv([[source.cxx, source.cxy], [source.cxy, source.cyy]])
        dx, dy = x - source.x, y[:, None] - source.y
        form = inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2
        light[y[0] : y[-1] + 1, x[0] : x[-1] + 1] += source.amp * np.exp(-form / 2)
    return light


def describe_noise(
    left: NDArray[np.float64], light: NDArray[np.float64], off: NDArray[np.bool_]
) -> None:
    """Print the spread of the residual in units of the noise that was put in."""
    sky_noise = np.sqrt(SKY + READ_NOISE**2)
    expected = np.sqrt(SKY + READ_NOISE**2 + light)
    off = off & np.isfinite(left)
    for name, noise, where in (
        ("all pixels / expected noise of each", expected, off),
        ("all pixels / noise of the sky", sky_noise, off),
        (
            "pixels with source light above the sky's noise / expected",
            expected,
            off & (light > sky_noise),
        ),
        ("pixels without source light / noise of the sky", sky_noise, off & (light < 1)),
    ):
        z = (left / noise)[where]
        print(
            f"{name}: {len(z)} pixels, mean {z.mean():+.3f}, standard deviation {z.std():.3f},"
            f" 1.4826 MAD {1.4826 * np.median(np.abs(z)):.3f}, beyond 5: {np.sum(np.abs(z) > 5)}"
        )


def describe_flux(
    what: str, left: NDArray[np.float64], truth: pd.DataFrame, off: NDArray[np.bool_]
) -> None:
    """Print the flux in apertures around the true positions, as a share of the true flux."""
    radius = np.maximum(APERTURE_SIGMAS * truth["sigma_major"], SMALLEST_APERTURE).to_numpy()
    clean = np.ascontiguousarray(np.where(off & np.isfinite(left), left, 0.0))
    sums, _, _ = sep.sum_circle(clean, truth["x"].to_numpy(), truth["y"].to_numpy(), radius)
    for name, where in (
        ("all", np.ones(len(truth), bool)),
        (f"peak S/N above {BRIGHT:g}", truth["peak_snr"] > BRIGHT),
        (
            f"of those, alone within {ISOLATED:g} px",
            (truth["peak_snr"] > BRIGHT) & (truth["nearest_pix"] > ISOLATED),
        ),
    ):
        flux, some = truth["flux"][where], sums[where]
        print(
            f"flux {what}, {name}: {len(some)} sources,"
            f" median {100 * np.median(some / flux):+.2f} %,"
            f" median of the absolute {100 * np.median(np.abs(some) / flux):.2f} %,"
            f" total {100 * some.sum() / flux.sum():+.2f} %"
        )


def main(image: Path, truth: Path, mask: Path) -> None:
    """Measure an image, take its sources off and print what is left."""
    sources, off = pd.read_csv(truth), fits.getdata(mask) == 0
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        submit([str(image)], run, Config(), Execution(workers=0, quiet=True))
        began = time.perf_counter()
        write_residuals(run, None, (), print, print)
        seconds = time.perf_counter() - began
        (path,) = run.glob("residual/*_residual.fits")
        left = fits.getdata(path).astype(float)
    print(f"{left.size / 1e6 / seconds:.1f} Mpixel a second")
    light = true_light(sources, left.shape)
    describe_noise(left, light, off)
    describe_flux("left", left, sources, off)
    describe_flux("put in", light, sources, off)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for argument in ("image", "truth", "mask"):
        parser.add_argument(argument, type=Path)
    main(**vars(parser.parse_args()))
