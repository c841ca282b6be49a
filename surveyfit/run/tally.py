"""Counts of a run as it goes: by image for the user, in all for the record."""

from dataclasses import dataclass, field
from typing import Any

from surveyfit.run.config import Config
from surveyfit.run.pace import Pace
from surveyfit.run.pieces import Failure, Outcome, Stage
from surveyfit.run.plan import tiles
from surveyfit.sky.image import Image


@dataclass
class ImageTally:
    """Progress of one image."""

    image: Image
    n_tiles: int
    tiles_ended: int = 0
    tiles_failed: int = 0
    rows: int = 0
    good: int = 0
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do for this image."""
        return self.tiles_ended >= self.n_tiles

    @property
    def measured(self) -> bool:
        """Whether at least one of its tiles has given rows, be it none."""
        return self.ended and self.tiles_failed < self.n_tiles


class Tally:
    """Adds outcomes up."""

    def __init__(self, images: list[Image], config: Config) -> None:
        self.images = {
            image.key: ImageTally(image, len(tiles(image.shape, config.tile, config.halo)))
            for image in images
        }
        self.resumed = 0
        self.worked = 0
        n_tiles = self.n_tiles
        self.pace = Pace({Stage.NOISE: len(images), Stage.CUT: n_tiles, Stage.FIT: n_tiles})

    @property
    def failures(self) -> list[Failure]:
        """All failures, by image and tile."""
        return [f for tally in self.images.values() for f in tally.failures]

    @property
    def n_tiles(self) -> int:
        """Tiles of all images."""
        return sum(t.n_tiles for t in self.images.values())

    @property
    def tiles_ended(self) -> int:
        """Tiles that are fitted or have failed."""
        return sum(t.tiles_ended for t in self.images.values())

    @property
    def rows(self) -> int:
        """Catalogue rows so far."""
        return sum(t.rows for t in self.images.values())

    def counts(self) -> dict[str, Any]:
        """Return what run.json holds, and ``surveyfit status`` prints."""
        return {
            "images": len(self.images),
            "images_ended": sum(t.ended for t in self.images.values()),
            "tiles": self.n_tiles,
            "tiles_ended": self.tiles_ended,
            "rows": self.rows,
            "good": sum(t.good for t in self.images.values()),
            "pieces_worked": self.worked,
            "pieces_resumed": self.resumed,
            **self.pace.to_dict(),
        }

    def add(self, outcome: Outcome) -> ImageTally | None:
        """Count an outcome; return the image if this ended it."""
        assert outcome.piece.image is not None
        tally = self.images[outcome.piece.image.key]
        tally.seconds += outcome.seconds
        self.resumed += outcome.resumed
        self.worked += not outcome.resumed
        self.pace.add(outcome, tally.n_tiles)
        if outcome.failure is not None:
            tally.failures.append(outcome.failure)
            tally.tiles_ended += len(outcome.piece.tiles) or tally.n_tiles
            tally.tiles_failed += len(outcome.piece.tiles) or tally.n_tiles
        elif outcome.piece.stage is Stage.NOISE:
            tally.facts = outcome.result
        elif outcome.piece.stage is Stage.FIT:
            tally.tiles_ended += len(outcome.piece.tiles)
            tally.rows += outcome.result["rows"]
            tally.good += outcome.result["good"]
        return tally if tally.ended else None
