"""What the records of a run tell a report page: its images, its failures, its time."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any

from surveyfit.run.catalogue import whole_batches
from surveyfit.run.directory import Receipt, RunDirectory
from surveyfit.run.pieces import STAGES, Failure, Stage

SLOWEST = 10
"""Pieces of work that are named as the slowest."""

STAGE_WORDS = {
    Stage.OPEN: "opening files",
    Stage.NOISE: "measuring background and noise",
    Stage.CUT: "finding and cutting sources",
    Stage.FIT: "fitting",
}


@dataclass
class ImageLine:
    """An image that was measured; a row of the page's table.

    Attributes
    ----------
    key : str
        Its name in paths.
    band : str
        Filter, or else frequency, in words; empty if neither is known.
    noise : float
        Median noise of a pixel, in ``unit``.
    shape : (int, int)
        Rows and columns.
    parts : list of str
        Names of its parts of the catalogue.
    """

    key: str
    name: str
    unit: str
    band: str
    noise: float
    shape: tuple[int, int]
    rows: int = 0
    good: int = 0
    seconds: float = 0.0
    parts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PieceLine:
    """A committed piece of work and the seconds that it took a worker."""

    stage: str
    name: str
    tile: str
    rows: int | None
    seconds: float


@dataclass(frozen=True)
class RunFacts:
    """All that a page tells of a run beside its sources.

    Attributes
    ----------
    record : mapping
        run.json.
    stages : dict of str to (int, float)
        Committed pieces and seconds of workers by stage, in words.
    slowest : list of PieceLine
    failures : list of Failure
    """

    record: Mapping[str, Any]
    images: list[ImageLine]
    stages: dict[str, tuple[int, float]]
    slowest: list[PieceLine]
    failures: list[Failure]

    @property
    def rows(self) -> int:
        """Sources in the catalogue."""
        return sum(image.rows for image in self.images)

    @property
    def n_failures(self) -> int:
        """Files, images and tiles that failed; of a run that goes on, so far."""
        counted: int = self.record.get("counts", {}).get("failures", 0)
        return len(self.failures) or counted

    @property
    def good(self) -> int:
        """Those of them that are good."""
        return sum(image.good for image in self.images)


def read_facts(directory: RunDirectory) -> RunFacts:
    """Read the records of a run, finished or not.

    Raises
    ------
    DamagedError
        If a record is not as it was written.
    """
    images: dict[str, ImageLine] = {}
    stages: defaultdict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    pieces: list[PieceLine] = []
    for receipt in _receipts(directory):
        stage = Stage(receipt["stage"])
        number, seconds = stages[STAGE_WORDS[stage]]
        stages[STAGE_WORDS[stage]] = number + 1, seconds + receipt["seconds"]
        pieces = nlargest(SLOWEST, [*pieces, _piece(receipt)], key=lambda piece: piece.seconds)
        if stage is Stage.NOISE:
            images[receipt["image"]] = _image(receipt)
        elif image := images.get(receipt["image"]):
            image.seconds += receipt["seconds"]
            if stage is Stage.FIT:
                image.rows += receipt["result"]["rows"]
                image.good += receipt["result"]["good"]
                image.parts.append(receipt["result"]["part"])
    return RunFacts(
        directory.record(), list(images.values()), dict(stages), pieces, _failures(directory)
    )


def _receipts(directory: RunDirectory) -> Iterator[Receipt]:
    """Yield all receipts, stage by stage in the order of the work."""
    for stage in STAGES:
        of_stage = (receipt for _, receipt in directory.read_receipts(stage))
        yield from whole_batches(of_stage) if stage is Stage.FIT else of_stage


def _image(receipt: Receipt) -> ImageLine:
    result, facts = receipt["result"], receipt["result"]["facts"]
    return ImageLine(
        key=receipt["image"],
        name=receipt["name"],
        unit=facts["unit"],
        band=facts["filter"] or _frequency(facts["frequency"]),
        noise=result["noise"],
        shape=tuple(result["image"]["shape"]),
        seconds=receipt["seconds"],
    )


def _frequency(hertz: float | None) -> str:
    """Spell a frequency.

    >>> _frequency(887.5e6), _frequency(16.9e9), _frequency(None)
    ('887.5 MHz', '16.9 GHz', '')
    """
    if hertz is None:
        return ""
    return f"{hertz / 1e9:.4g} GHz" if hertz >= 1e9 else f"{hertz / 1e6:.4g} MHz"


def _piece(receipt: Receipt) -> PieceLine:
    first, *others = receipt["tiles"] or [""]
    return PieceLine(
        stage=STAGE_WORDS[Stage(receipt["stage"])],
        name=receipt["name"],
        tile=first + (f" and {len(others)} more" if others else ""),
        rows=receipt["result"].get("rows"),
        seconds=receipt["seconds"],
    )


def _failures(directory: RunDirectory) -> list[Failure]:
    """Read failures.json, which is written when a run has come to its end."""
    if not directory.failures_path.exists():
        return []
    return [Failure(**row) for row in json.loads(directory.failures_path.read_text())]
