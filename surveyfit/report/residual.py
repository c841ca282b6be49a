"""What the catalogue explains of an image, and what it leaves: two FITS images beside each other.

    model = sum of the fitted Gaussians            residual = image - background map - model

Pixels that no fit used are NaN in the residual. The level that each fit has found under its source
is in neither: it holds in one cutout only, and cutouts overlap.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from surveyfit import __version__
from surveyfit.errors import InputError
from surveyfit.report.find_source import committed
from surveyfit.report.model_sky import ModelSky, read_model
from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import Stage, noise_piece
from surveyfit.run.plan import tiles
from surveyfit.run.record import check_version
from surveyfit.run.tasks import companions, opened
from surveyfit.sky.atomic import check_writable, noticing_full_disk
from surveyfit.sky.background import NoiseGrid
from surveyfit.sky.box import Box
from surveyfit.sky.classify import DERIVED
from surveyfit.sky.derived_image import derived_header, writing
from surveyfit.sky.image import Image
from surveyfit.sky.layout import file_digest
from surveyfit.sky.reader import ImageReader
from surveyfit.sky.store import read_grid

BAND_PIXELS = 2**21
"""Pixels that are held at a time, with about a hundred bytes each: whole rows, at least one."""

FOLDER = "residual"
"""Where the images lie in a run, unless another folder is named."""

HISTORY = {
    "model": (
        "surveyfit: sum of the Gaussians fitted to the sources of the catalogue,",
        "without background, and without the level fitted under each source.",
    ),
    "residual": (
        "surveyfit: image - background map - model (the image beside this one).",
        "NaN where no fit used the pixel: bad, saturated or without noise.",
    ),
}
"""What each file holds, in words."""


class Measured(NamedTuple):
    """An image of a run, and what has been committed of its catalogue.

    Attributes
    ----------
    image : Image
    parts : tuple of Path
    missing : int
        Tiles whose sources are not in the catalogue yet, or could not be measured.
    """

    image: Image
    parts: tuple[Path, ...]
    missing: int


def write_residuals(
    run: Path,
    folder: Path | None,
    names: Sequence[str],
    say: Callable[[str], None],
    complain: Callable[[str], None],
    *,
    band_pixels: int = BAND_PIXELS,
) -> int:
    """Write model and residual of the images of a run; one that cannot be read spoils only itself.

    Parameters
    ----------
    run : Path
    folder : Path or None
        Where to write; None: ``RUN/residual``.
    names : sequence of str
        Images by their names in the catalogue; all if empty.
    say : callable
        Takes a line about each image that was written.
    complain : callable
        Takes a line about each that could not be.
    band_pixels : int
        Pixels that are held at a time; changes nothing in the images.

    Returns
    -------
    int
        Images that could not be written.

    Raises
    ------
    InputError
        If the run does not exist, was made by another version or has no image of a name, or the
        folder cannot be written.
    DiskFullError
        If there is no room.
    """
    directory = RunDirectory.open(run)
    check_version(directory)
    config = Config.from_dict(directory.record()["configuration"])
    chosen = list(_chosen(_measured(directory, config), names, directory))
    target = run / FOLDER if folder is None else folder
    check_writable(target)
    with noticing_full_disk(target):
        target.mkdir(parents=True, exist_ok=True)
    failures = 0
    for measured in chosen:
        try:
            say(_write(directory, config, measured, target, band_pixels))
        except (InputError, OSError) as error:
            failures += 1
            complain(f"error: {error}")
    return failures


def _measured(directory: RunDirectory, config: Config) -> Iterator[Measured]:
    """Yield the images of a run whose noise has been measured, by their names in paths."""
    parts = committed(directory)
    for _, receipt in directory.read_receipts(Stage.NOISE):
        image = Image.from_dict(receipt["result"]["image"])
        own = [part for part in parts if part.image == image.key]
        planned = tiles(image.shape, config.tile, config.halo)
        fitted = sum(len(part.tiles) for part in own)
        yield Measured(image, tuple(part.path for part in own), len(planned) - fitted)


def _chosen(
    measured: Iterator[Measured], names: Sequence[str], directory: RunDirectory
) -> Iterator[Measured]:
    by_name: dict[str, list[Measured]] = {}
    for one in measured:
        by_name.setdefault(one.image.name, []).append(one)  # submits may share names
    if not by_name:
        raise InputError(f"{directory.path}: no image is measured yet", "wait, or submit again")
    for name in names or by_name:
        if name not in by_name:
            near = ", ".join(get_close_matches(name, by_name, cutoff=0))
            what = f"{directory.path} has no image {name}"
            raise InputError(what, f"of its {len(by_name)} images the nearest names are {near}")
        yield from by_name[name]


def _write(
    directory: RunDirectory, config: Config, measured: Measured, target: Path, band_pixels: int
) -> str:
    """Write model and residual of an image, a band of rows at a time; return a line about it.

    Raises
    ------
    InputError
        If the image or one of its companions is not what was measured any more.
    """
    began, image = time.monotonic(), measured.image
    _check_unchanged(image, config)
    model = read_model(measured.parts)
    grid = read_grid(directory.stores.noise, image.key)
    paths = [target / f"{image.key}_{kind}.fits" for kind in HISTORY]
    with opened(noise_piece(image, config), config) as reader:
        headers = [_header(kind, reader, image, model) for kind in HISTORY]
        with (
            writing(paths[0], headers[0], reader.hdus) as models,
            writing(paths[1], headers[1], reader.hdus) as residuals,
        ):
            for box in _bands(image.shape, band_pixels):
                light = model.light(box)
                models.write(light.astype(np.float32))
                residuals.write(_left(reader, grid, box, light).astype(np.float32))
    return _summary(measured, model, paths[1], time.monotonic() - began)


def _bands(shape: tuple[int, int], pixels: int) -> Iterator[Box]:
    """Cut an image (ny, nx) into bands of whole rows with at most so many pixels.

    >>> list(_bands((5, 10), pixels=20))
    [Box(y0=0, y1=2, x0=0, x1=10), Box(y0=2, y1=4, x0=0, x1=10), Box(y0=4, y1=5, x0=0, x1=10)]
    """
    ny, nx = shape
    rows = max(1, pixels // nx)
    for y in range(0, ny, rows):
        yield Box(y, min(y + rows, ny), 0, nx)


def _left(reader: ImageReader, grid: NoiseGrid, box: Box, light: np.ndarray) -> np.ndarray:
    """Return what is left of a box: image - background - light, NaN where no fit looked."""
    pixels = reader.read(box)
    background = grid.maps(box)[0] if pixels.background is None else pixels.background
    left = pixels.data.astype(np.float64) - background - light
    left[pixels.mask | pixels.saturated] = np.nan
    return left


def _check_unchanged(image: Image, config: Config) -> None:
    if file_digest(image.path, image.name) != image.digest:
        raise InputError(
            f"{image.name} is not the image that was measured any more ({image.path})",
            "put the old file back, or submit again",
        )
    if companions(config).digest(image) != image.companions_digest:
        raise InputError(
            f"the noise, background or mask of {image.name} has changed since it was measured",
            "submit again",
        )


def _header(kind: str, reader: ImageReader, image: Image, model: ModelSky) -> fits.Header:
    cards = (
        (DERIVED, kind, "what this image is (surveyfit)"),
        ("SFVERS", __version__, "version of surveyfit"),
        ("SFIMAGE", image.name, "image that was measured"),
        ("SFSHA256", image.digest, "of the file of that image"),
        ("SFROWS", model.n_rows, "sources of the catalogue in that image"),
        ("SFDRAWN", len(model.params), "of them with a fit that is in the model"),
    )
    return derived_header(reader.header, image, cards, HISTORY[kind])


def _summary(measured: Measured, model: ModelSky, path: Path, seconds: float) -> str:
    mega = np.prod(measured.image.shape) / 1e6
    words = (
        f"{measured.image.name}: {len(model.params)} of {model.n_rows} sources taken off,"
        f" {mega:.2f} Mpixel in {seconds:.1f} s: {path}"
    )
    if measured.missing:
        words += f" ({measured.missing} tiles are not measured: their sources are still in it)"
    return words
