"""Which pieces are to blame for the death of workers.

A piece that was at work when a worker died is done again. After a few deaths it is suspect and has
to wait until all others are done; then it is tried alone. What dies alone as well is guilty, unless
workers that had nothing to do with it were dying too: then the machines are to blame.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from enum import Enum, auto

from surveyfit.run.pieces import Piece

DEATHS_OF_A_SUSPECT = 3
"""Deaths that a piece may see beside others: with a worker killed every 30 s and pieces of
seconds, an innocent one seldom sees the second."""

DEATHS_OF_THE_GUILTY = 2
"""Deaths of a piece alone on a worker that convict it."""

CALM = 30.0
"""Seconds around a trial in which no other worker may die, or the trial proves nothing."""


class Verdict(Enum):
    """What is to be done with a piece whose worker died."""

    AGAIN = auto()
    SUSPECT = auto()
    GUILTY = auto()


class Suspects:
    """Counts deaths and tells suspects from the guilty; ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.waiting: deque[Piece] = deque()
        self._beside_others: Counter[str] = Counter()
        self._alone: Counter[str] = Counter()
        self._suspected: set[str] = set()
        self._deaths: deque[tuple[float, frozenset[str]]] = deque()

    def worker_died(self, keys: Collection[str]) -> None:
        """Note the death of a worker that was given these keys of pieces."""
        self._deaths.append((self._clock(), frozenset(keys)))

    def judge(self, piece: Piece, *, alone: bool, deaths: int) -> Verdict:
        """Judge a piece after the deaths of workers that had it; a suspect is put on the list.

        Parameters
        ----------
        piece : Piece
        alone : bool
            Whether nothing else was at work.
        deaths : int
            How many workers have died with it since the last time.
        """
        if not alone:
            self._beside_others[piece.key] += deaths
            if self._beside_others[piece.key] < DEATHS_OF_A_SUSPECT:
                return Verdict.AGAIN
            self._suspected.add(piece.key)
            self.waiting.append(piece)
            return Verdict.SUSPECT
        self._suspected.add(piece.key)
        if not self._died_without_suspect():
            self._alone[piece.key] += deaths
        if self._alone[piece.key] >= DEATHS_OF_THE_GUILTY:
            return Verdict.GUILTY
        # Before the others: the next is tried when there is a verdict on this one.
        self.waiting.appendleft(piece)
        return Verdict.SUSPECT

    def _died_without_suspect(self) -> bool:
        """Whether a worker has died lately that no suspect can be blamed for."""
        now = self._clock()
        while self._deaths and now - self._deaths[0][0] > CALM:
            self._deaths.popleft()
        # A copy, since Dask's thread adds to it.
        return any(self._suspected.isdisjoint(keys) for _, keys in tuple(self._deaths))
