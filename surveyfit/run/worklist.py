"""Which piece is next: pure bookkeeping, shared by the plain loop and the cluster."""

import heapq
from collections.abc import Callable, Iterable
from itertools import count

from surveyfit.run.pieces import STAGES, Outcome, Piece

_RANK = {stage: -i for i, stage in enumerate(STAGES)}


class Worklist:
    """Pieces waiting for work; later stages come first, so that finished tiles leave early.

    Parameters
    ----------
    pieces : iterable of Piece
        The first pieces.
    follow_up : callable
        Pieces that an outcome makes possible.
    resume : callable
        The outcome of a piece that was committed by an earlier run, else None.
    """

    def __init__(
        self,
        pieces: Iterable[Piece],
        follow_up: Callable[[Outcome], list[Piece]],
        resume: Callable[[Piece], Outcome | None],
    ) -> None:
        self.resume = resume
        self._follow_up = follow_up
        self._order = count()
        self._waiting: list[tuple[int, int, Piece]] = []
        for piece in pieces:
            self._push(piece)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def _push(self, piece: Piece) -> None:
        heapq.heappush(self._waiting, (_RANK[piece.stage], next(self._order), piece))

    def pop(self) -> Piece:
        """Return the next piece."""
        return heapq.heappop(self._waiting)[2]

    def done(self, outcome: Outcome) -> None:
        """Add what follows from an outcome."""
        for piece in self._follow_up(outcome):
            self._push(piece)
