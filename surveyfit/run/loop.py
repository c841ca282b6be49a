"""The plain loop: one piece after the other in this process. It defines the right answer."""

from collections.abc import Callable, Iterator

from surveyfit.run.interrupt import interrupt_later
from surveyfit.run.pieces import Outcome, Piece
from surveyfit.run.worklist import Worklist

ONE_THREAD = {"NPROC": "1", "OMP_NUM_THREADS": "1"}
"""Environment of whatever process fits. XLA splits sums over its threads: only with the same
number of them, read when it starts, are results the same to the last bit."""


class Loop:
    """Executor that calls the work itself."""

    dashboard = ""

    def __init__(self, work: Callable[[Piece], Outcome]) -> None:
        self._work = work

    def run(self, worklist: Worklist) -> Iterator[Outcome]:
        """Yield outcomes until nothing is left to do; an interrupt is raised between pieces."""
        with interrupt_later() as check_interrupt:
            while (piece := worklist.pop()) is not None:
                worklist.check()
                outcome = worklist.resume(piece) or self._work(piece)
                if worklist.done(outcome):
                    yield outcome
                check_interrupt()
