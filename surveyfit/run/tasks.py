"""What a worker does with one piece. The plain loop and the cluster both call `execute`.

Here `sky` and `fit` meet: pixels are read and cut by the one, fitted by the other. A task returns
a small outcome, never arrays and never an exception: its data are on disk when it returns, and
its receipt was written after them.
"""

import errno
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from surveyfit.errors import DiskFullError, InputError
from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.gather import gather
from surveyfit.run.measure import measure_batch
from surveyfit.run.notes import noted
from surveyfit.run.pieces import Failure, Outcome, Piece, Stage, cut_piece, noise_piece
from surveyfit.run.plan import Tile
from surveyfit.run.sealed import MEND, DamagedError
from surveyfit.schema import COLUMNS, GOOD
from surveyfit.sky.background import NoiseGrid, measure_grid
from surveyfit.sky.box import Box
from surveyfit.sky.companion import Companions
from surveyfit.sky.cutouts import Plane, cut
from surveyfit.sky.detect import Detections, detect
from surveyfit.sky.find import file_state
from surveyfit.sky.footprint import footprint_of
from surveyfit.sky.header import Beam
from surveyfit.sky.image import Image, scan_file
from surveyfit.sky.kernel import FWHM_TO_SIGMA
from surveyfit.sky.parts import write_part
from surveyfit.sky.reader import ImageReader
from surveyfit.sky.sources import CutoutGroup
from surveyfit.sky.store import make_place, read_cutouts, read_grid, write_cutouts, write_grid
from surveyfit.sky.world import wcs_cards

PASSING = (
    errno.EIO,
    errno.EAGAIN,
    errno.EBUSY,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ECONNRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EREMOTEIO,
)
"""Errors of a disk or a network that may be gone at the next try."""

Work = tuple[dict[str, Any], dict[Path, str]]
"""The result of a piece, and the SHA-256 of every file that it has written."""


def execute(piece: Piece, run: str, config: Config) -> Outcome:
    """Do one piece and commit it; whatever goes wrong becomes a failure with a reason."""
    directory = RunDirectory(Path(run))
    started = time.monotonic()
    try:
        # Dask may have lost the answer of a worker that died after its work.
        committed = directory.resume(piece, config, lambda line: None)
        if committed is not None:
            return replace(committed, resumed=False)
        directory.withdraw_receipt(piece)
        result, digests = _WORK[piece.stage](piece, directory, config)
        outcome = Outcome(piece, result, time.monotonic() - started)
        if piece.stage is Stage.FIT:
            directory.withdraw_overlapping(piece, config)
        directory.write_receipt(outcome, digests, config)
    except InputError as error:
        failure = _failure(piece, error.what, error.remedy)
        return Outcome(piece, {}, time.monotonic() - started, failure)
    except DiskFullError as error:
        failure = replace(_failure(piece, str(error), "submit again"), disk_full=True)
        return Outcome(piece, {}, time.monotonic() - started, failure)
    except Exception as error:
        # One bad piece must not end the run: it is reported with its reason.
        words = " ".join(str(error).split()) or "no further words"
        if transient := isinstance(error, OSError) and error.errno in PASSING:
            reason, remedy = f"the disk or network failed ({words})", "submit again when it is back"
        else:
            reason = f"unexpected {type(error).__name__}: {words}"
            remedy = "submit again with --verbose, and report what it prints"
        failure = _failure(piece, reason, remedy, transient)
        return Outcome(piece, {}, time.monotonic() - started, failure)
    return outcome


def _failure(piece: Piece, reason: str, remedy: str, transient: bool = False) -> Failure:
    """Make a failure of the exception being handled; the name stands once, in front."""
    bare = reason.removeprefix(piece.name).lstrip(": ")
    trace = traceback.format_exc()
    return Failure(piece.name, piece.label, piece.stage, bare, remedy, trace, transient)


def open_file(piece: Piece, directory: RunDirectory, config: Config) -> Work:
    """List the images of a file."""
    assert piece.found is not None
    contents = scan_file(piece.found, hdu=config.hdu, plane=config.plane)
    beside = companions(config)
    # Asked before the files are read: a change in between is then noticed at the next submit.
    states = {path: file_state(path) for image in contents.images for path in beside.files(image)}
    images = [replace(i, companions_digest=beside.digest(i)) for i in contents.images]
    result = {
        "path": contents.path,
        "digest": contents.digest,
        "images": [asdict(image) for image in images],
        "companions": states,
        "others": [asdict(other) for other in contents.others],
    }
    return result, {}


@contextmanager
def opened(piece: Piece, config: Config) -> Iterator[ImageReader]:
    """Open the image of a piece with its companions; the configuration overrides its header."""
    assert piece.image is not None
    beam = Beam(*config.beam) if config.beam is not None else None
    with ImageReader(piece.image, companions(config)) as image:
        facts = image.facts
        image.facts = replace(
            facts,
            gain=config.gain or facts.gain,
            saturate=config.saturate or facts.saturate,
            zeropoint=facts.zeropoint if config.zeropoint is None else config.zeropoint,
            beam=beam or facts.beam,
        )
        yield image


def companions(config: Config) -> Companions:
    """Return the companion images that the configuration names."""
    return Companions(
        noise=config.noise,
        background=config.background,
        mask=config.mask,
        noise_type=config.noise_type,
        mask_bits=config.mask_bits,
        inject=config.inject,
    )


def measure_noise(piece: Piece, directory: RunDirectory, config: Config) -> Work:
    """Measure the background and noise grid of an image."""
    assert piece.image is not None
    with opened(piece, config) as image:
        facts, wcs = image.facts, wcs_cards(image.header)
        footprint = footprint_of(image.world, piece.image.shape)
        grid = measure_grid(
            image.read, piece.image.shape, cell=config.cell, filter_fwhm=config.filter_fwhm
        )
    stores, key = directory.stores, piece.image.key
    digests = make_place(stores.cutouts, key) | write_grid(stores.noise, key, grid)
    result = {
        "image": asdict(piece.image),
        "facts": asdict(facts),
        "wcs": wcs,
        "footprint": None if footprint is None else asdict(footprint),
        "noise": float(np.median(grid.noise)),
        "background": float(np.median(grid.background)),
        "filter_factor": grid.filter_factor,
    }
    return result, digests


def cut_tile(piece: Piece, directory: RunDirectory, config: Config) -> Work:
    """Find the sources of a tile and store their cutouts."""
    assert piece.image is not None
    (tile,) = piece.tiles
    grid = noise_grid(piece.image, directory, config)
    with opened(piece, config) as image:
        plane = read_plane(image, tile.halo, grid)
    found = find_sources(plane, grid, config)
    groups = cut(plane, found, tile.core, config.filter_fwhm * FWHM_TO_SIGMA)
    digests = write_cutouts(directory.stores.cutouts, piece.image.key, tile.label, groups)
    return {"cutouts": _counts(groups)}, digests


def read_plane(image: ImageReader, box: Box, grid: NoiseGrid) -> Plane:
    """Read a box with its background and noise: the user's images where given, else the grid."""
    pixels = image.read(box)
    background, noise = grid.maps(box)
    return Plane(
        box=box,
        image_shape=image.image.shape,
        pixels=pixels,
        background=background if pixels.background is None else pixels.background,
        noise=noise if pixels.noise is None else pixels.noise,
    )


def find_sources(plane: Plane, grid: NoiseGrid, config: Config) -> Detections:
    """Find the sources of a plane."""
    return detect(
        plane.subtracted,
        plane.noise,
        plane.pixels.mask,
        thresh=config.thresh,
        filter_factor=grid.filter_factor,
        filter_fwhm=config.filter_fwhm,
    )


def fit_tiles(piece: Piece, directory: RunDirectory, config: Config) -> Work:
    """Fit the cutouts of some tiles and write their part of the catalogue."""
    assert piece.image is not None
    grid = noise_grid(piece.image, directory, config)
    stored = (
        (tile.label, group)
        for tile in piece.tiles
        for group in _cutouts(piece.image, tile, directory, config)
    )
    with opened(piece, config) as image, noted() as notes:
        measured = [
            measure_batch(batch, piece.image, image, grid, config) for batch in gather(stored)
        ]
        unit = image.facts.unit
    columns = _joined(measured)
    part = directory.part_path(piece)
    digest = write_part(part, columns, unit)
    flags = columns["flags"]
    result = {
        "rows": len(flags),
        "good": int(np.count_nonzero((flags & GOOD) == 0)),
        "secondary": 0,
        "part": part.name,
        "notes": notes,
    }
    return result, {part: digest}


def noise_grid(image: Image, directory: RunDirectory, config: Config) -> NoiseGrid:
    """Read the background and noise that were measured of an image, if they are as committed."""
    directory.check_files(noise_piece(image, config))
    return read_grid(directory.stores.noise, image.key)


def _cutouts(
    image: Image, tile: Tile, directory: RunDirectory, config: Config
) -> list[CutoutGroup]:
    committed = directory.check_files(cut_piece(image, tile, config))["cutouts"]
    groups = read_cutouts(directory.stores.cutouts, image.key, tile.label)
    if (held := _counts(groups)) != committed:
        place = directory.stores.cutouts / image.key / tile.label
        remedy = f"delete that folder, then {MEND}"
        raise DamagedError(f"{place} holds {held} cutouts by side, not {committed}", remedy)
    return groups


def _counts(groups: list[CutoutGroup]) -> dict[str, int]:
    """Return the number of cutouts by side, as a receipt has it."""
    return {str(group.side): len(group.pixels) for group in groups}


def _joined(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Join what was fitted apart and order the rows by peak pixel, whatever their cutout side."""
    if not measured:
        empty: dict[str, Any] = {"str": np.zeros(0, str), "int32": np.zeros(0, np.int32)}
        empty |= {"int64": np.zeros(0, np.int64), "float64": np.zeros(0), "bool": np.zeros(0, bool)}
        return {c.name: empty[c.base] for c in COLUMNS if not c.length}
    joined = {name: np.concatenate([m[name] for m in measured]) for name in measured[0]}
    order = np.lexsort((joined.pop("peak_x"), joined.pop("peak_y")))
    return {name: values[order] for name, values in joined.items()}


_WORK: dict[Stage, Callable[[Piece, RunDirectory, Config], Work]] = {
    Stage.OPEN: open_file,
    Stage.NOISE: measure_noise,
    Stage.CUT: cut_tile,
    Stage.FIT: fit_tiles,
}
