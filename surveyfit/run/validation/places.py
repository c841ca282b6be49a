"""Where in an image artificial sources can be put, and of which shape they are there."""

import math

import numpy as np
from numpy.typing import NDArray

from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import noise_piece
from surveyfit.run.plan import tiles
from surveyfit.run.tasks import find_sources, noise_grid, opened, read_plane
from surveyfit.run.validation.images import Rows, contents_of, read_rows
from surveyfit.schema import GOOD
from surveyfit.sky.background import NoiseGrid
from surveyfit.sky.described import PER_BEAM
from surveyfit.sky.empty_places import empty_places
from surveyfit.sky.find import printable
from surveyfit.sky.gaussian_light import FWHM_PER_SIGMA, covariances
from surveyfit.sky.image import Image
from surveyfit.sky.peak_error import peak_variance
from surveyfit.sky.reader import ImageReader

TILES = 16
"""Tiles of an image over which the sources are spread if it has so many; more only where these have
too few empty places. Each is searched for sources again."""

CLEAR_FWHMS = 2.5
"""Radius of the empty sky around a place, in FWHM of a point source: 5.9 of its sigmas."""

LARGER_SHARE = 0.5
"""Share of the sources that are larger than a point source."""

LARGER_FWHM = (0.3, 1.5)
LARGER_AXIS_RATIO = (0.2, 1.0)
"""Their own major axis before the blurring, in FWHM of a point source, and their axis ratio."""

SHAPE_SNR = 10.0
SHAPE_ROWS = 5
"""The shape of a point source is taken from good sources above this S/N, if there are so many."""

SHAPE_COLUMNS = ("flags", "snr", "maj_pix", "min_pix", "pa_pix")


class NoPlaceError(Exception):
    """An image into which no artificial source can be put; the message says why."""


def place_sources(
    directory: RunDirectory, image: Image, config: Config, most: int, seed: int
) -> Rows:
    """Choose empty places of an image and the shapes of artificial sources there.

    Parameters
    ----------
    directory : RunDirectory
        The run that has measured the image.
    image : Image
    config : Config
    most : int
        Sources wanted.
    seed : int
        Together with the image it decides what is drawn.

    Returns
    -------
    dict of str to array (n,)
        Columns of `injected.INJECTED_COLUMNS`, all but the brightness, and ``sky_variance`` and
        ``photon_variance``: of a peak, in image units squared, and the same for each unit of it.

    Raises
    ------
    NoPlaceError
    """
    digest, hdu, plane = contents_of(image)
    rng = np.random.default_rng([seed, int(digest[:16], 16), hdu, *image.plane])
    known = read_rows(directory, [image], SHAPE_COLUMNS)[contents_of(image)]
    typical = typical_shape(known)
    with opened(noise_piece(image, config), config) as reader:
        clear = CLEAR_FWHMS * _point_fwhm(reader, typical)
        grid = noise_grid(image, directory, config)
        places, local_rms = _places(reader, grid, config, clear, most, rng)
        if not len(places):
            raise NoPlaceError("no empty place")
        x, y = (places + rng.uniform(-0.5, 0.5, places.shape)).T
        points = _point_shapes(reader, typical, x, y)
        usable = np.isfinite(points).all(axis=(1, 2))  # not where the projection is undefined
        if not usable.any():
            raise NoPlaceError("no empty place where the projection is defined")
        x, y, points, local_rms = x[usable], y[usable], points[usable], local_rms[usable]
        facts, beam_pixels = reader.facts, _beam_pixels(reader, points)
    larger = rng.random(len(x)) < LARGER_SHARE
    shapes = points + np.where(larger[:, None, None], _own_shapes(points, rng), 0.0)
    variances = np.array([peak_variance(shape, grid.correlation) for shape in shapes])
    rows: Rows = {
        "x": x,
        "y": y,
        "cxx": shapes[:, 0, 0],
        "cxy": shapes[:, 0, 1],
        "cyy": shapes[:, 1, 1],
        "local_rms": local_rms,
        "sky_variance": variances[:, 0] * local_rms**2,
        "photon_variance": variances[:, 1] / (facts.gain or np.inf),
        "point_like": (~larger).astype(np.int32),
        "gain": np.full(len(x), facts.gain or np.nan),
        "beam_pixels": beam_pixels,
    }
    rows["hdu"] = np.full(len(x), hdu, np.int32)
    names = {"path": printable(image.path), "digest": digest, "plane": plane}
    return rows | {name: np.full(len(x), word) for name, word in names.items()}


def share(left: int, turn: int, spread: int) -> int:
    """Return how many of those left are for this turn, of ``spread`` turns that share alike.

    >>> share(10, 0, 4), share(7, 1, 4), share(7, 5, 4)
    (3, 3, 7)
    """
    return math.ceil(left / max(1, spread - turn))


def typical_shape(rows: Rows) -> NDArray[np.float64] | None:
    """Covariance matrix (2, 2) of a star: the median of the smaller half of good bright sources."""
    good = (rows["flags"].astype(int) & GOOD == 0) & (rows["snr"] > SHAPE_SNR)
    if np.count_nonzero(good) < SHAPE_ROWS:
        return None
    major, minor, angle = (rows[name][good] for name in ("maj_pix", "min_pix", "pa_pix"))
    smaller = major * minor <= np.median(major * minor)
    shapes = covariances(major / FWHM_PER_SIGMA, minor / FWHM_PER_SIGMA, angle)[smaller]
    return np.asarray(np.median(shapes, axis=0))


def _point_fwhm(reader: ImageReader, typical: NDArray[np.float64] | None) -> float:
    """Major axis of a point source in pixels."""
    beam = reader.facts.beam
    if beam is not None and reader.world.ok:
        return beam.major / reader.world.pixel_scale
    if typical is None:
        raise NoPlaceError("no beam, and too few good bright sources to tell the shape of a star")
    return FWHM_PER_SIGMA * float(np.sqrt(np.linalg.eigvalsh(typical)[1]))


def _point_shapes(
    reader: ImageReader,
    typical: NDArray[np.float64] | None,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Covariance matrices (n, 2, 2) of point sources: the beam in pixels, else the typical star."""
    beam = reader.facts.beam
    if beam is None or not reader.world.ok:
        return np.tile(np.asarray(typical), (len(x), 1, 1))
    major, minor = np.array([[beam.major], [beam.minor]]) / FWHM_PER_SIGMA
    # East is the first axis here, and the position angle counts from north.
    on_sky = covariances(major, minor, np.array([90 - beam.pa]))
    to_pixels = np.linalg.inv(reader.world.positions(x, y).jacobian)
    return np.asarray(to_pixels @ on_sky @ to_pixels.transpose(0, 2, 1))


def _beam_pixels(reader: ImageReader, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels in a beam (n,), by which sums of Jy/beam are divided; 1 for other units."""
    if not reader.facts.unit.endswith(PER_BEAM):
        return np.ones(len(points))
    known = reader.facts.beam is not None and reader.world.ok
    return 2 * np.pi * np.sqrt(np.linalg.det(points)) if known else np.full(len(points), np.nan)


def _own_shapes(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Covariance matrices (n, 2, 2) of extended sources before the blurring."""
    n = len(points)
    major = rng.uniform(*LARGER_FWHM, n) * np.sqrt(np.linalg.eigvalsh(points)[:, 1])
    return covariances(major, major * rng.uniform(*LARGER_AXIS_RATIO, n), rng.uniform(0, 180, n))


def _places(
    reader: ImageReader,
    grid: NoiseGrid,
    config: Config,
    clear: float,
    most: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Choose empty pixels: x and y (n, 2), and the noise there (n,), image units."""
    planned = tiles(reader.image.shape, config.tile, config.halo)
    chosen, noise = [np.zeros((0, 2), int)], [np.zeros(0)]
    left = most
    for turn, number in enumerate(rng.permutation(len(planned))):
        if left == 0:
            break
        tile = planned[number]
        plane = read_plane(reader, tile.halo, grid)
        found = find_sources(plane, grid, config)
        wanted = share(left, turn, min(TILES, len(planned)))
        places = empty_places(plane, found, tile.core, clear, wanted, rng)
        chosen.append(places)
        noise.append(plane.noise[places[:, 1] - tile.halo.y0, places[:, 0] - tile.halo.x0])
        left -= len(places)
    return np.concatenate(chosen), np.concatenate(noise)
