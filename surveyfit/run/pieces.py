"""The units of work, what they leave behind, and what follows from them. Pure records."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from surveyfit.run.config import Config
from surveyfit.run.plan import Tile, tiles
from surveyfit.sky.find import Found
from surveyfit.sky.image import Image


class Stage(StrEnum):
    """Stages of the work on an image; the names group the tasks on the dashboard."""

    OPEN = "open-file"
    NOISE = "measure-noise"
    CUT = "cut-tile"
    FIT = "fit-tile"


STAGES = tuple(Stage)


@dataclass(frozen=True)
class Piece:
    """One task: a file to open, an image to measure, or a tile to cut or fit.

    Attributes
    ----------
    key : str
        Hash of everything that decides the result; the name of its receipt.
    """

    stage: Stage
    key: str
    found: Found | None = None
    image: Image | None = None
    tile: Tile | None = None

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
        """Tile inside the image; empty for a whole file or image."""
        return self.tile.label if self.tile is not None else ""

    @property
    def path_stem(self) -> str:
        """Name for files of this piece, safe in paths: sorts by image, then by tile."""
        image = self.image.key if self.image is not None else ""
        return "-".join(part for part in (image, self.label, self.key[:12]) if part)


@dataclass(frozen=True)
class Failure:
    """Why a piece could not be done; a row of ``failures.json``."""

    name: str
    tile: str
    stage: str
    reason: str
    remedy: str
    traceback: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return what ``failures.json`` holds of it."""
        return {k: v for k, v in asdict(self).items() if k != "traceback"}

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
    try:
        stat = found.path.stat()
        state = (stat.st_size, stat.st_mtime_ns)
    except OSError:
        # A link to nothing, a file just deleted: opening it says so, for this file alone.
        state = (-1, -1)
    return Piece(Stage.OPEN, config.key(Stage.OPEN, str(found.path), found.name, *state), found)


def noise_piece(image: Image, config: Config) -> Piece:
    """Return the task that measures an image's background and noise."""
    return Piece(Stage.NOISE, _image_key(config, Stage.NOISE, image), image=image)


def tile_pieces(stage: Stage, image: Image, config: Config) -> list[Piece]:
    """Return the tasks of one stage for all tiles of an image."""
    return [
        Piece(stage, _image_key(config, stage, image, t.label), image=image, tile=t)
        for t in tiles(image.shape, config.tile, config.halo)
    ]


def follow_up(outcome: Outcome, config: Config) -> list[Piece]:
    """Return the pieces that a finished one makes possible."""
    piece = outcome.piece
    if outcome.failure is not None or piece.image is None:
        return []
    if piece.stage is Stage.NOISE:
        return tile_pieces(Stage.CUT, piece.image, config)
    if piece.stage is Stage.CUT and piece.tile is not None:
        key = _image_key(config, Stage.FIT, piece.image, piece.tile.label)
        return [Piece(Stage.FIT, key, image=piece.image, tile=piece.tile)]
    return []


def _image_key(config: Config, stage: Stage, image: Image, *parts: str) -> str:
    return config.key(stage, image.name, image.digest, image.hdu, list(image.plane), *parts)
