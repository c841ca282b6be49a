"""Dask: a cluster on this machine or an existing one, and the executor that feeds it.

The local cluster listens on the loopback interface only. Its workers are spawned processes of
one thread; ``NPROC=1`` is what keeps XLA from starting a thread a core in each of them.
"""

import json
import logging
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
from dask.utils import parse_bytes
from distributed import Client, Future, Nanny, Scheduler, SpecCluster, as_completed
from distributed.scheduler import KilledWorker

from surveyfit.errors import InputError
from surveyfit.run.config import Config, Execution
from surveyfit.run.loop import ONE_THREAD
from surveyfit.run.pieces import Failure, Outcome, Piece
from surveyfit.run.tasks import execute
from surveyfit.run.worklist import Worklist
from surveyfit.sky.atomic import check_writable

LOOPBACK = "127.0.0.1"
DASHBOARD_PORT = 8787

TASKS_PER_THREAD = 3
"""Tasks in flight for each worker thread: enough to hide the way, few enough to stay bounded."""

SHOWN_FUTURES = 1000
"""Finished tasks that are remembered, so that the dashboard's bars show what is done."""

CONNECT_TIMEOUT = "10s"

LOUD_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "bokeh")
"""Those whose level distributed sets; a child among them does not follow its parent."""

_SETTINGS = {
    "distributed.nanny.pre-spawn-environ": {
        **ONE_THREAD,
        "DASK_LOGGING__DISTRIBUTED": "critical",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    },
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.preload": ["surveyfit.run.worker"],
    # A proxy route on the dashboard would let its visitors reach other hosts.
    "distributed.scheduler.http.routes": [
        "distributed.http.scheduler.prometheus",
        "distributed.http.scheduler.info",
        "distributed.http.scheduler.json",
        "distributed.http.health",
        "distributed.http.statics",
    ],
    "distributed.worker.http.routes": ["distributed.http.health"],
}


class Cluster:
    """Executor that keeps a bounded number of pieces in flight on Dask workers."""

    def __init__(self, client: Client, run: Path, config: Config) -> None:
        self._client = client
        self._run = str(run.absolute())
        self._config = config
        self.dashboard = client.dashboard_link
        self._shown: deque[Future] = deque(maxlen=SHOWN_FUTURES)

    def run(self, worklist: Worklist) -> Iterator[Outcome]:
        """Yield outcomes as they come until nothing is left to do."""
        pending: dict[Any, Piece] = {}
        completed = as_completed(with_results=True, raise_errors=False)
        while worklist or pending:
            while len(pending) < self._window() and (piece := worklist.pop()) is not None:
                if (committed := worklist.resume(piece)) is not None:
                    worklist.done(committed)
                    yield committed
                    continue
                future = self._submit(piece)
                pending[future.key] = piece
                completed.add(future)
            if not pending:
                continue
            for future, result in completed.next_batch():
                self._shown.append(future)
                outcome = _outcome(pending.pop(future.key), future, result)
                if worklist.done(outcome):
                    yield outcome

    def _window(self) -> int:
        return TASKS_PER_THREAD * max(1, sum(self._client.nthreads().values()))

    def _submit(self, piece: Piece) -> Future:
        return self._client.submit(
            execute,
            piece,
            self._run,
            self._config,
            key=f"{piece.stage}-{piece.key}",
            pure=False,
            retries=2,
        )


def _outcome(piece: Piece, future: Future, result: Any) -> Outcome:
    """Turn what Dask returned into an outcome, also where the task never came back."""
    if isinstance(result, Outcome):
        return result
    error = result[1] if isinstance(result, tuple) else future.exception()
    if isinstance(error, KilledWorker):
        reason = "its worker died each time it was tried (out of memory?)"
        remedy = "submit again with a larger --memory-limit or a smaller --tile"
    else:
        reason = f"lost by the cluster: {type(error).__name__}: {error}"
        remedy = "submit again: what is finished is kept"
    return Outcome(piece, failure=Failure(piece.name, piece.label, piece.stage, reason, remedy))


@contextmanager
def connect(run: Path, config: Config, execution: Execution) -> Iterator[Cluster]:
    """Start a cluster on this machine, or join the one that ``--scheduler`` names.

    Raises
    ------
    InputError
        If the scheduler cannot be reached, the memory limit is not a size, or the performance
        report cannot be written.
    """
    _quieten(execution.verbose)
    if execution.performance_report:
        check_writable(Path(execution.performance_report).parent)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(_SETTINGS))
        if execution.scheduler is None:
            cluster = stack.enter_context(_local_cluster(execution))
            client = stack.enter_context(Client(cluster))
        else:
            client = stack.enter_context(_existing(execution.scheduler))
        if execution.performance_report:
            Path(execution.performance_report).parent.mkdir(parents=True, exist_ok=True)
            from distributed import performance_report

            stack.enter_context(performance_report(execution.performance_report))
        yield Cluster(client, run, config)


def _quieten(verbose: bool) -> None:
    """Keep the libraries' log lines, tracebacks among them, from the user unless asked for.

    A browser that leaves the dashboard, or Ctrl-C, is enough to make tornado log one.
    """
    level = logging.INFO if verbose else logging.CRITICAL
    for name in LOUD_LOGGERS:
        logging.getLogger(name).setLevel(level)


def _existing(scheduler: str) -> Client:
    try:
        if Path(scheduler).is_file():
            address = json.loads(Path(scheduler).read_text())["address"]
        else:
            address = scheduler
        return Client(address, timeout=CONNECT_TIMEOUT)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"--scheduler {scheduler}: no scheduler answers there ({error})",
            "give an address such as tcp://host:8786 or the scheduler's file, or leave it out",
        ) from error


def _local_cluster(execution: Execution) -> SpecCluster:
    gpus = count_gpus()
    n_workers = execution.workers or gpus or len(os.sched_getaffinity(0))
    memory_limit = _memory_limit(execution.memory_limit)
    workers = {
        i: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "host": LOOPBACK,
                "dashboard": False,
                "memory_limit": memory_limit,
                "env": {"CUDA_VISIBLE_DEVICES": str(i % gpus)} if gpus else {},
            },
        }
        for i in range(n_workers)
    }
    options = {"host": LOOPBACK, "port": 0, "dashboard": True}
    scheduler = {
        "cls": Scheduler,
        "options": options | {"dashboard_address": f"{LOOPBACK}:{_dashboard_port()}"},
    }
    return SpecCluster(workers=workers, scheduler=scheduler, name="surveyfit")


def _memory_limit(words: str | None) -> int | str:
    """Return bytes; ``auto``, a fair share of the machine's memory, where none were given."""
    try:
        return "auto" if words is None else int(parse_bytes(words))
    except ValueError as error:
        raise InputError(f"--memory-limit {words}: not a size", "write it as 4GiB") from error


def _dashboard_port() -> int:
    """Return Dask's usual port, or any if another program has it."""
    import socket

    with socket.socket() as probe:
        return DASHBOARD_PORT if probe.connect_ex((LOOPBACK, DASHBOARD_PORT)) else 0


def count_gpus() -> int:
    """Count the NVIDIA GPUs that the driver shows; no CUDA context is made."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listing = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)
    return listing.stdout.count("GPU ") if listing.returncode == 0 else 0
