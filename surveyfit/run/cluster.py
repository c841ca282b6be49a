"""The executor that feeds pieces to Dask workers and takes in how they ended."""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Client, Future, as_completed
from distributed.client import ClosedClientError, FutureCancelledError
from distributed.scheduler import KilledWorker

from surveyfit.errors import StoppedError
from surveyfit.run.config import Config, Execution
from surveyfit.run.lanes import Lane, declared, lanes
from surveyfit.run.pieces import Failure, Outcome, Piece, halves
from surveyfit.run.suspects import Suspects, Verdict
from surveyfit.run.tasks import execute
from surveyfit.run.worklist import Worklist

TASKS_PER_SLOT = 3
"""Tasks in flight for each that can run: enough to hide the way, few enough to stay bounded."""

POLL_EVERY = 0.05
"""Seconds between looks for finished tasks; what waits on the workers hides it."""

LOOK_EVERY = 1.0
"""Seconds between looks at which workers there are."""

LOST = "the connection to the scheduler was lost and did not come back"

RESTART_TIMEOUT = 30
"""Seconds that a worker is given to start again."""


class Cluster:
    """Keeps a bounded number of pieces in flight; nothing that workers do can surprise it.

    Parameters
    ----------
    client : Client
    run : Path
    config : Config
    execution : Execution
        ``wait`` and ``hang`` limit how long there may be no worker and no outcome.
    notify : callable
        Takes lines about workers that die, wait or hang.
    """

    def __init__(
        self,
        client: Client,
        run: Path,
        config: Config,
        execution: Execution,
        notify: Callable[[str], None],
    ) -> None:
        self._client = client
        self._run = str(run.absolute())
        self._config = config
        self._execution = execution
        self._notify = notify
        self.dashboard = client.dashboard_link
        self._attempts: Counter[str] = Counter()
        self._suspects = Suspects()
        self._pending: dict[str, Piece] = {}
        self._current_lanes: list[Lane] = []
        self._resources: frozenset[str] = frozenset()
        self._trial: Piece | None = None
        self._looked = -math.inf
        client.subscribe_topic("all", self._on_event)

    def run(self, worklist: Worklist) -> Iterator[Outcome]:
        """Yield outcomes as they come until nothing is left to do.

        Raises
        ------
        StoppedError
            If the scheduler is lost, or no worker comes.
        """
        self._completed = as_completed(with_results=True, raise_errors=False)
        self._alive = self._staffed = time.monotonic()
        try:
            while worklist or self._pending or self._suspects.waiting:
                yield from self._turn(worklist)
        except ClosedClientError as error:
            raise StoppedError(LOST) from error
        finally:
            self._drop_all()

    def _turn(self, worklist: Worklist) -> Iterator[Outcome]:
        """Hand out work, take in what has ended, see to it that something goes on."""
        worklist.check()
        yield from self._fill(worklist)
        if not self._pending and self._suspects.waiting:
            yield from self._try_alone(self._suspects.waiting.popleft(), worklist)
        finished = self._completed.next_batch(block=False)
        for future, result in finished:
            yield from self._taken_in(future, result, worklist)
        if not finished:
            time.sleep(POLL_EVERY)
            yield from self._check_limits(worklist)

    def _fill(self, worklist: Worklist) -> Iterator[Outcome]:
        """Submit what there is room for; yield what an earlier run has done already."""
        if self._trial is not None:
            return
        waiting = Counter(piece.stage for piece in self._pending.values())
        for lane in self._lanes():
            room = TASKS_PER_SLOT * max(1, lane.slots) - sum(waiting[s] for s in lane.stages)
            while room > 0 and (piece := worklist.pop(lane.stages)) is not None:
                committed = worklist.resume(piece)
                if committed is None:
                    self._submit(piece, lane)
                    room -= 1
                elif worklist.done(committed):
                    yield committed

    def _lanes(self) -> list[Lane]:
        if time.monotonic() - self._looked > LOOK_EVERY:
            with suppress(OSError, KeyError):  # while the connection is lost, the last look holds
                workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
                self._resources |= declared(workers)
                self._current_lanes = lanes(workers, self._resources)
            self._looked = time.monotonic()
        return self._current_lanes

    def _submit(self, piece: Piece, lane: Lane) -> None:
        self._attempts[piece.key] += 1
        key = f"{piece.stage}-{piece.key}-{self._attempts[piece.key]}"
        self._pending[key] = piece
        future = self._client.submit(
            execute,
            piece,
            self._run,
            self._config,
            key=key,
            resources=lane.resources,
            pure=False,
        )
        self._completed.add(future)

    def _try_alone(self, piece: Piece, worklist: Worklist) -> Iterator[Outcome]:
        """Submit a suspect; yield its outcome where it is half a batch that was fitted before."""
        committed = worklist.resume(piece)
        if committed is not None:
            if worklist.done(committed):
                yield committed
            return
        lane = next((lane for lane in self._lanes() if piece.stage in lane.stages), None)
        if lane is None:  # the scheduler has not told of any worker yet
            self._suspects.waiting.appendleft(piece)
            return
        self._notify(f"{_where(piece)}: {piece.stage} is tried alone")
        self._trial = piece
        self._submit(piece, lane)

    def _taken_in(self, future: Future, result: Any, worklist: Worklist) -> Iterator[Outcome]:
        """Yield the outcome of a future, where it is the last word on its piece."""
        # While somebody holds on to its result, Dask does a task again that a dead worker has done.
        future.release()
        piece = self._pending.pop(str(future.key), None)
        if piece is None:
            return
        alone, self._trial = self._trial is not None, None
        self._alive = time.monotonic()
        error = result[1] if isinstance(result, tuple) else result
        if isinstance(result, Outcome):
            outcome: Outcome | None = result
        elif isinstance(error, KilledWorker):
            outcome = self._killed(piece, alone, error.allowed_failures + 1, worklist)
        elif isinstance(error, FutureCancelledError):
            # The connection was lost and came back, or another client restarted the cluster.
            worklist.put_back(piece)
            outcome = None
        else:
            reason = f"lost by the cluster: {type(error).__name__}: {error}"
            outcome = _failed(piece, reason, "submit again: what is finished is kept")
        if outcome is not None and worklist.done(outcome):
            yield outcome

    def _killed(self, piece: Piece, alone: bool, deaths: int, worklist: Worklist) -> Outcome | None:
        """Let a piece be tried again, alone, in halves, or never."""
        verdict = self._suspects.judge(piece, alone=alone, deaths=deaths)
        where = f"{_where(piece)}: {piece.stage}"
        if verdict is Verdict.AGAIN:
            self._notify(f"{where} was at work when a worker died; it is done again")
            worklist.put_back(piece)
            return None
        if verdict is Verdict.SUSPECT:
            self._notify(f"{where} waits to be tried alone: workers that had it died")
            return None
        if len(piece.tiles) > 1:
            self._notify(f"{where} kills its worker; its halves are tried")
            self._suspects.waiting.extend(halves(piece, self._config))
            return None
        return _failed(
            piece,
            "it kills the worker that works on it, also alone (out of memory?)",
            "submit again with a larger --memory-limit or a smaller --tile",
        )

    def _on_event(self, event: tuple[float, Any]) -> None:
        """Note the death of a worker; called by Dask's own thread."""
        _, content = event
        if content.get("action") == "remove-worker" and not content.get("expected"):
            # By their names: what died may have been taken in already, and forgotten.
            tasks = [str(task).rsplit("-", 2) for task in content.get("processing-tasks", ())]
            self._suspects.worker_died([words[-2:][0] for words in tasks])

    def _check_limits(self, worklist: Worklist) -> Iterator[Outcome]:
        """Stop, or give up on pieces, where it has been too long."""
        now = time.monotonic()
        if self._client.status == "closed":
            raise StoppedError(LOST)
        if self._client.status != "running":
            return
        current = self._lanes()
        unstaffed = [lane for lane in current if not lane.slots]
        if current and not unstaffed:
            self._staffed = now
        elif now - self._staffed < self._execution.wait:
            self._alive = now
        else:
            kind = "".join(f" with {name}=1" for lane in unstaffed[:1] for name in lane.resources)
            raise StoppedError(
                f"no worker{kind} for {self._execution.wait:g} s (--wait);"
                f" {len(self._pending)} pieces were waiting for one"
            )
        if self._pending and now - self._alive > self._execution.hang:
            yield from self._give_up_on_stuck(worklist)

    def _give_up_on_stuck(self, worklist: Worklist) -> Iterator[Outcome]:
        """Restart the workers from which nothing comes; what they had is tried alone, once."""
        pending, self._pending = self._pending, {}
        alone, self._trial = self._trial is not None, None
        silent = self._restart_silent(pending)
        self._alive = time.monotonic()
        what = f"no answer within {self._execution.hang:g} s (--hang), its worker was restarted"
        for key, piece in pending.items():
            if key not in silent:
                worklist.put_back(piece)
            elif not alone:
                self._notify(f"{_where(piece)}: {piece.stage}: {what}; it waits to be tried alone")
                self._suspects.waiting.append(piece)
            else:
                outcome = _failed(piece, what, "look at its disk, or submit with a longer --hang")
                if worklist.done(outcome):
                    yield outcome

    def _restart_silent(self, pending: Collection[str]) -> set[str]:
        """Restart the workers that have some of the tasks, and return which those are."""
        stuck: dict[str, set[str]] = {}
        try:
            for worker, keys in self._client.processing().items():
                if ours := {str(key) for key in keys} & set(pending):
                    stuck[worker] = ours
            self._client.cancel(list(self._completed.futures))
            self._client.restart_workers(
                list(stuck), timeout=RESTART_TIMEOUT, raise_for_error=False
            )
        except OSError as error:
            raise StoppedError(LOST) from error
        except ValueError:  # Dask cannot start a worker again that has no nanny
            self._notify(f"workers without a nanny hang, restart them: {', '.join(stuck)}")
        return set().union(*stuck.values())

    def close(self) -> None:
        """Listen no more; call it before the client is closed."""
        if self._client.status == "running":
            self._client.unsubscribe_topic("all")

    def _drop_all(self) -> None:
        """Let go of what is in flight: workers drop what they have not begun."""
        self._pending = {}
        if self._client.status == "running":
            self._client.cancel(list(self._completed.futures))


def _where(piece: Piece) -> str:
    return f"{piece.name} {piece.label}".rstrip()


def _failed(piece: Piece, reason: str, remedy: str) -> Outcome:
    return Outcome(piece, failure=Failure(piece.name, piece.label, piece.stage, reason, remedy))
