"""How fast a run goes and when it will be through, from the pieces that have ended."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from surveyfit.run.pieces import Outcome, Stage

WINDOW = 120.0
"""Seconds that the rates look back: short enough to follow a change ..."""

PIECES_LONG = 3
"""... but so many times the longest piece, since pieces count when they end."""


@dataclass
class Progress:
    """Work of one stage, in files, images or tiles.

    ``seconds`` of a worker went into ``timed`` of those that have ended, in this run or earlier.
    """

    total: int
    ended: int = 0
    timed: int = 0
    seconds: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds of one worker for the rest; None where none has been timed."""
        left = max(0, self.total - self.ended)
        if left and not self.timed:
            return None
        return left * self.seconds / max(1, self.timed)


class _Step(NamedTuple):
    """What one outcome has added."""

    when: float
    rows: int
    seconds: float


class Pace:
    """Counts by stage, and rates over the last `WINDOW` seconds or longest pieces.

    What an earlier run has committed counts as ended, but not in the rates.

    Parameters
    ----------
    totals : mapping of Stage to int
        How many files, images or tiles each stage has.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self, totals: Mapping[Stage, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stages = {stage: Progress(total) for stage, total in totals.items()}
        self._clock = clock
        self._steps: deque[_Step] = deque()
        self._began: float | None = None
        self._window = WINDOW
        self._rows = 0
        self.failures = 0

    def add(self, outcome: Outcome, tiles: int = 0) -> None:
        """Count an outcome.

        Parameters
        ----------
        outcome : Outcome
        tiles : int
            Tiles of its image, which nothing follows for if the image itself has failed.
        """
        stage = outcome.piece.stage
        count = len(outcome.piece.tiles) or 1
        self.stages[stage].ended += count
        if outcome.failure is not None:
            self.failures += 1
            self._give_up(stage, len(outcome.piece.tiles) or tiles)
        else:
            self.stages[stage].timed += count
            self.stages[stage].seconds += outcome.seconds
        if not outcome.resumed:
            self._step(outcome)

    def _give_up(self, failed: Stage, tiles: int) -> None:
        """Count what cannot follow any more as ended."""
        later = {Stage.NOISE: (Stage.CUT, Stage.FIT), Stage.CUT: (Stage.FIT,)}
        for stage in later.get(failed, ()):
            self.stages[stage].ended += tiles

    def _step(self, outcome: Outcome) -> None:
        now = self._clock()
        if self._began is None:
            self._began = now - outcome.seconds
        self._window = max(self._window, PIECES_LONG * outcome.seconds)
        rows = outcome.result.get("rows", 0)
        self._rows += rows
        self._steps.append(_Step(now, rows, outcome.seconds))
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._steps and self._steps[0].when < now - self._window:
            self._steps.popleft()

    def _span(self, now: float) -> float:
        """Seconds that the rates are taken over."""
        return min(self._window, now - self._began) if self._began is not None else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return what run.json holds.

        Counts by stage, failures, catalogue rows of this submit alone, rows a second of late, and
        seconds left; None where that is not known yet.
        """
        now = self._clock()
        span = self._span(now)
        # A copy, made at one go: Prometheus asks from a thread of its own.
        steps = [step for step in tuple(self._steps) if step.when >= now - self._window]
        rows = sum(step.rows for step in steps)
        return {
            "stages": {str(stage): asdict(progress) for stage, progress in self.stages.items()},
            "failures": self.failures,
            "rows_worked": self._rows,
            "rows_per_second": rows / span if span else 0.0,
            "seconds_left": self._seconds_left(span, sum(step.seconds for step in steps)),
        }

    def _seconds_left(self, span: float, busy: float) -> float | None:
        """Work that is left over the work done in a second, by all workers together."""
        work = [progress.seconds_left for progress in self.stages.values()]
        known = [seconds for seconds in work if seconds is not None]
        if not busy or len(known) < len(work):
            return None
        return sum(known) * span / busy
