"""A Dask cluster that somebody else has started: a scheduler and workers by Dask's own commands."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil
from distributed import Client
from submission import LOOK_EVERY, PATIENCE


class DaskCluster:
    """Scheduler and workers of one thread on the loopback interface, ended with the block.

    Attributes
    ----------
    file : Path
        The scheduler file, by which ``submit --scheduler`` and other workers find it.
    scheduler : Popen
    """

    def __init__(self, place: Path, workers: int = 0) -> None:
        self._place = place
        self.file = place / "scheduler.json"
        self.nannies: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", ["--port", "0"], {})
        until = time.monotonic() + PATIENCE
        while not self.file.exists():
            assert time.monotonic() < until, "no scheduler file"
            time.sleep(LOOK_EVERY)
        for _ in range(workers):
            self.add_worker()

    def add_worker(self, environment: Mapping[str, str] | None = None) -> None:
        """Start a worker with its nanny."""
        options = ["--nthreads", "1", "--local-directory", str(self._place)]
        self.nannies.append(self._start("worker", options, {"NPROC": "1", **(environment or {})}))

    def wait_for_workers(self, number: int) -> None:
        """Wait until so many workers have joined."""
        with Client(scheduler_file=str(self.file)) as client:
            client.wait_for_workers(number, timeout=PATIENCE)

    def _start(
        self, what: str, options: list[str], environment: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(self.file)]
        with (self._place / f"dask-{what}.txt").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", what, *options, *common],
                env={**os.environ, **environment},
                cwd=self._place,  # not that of the checkout, beside which pip leaves its version
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> "DaskCluster":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        roots = [self.scheduler, *self.nannies]
        below = [c for root in roots for c in _children(root.pid)]
        for root in roots:
            root.kill()
        for process in below:
            if process.is_running():
                process.kill()
        for root in roots:
            root.wait()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
