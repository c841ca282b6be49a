"""Which piece is next: pure bookkeeping, shared by the plain loop and the cluster."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable

from surveyfit.errors import StoppedError
from surveyfit.run.pieces import STAGES, Outcome, Piece, Stage

MOST_TRIES = 3
"""Tries of a piece that fails for a passing reason, such as a network disk that does not answer."""


class Worklist:
    """Pieces waiting for work; later stages come first, so that finished images leave early.

    Parameters
    ----------
    pieces : iterable of Piece
        The first pieces.
    follow_up : callable
        Pieces that an outcome makes possible.
    resume : callable
        The outcome of a piece that was committed by an earlier run, else None.
    check : callable
        Raises when no more work may be done; asked again and again.
    strict : bool
        Whether the first failure is the end: what is in hand is finished, nothing else begun.
    """

    def __init__(
        self,
        pieces: Iterable[Piece],
        follow_up: Callable[[Outcome], list[Piece]],
        resume: Callable[[Piece], Outcome | None],
        check: Callable[[], None] = lambda: None,
        *,
        strict: bool = False,
    ) -> None:
        self._strict = strict
        self._closed = False
        self.resume = resume
        self.check = check
        self._follow_up = follow_up
        self._tries: Counter[str] = Counter()
        self._waiting: dict[Stage, deque[Piece]] = {stage: deque() for stage in STAGES}
        for piece in pieces:
            self.put_back(piece)

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def put_back(self, piece: Piece) -> None:
        """Let a piece wait for its turn, behind the others of its stage."""
        if not self._closed:
            self._waiting[piece.stage].append(piece)

    def pop(self, stages: Collection[Stage] = STAGES) -> Piece | None:
        """Return the next piece of one of the stages; None if there is none."""
        for stage in reversed(STAGES):
            if stage in stages and self._waiting[stage]:
                return self._waiting[stage].popleft()
        return None

    def done(self, outcome: Outcome) -> bool:
        """Take in an outcome; return whether it is the last word on its piece.

        A passing failure is not: its piece waits for another try. Else what follows is added.

        Raises
        ------
        StoppedError
            At a failure that all other pieces would share.
        """
        piece = outcome.piece
        if outcome.failure is not None and outcome.failure.disk_full:
            raise StoppedError(outcome.failure.reason)
        if outcome.failure is not None and outcome.failure.transient:
            self._tries[piece.key] += 1
            if self._tries[piece.key] < MOST_TRIES:
                self.put_back(piece)
                return False
        if outcome.failure is not None and self._strict:
            self._closed = True
            for pieces in self._waiting.values():
                pieces.clear()
        for next_piece in self._follow_up(outcome):
            self.put_back(next_piece)
        return True
