"""The first stage: what the files hold, and which of two equal files is measured."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from surveyfit.run.config import Config
from surveyfit.run.pieces import Failure, Outcome, Piece, open_piece
from surveyfit.sky.find import Found
from surveyfit.sky.image import Image, Other


@dataclass
class Opened:
    """Images to measure, parts that are not sky, and files that cannot be read."""

    images: list[Image] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


def open_pieces(found: Iterable[Found], config: Config) -> list[Piece]:
    """Return the tasks that open the files."""
    return [open_piece(f, config) for f in found]


def sort_out(found: Iterable[Found], outcomes: Iterable[Outcome]) -> Opened:
    """Gather what the files hold, in the order of the files whatever the order of the outcomes.

    Of files with the same bytes the first is measured, so that no source is counted twice.
    """
    by_name = {outcome.piece.name: outcome for outcome in outcomes}
    opened = Opened()
    first_with: dict[str, str] = {}
    for name in (f.name for f in found):
        outcome = by_name[name]
        if outcome.failure is not None:
            opened.failures.append(outcome.failure)
            continue
        digest = outcome.result["digest"]
        first = first_with.setdefault(digest, name)
        if first != name:
            opened.others.append(Other(name, "duplicate", f"the same bytes as {first}"))
            continue
        opened.digests.append(digest)
        opened.images.extend(Image.from_dict(i) for i in outcome.result["images"])
        opened.others.extend(Other(**o) for o in outcome.result["others"])
    return opened
