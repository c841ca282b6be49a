"""An artificial image with known truth: stars and galaxies, photon noise, cosmic rays.

It is the judge of the fits, so it shares nothing with them. A source is a Gaussian of a given
covariance matrix C: stars have the C of the seeing, galaxies that of the seeing plus their own (a
convolution of Gaussians adds their covariances). An image is Poisson(sky + sources) + Normal(0,
READ_NOISE) electrons.
"""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import KDTree

from surveyfit.sky.box import Box
from surveyfit.sky.gaussian_light import FWHM_PER_SIGMA, covariances, draw_stamp, stamp_box

SKY = 400.0
"""Electrons of sky in every pixel."""

READ_NOISE = 5.0
"""Electrons, standard deviation."""

EMPTY_NOISE = float(np.hypot(np.sqrt(SKY), READ_NOISE))
"""Standard deviation of a pixel without sources, electrons: the unit of peak_snr."""

SEEING_FWHM = (3.6, 3.4)
"""Axes of a star in pixels, FWHM; not quite round, as real ones."""

SEEING_ANGLE = 30.0
"""Angle of the longer of them from +x to +y, degrees."""

GALAXY_SHARE = 0.4
GALAXY_FWHM = (2.0, 8.0)
"""Smallest and largest major axis of a galaxy before the seeing, pixels FWHM."""

GALAXY_AXIS_RATIO = (0.3, 1.0)

PEAK_SNR = (5.0, 1000.0)
"""Faintest and brightest peak, in EMPTY_NOISE."""

COUNTS_SLOPE = 1.8
"""dN/dS goes as S to minus this: faint sources are many."""

COSMIC_RAYS_PER_PIXEL = 4e-5
COSMIC_RAY_LENGTH = (1, 12)
"""Pixels of a track."""

COSMIC_RAY_ELECTRONS = (500.0, 8000.0)
"""Charge left in each pixel of a track."""


@dataclass(frozen=True)
class Simulated:
    """One image and what is known of it.

    Attributes
    ----------
    pixels : (size, size) float32, electrons
    mask : (size, size) uint8
        1 in the dead column.
    truth : Table
        A row a source: zero-based x, y, flux and amp in electrons, FWHM axes in pixels,
        theta_deg from +x to +y, peak_snr, distance to the nearest neighbour in pixels, kind.
    cosmic_rays : Table
        A row for every pixel hit, with the electrons added; the mask does not show them.
    """

    pixels: NDArray[np.float32]
    mask: NDArray[np.uint8]
    truth: Table
    cosmic_rays: Table


def draw_image(rng: np.random.Generator, size: int, sources: int) -> Simulated:
    """Draw one image: sources, noise, cosmic rays and a dead column."""
    truth, matrices = _draw_sources(rng, size, sources)
    light = _render(truth, matrices, size)
    electrons = rng.poisson(SKY + light) + rng.normal(0.0, READ_NOISE, light.shape)
    cosmic_rays = _draw_cosmic_rays(rng, size)
    np.add.at(electrons, (cosmic_rays["y"], cosmic_rays["x"]), cosmic_rays["electrons"])
    mask = np.zeros(light.shape, np.uint8)
    dead = rng.integers(size)
    mask[:, dead] = 1
    electrons[:, dead] = 0.0
    return Simulated(electrons.astype(np.float32), mask, truth, cosmic_rays)


def _draw_sources(
    rng: np.random.Generator, size: int, sources: int
) -> tuple[Table, NDArray[np.float64]]:
    """Draw the true sources and the covariance matrix (n, 2, 2) of each, pixels squared."""
    x, y = rng.uniform(-0.5, size - 0.5, (2, sources))
    galaxy = rng.random(sources) < GALAXY_SHARE
    matrices = _seeing() + np.where(galaxy[:, None, None], _galaxy_shapes(rng, sources), 0.0)
    peak_snr = _power_law(rng.random(sources), *PEAK_SNR)
    amp = peak_snr * EMPTY_NOISE
    variances, axes = np.linalg.eigh(matrices)
    minor, major = FWHM_PER_SIGMA * np.sqrt(variances).T
    truth = {
        "x": x,
        "y": y,
        "flux": 2 * np.pi * amp * np.sqrt(np.linalg.det(matrices)),
        "amp": amp,
        "fwhm_maj": major,
        "fwhm_min": minor,
        "theta_deg": np.degrees(np.arctan2(axes[:, 1, 1], axes[:, 0, 1])) % 180.0,
        "peak_snr": peak_snr,
        "nearest_pix": _distance_to_nearest(x, y),
        "kind": np.where(galaxy, "galaxy", "star"),
    }
    return Table(truth), matrices


def _seeing() -> NDArray[np.float64]:
    major, minor = np.array(SEEING_FWHM)[:, None] / FWHM_PER_SIGMA
    return covariances(major, minor, np.array([SEEING_ANGLE]))


def _galaxy_shapes(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    major = rng.uniform(*GALAXY_FWHM, n) / FWHM_PER_SIGMA
    return covariances(major, major * rng.uniform(*GALAXY_AXIS_RATIO, n), rng.uniform(0, 180, n))


def _power_law(
    uniform: NDArray[np.float64], faintest: float, brightest: float
) -> NDArray[np.float64]:
    """Turn uniform numbers into fluxes of a power law: the inverse of its distribution."""
    power = 1.0 - COUNTS_SLOPE
    low, high = faintest**power, brightest**power
    return (low + uniform * (high - low)) ** (1 / power)


def _distance_to_nearest(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each source to its nearest neighbour; infinite if it is alone."""
    positions = np.column_stack([x, y])
    return KDTree(positions).query(positions, k=[2])[0][:, 0]


def _render(truth: Table, matrices: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sum of all sources without noise, (size, size) electrons."""
    light = np.zeros((size, size))
    whole = Box(0, size, 0, size)
    for source, covariance in zip(truth, matrices, strict=True):
        box = stamp_box(source["x"], source["y"], covariance).common(whole)
        light[box.slices] += draw_stamp(box, source["x"], source["y"], source["amp"], covariance)
    return light


def _draw_cosmic_rays(rng: np.random.Generator, size: int) -> Table:
    """Draw straight tracks; a row for every pixel hit inside the image."""
    n = rng.poisson(COSMIC_RAYS_PER_PIXEL * size**2)
    length = rng.integers(*COSMIC_RAY_LENGTH, n, endpoint=True)
    step = np.arange(COSMIC_RAY_LENGTH[1])
    start, angle = rng.uniform(0, size, (2, n, 1)), rng.uniform(0, np.pi, (n, 1))
    x = np.floor(start[0] + step * np.cos(angle)).astype(int)
    y = np.floor(start[1] + step * np.sin(angle)).astype(int)
    electrons = rng.uniform(*COSMIC_RAY_ELECTRONS, x.shape)
    hit = (step < length[:, None]) & (x >= 0) & (x < size) & (y >= 0) & (y < size)
    return Table({"x": x[hit], "y": y[hit], "electrons": electrons[hit]})
