"""The units of work, what they leave behind, and what follows from them. Pure records."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Any

from surveyfit.run.config import Config
from surveyfit.run.plan import Tile, batches, tiles
from surveyfit.sky.find import Found, file_state
from surveyfit.sky.image import Image


class Stage(StrEnum):
    """Stages of the work on an image; the names group the tasks on the dashboard."""

    OPEN = "open-file"
    NOISE = "measure-noise"
    CUT = "cut-tile"
    FIT = "fit-batch"


STAGES = tuple(Stage)

FAILURE_ENTRIES = ("name", "tile", "stage", "reason", "remedy")
"""What ``failures.json`` holds of a failure."""


@dataclass(frozen=True)
class Piece:
    """One task: a file to open, an image to measure, a tile to cut, or some tiles to fit.

    Attributes
    ----------
    key : str
        Hash of everything that decides the result.
    tiles : tuple of Tile
        One to cut, a batch of them to fit.
    """

    stage: Stage
    key: str
    found: Found | None = None
    image: Image | None = None
    tiles: tuple[Tile, ...] = ()

    @property
    def name(self) -> str:
        """File or image, as the user knows it."""
        if self.image is not None:
            return self.image.name
        return self.found.name if self.found is not None else ""

    @property
    def path(self) -> str:
        """The file."""
        if self.image is not None:
            return self.image.path
        return str(self.found.path) if self.found is not None else ""

    @property
    def label(self) -> str:
        """Tile inside the image, with the number of those after it; empty for a whole image."""
        if not self.tiles:
            return ""
        following = len(self.tiles) - 1
        return self.tiles[0].label + (f"+{following}" if following else "")

    @property
    def path_stem(self) -> str:
        """Name for files of this piece, safe in paths: sorts by image, then by tile."""
        if self.image is None:
            return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return "-".join(part for part in (self.image.key, self.label) if part)


@dataclass(frozen=True)
class Failure:
    """Why a piece could not be done; a row of ``failures.json``.

    Attributes
    ----------
    transient : bool
        Whether the machine is to blame (a disk, a network), so that trying again may help.
    disk_full : bool
        Whether there was no room to write, so that no other piece can be done either.
    """

    name: str
    tile: str
    stage: str
    reason: str
    remedy: str
    traceback: str = ""
    transient: bool = False
    disk_full: bool = False

    def to_dict(self) -> dict[str, str]:
        """Return what ``failures.json`` holds of it."""
        return {k: v for k, v in asdict(self).items() if k in FAILURE_ENTRIES}

    def __str__(self) -> str:
        where = f"{self.name} {self.tile}".strip()
        return f"{where}: {self.reason}: {self.remedy}"


@dataclass(frozen=True)
class Outcome:
    """How a piece ended: with a receipt's result, or with a failure."""

    piece: Piece
    result: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    failure: Failure | None = None
    resumed: bool = False


def open_piece(found: Found, config: Config) -> Piece:
    """Return the task that opens a file; a file that changed on disk gets another key."""
    state = file_state(found.path)
    return Piece(Stage.OPEN, config.key(Stage.OPEN, str(found.path), found.name, *state), found)


def noise_piece(image: Image, config: Config) -> Piece:
    """Return the task that measures an image's background and noise."""
    return Piece(Stage.NOISE, _image_key(config, Stage.NOISE, image), image=image)


def cut_pieces(image: Image, config: Config) -> list[Piece]:
    """Return the tasks that cut the tiles of an image."""
    return [cut_piece(image, t, config) for t in tiles(image.shape, config.tile, config.halo)]


def cut_piece(image: Image, tile: Tile, config: Config) -> Piece:
    """Return the task that cuts a tile of an image."""
    key = _image_key(config, Stage.CUT, image, tile.label)
    return Piece(Stage.CUT, key, image=image, tiles=(tile,))


def fit_piece(image: Image, batch: tuple[Tile, ...], config: Config) -> Piece:
    """Return the task that fits the sources of some tiles of an image."""
    key = _image_key(config, Stage.FIT, image, *(t.label for t in batch))
    return Piece(Stage.FIT, key, image=image, tiles=batch)


def halves(piece: Piece, config: Config) -> list[Piece]:
    """Return the tasks that fit one half of a batch's tiles each."""
    assert piece.image is not None
    middle = len(piece.tiles) // 2
    parts = piece.tiles[:middle], piece.tiles[middle:]
    return [fit_piece(piece.image, part, config) for part in parts]


def overlapping(piece: Piece, config: Config) -> Iterator[Piece]:
    """Yield the tasks of all batches that may have been fitted with tiles of this one.

    A batch is fitted without the tiles that cannot be cut, or in halves: a tile may be in another
    batch at another submit, but never outside of the one that was planned. The pieces have no
    key; they tell where a receipt would lie.
    """
    assert piece.image is not None
    planned = batches(tiles(piece.image.shape, config.tile, config.halo))
    batch = next(b for b in planned if piece.tiles[0] in b)
    for i, j in combinations(range(len(batch) + 1), 2):
        yield Piece(Stage.FIT, "", image=piece.image, tiles=batch[i:j])


def _image_key(config: Config, stage: Stage, image: Image, *parts: str) -> str:
    content = (image.name, image.digest, image.hdu, list(image.plane), image.companions_digest)
    return config.key(stage, *content, *parts)
