"""The processes of a submit: which is which, what they use, and one killed now and then.

On this machine the scheduler and the nannies of the workers live in the driver's process.
"""

import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

WORKER_MARK = "spawn_main"
"""Stands in the command line of a spawned worker, and not in that of Python's resource tracker."""

LOOK_EVERY = 0.5
"""Seconds between two looks at memory and time."""


@dataclass
class Use:
    """What processes of one role have used: largest memory of one of them, time of all."""

    peak_bytes: int = 0
    cpu_seconds: float = 0.0
    processes: int = 0


def workers(driver: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes below a driver, or below a worker's nanny."""
    return [p for p in _below(driver) if _is_worker(p)]


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any(WORKER_MARK in word for word in process.cmdline())
    except psutil.Error:
        return False


def peak_bytes(pid: int) -> int:
    """Return the largest resident memory that a process has had, as Linux has kept it.

    Raises
    ------
    psutil.ZombieProcess
        If it has ended and only its exit status is left.
    """
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    lines = [line for line in status if line.startswith("VmHWM:")]
    if not lines:
        raise psutil.ZombieProcess(pid)
    return int(lines[0].split()[1]) * 1024


class Watch(threading.Thread):
    """Looks at a driver and all below it until it ends."""

    def __init__(self, driver: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._driver = driver
        self._peak: defaultdict[psutil.Process, int] = defaultdict(int)
        self._cpu: dict[psutil.Process, float] = {}
        self._ended = threading.Event()

    def run(self) -> None:
        """Look, until `ended`."""
        while not self._ended.wait(LOOK_EVERY):
            for process in (self._driver, *workers(self._driver)):
                self._look(process)

    def _look(self, process: psutil.Process) -> None:
        try:
            memory, times = peak_bytes(process.pid), process.cpu_times()
        except (psutil.Error, OSError):
            return
        self._peak[process] = max(self._peak[process], memory)
        self._cpu[process] = times.user + times.system

    def ended(self) -> dict[str, Use]:
        """Stop, and return what the driver and its workers have used."""
        self._ended.set()
        self.join()
        used = {"driver": Use(), "worker": Use()}
        for process, cpu in self._cpu.items():
            use = used["driver" if process == self._driver else "worker"]
            use.peak_bytes = max(use.peak_bytes, self._peak[process])
            use.cpu_seconds += cpu
            use.processes += 1
        return used


class Killer(threading.Thread):
    """Kills a random worker (kill -9) every so many seconds, until `ended`."""

    def __init__(self, driver: psutil.Process, every: float, seed: int) -> None:
        super().__init__(daemon=True)
        self._driver, self._every = driver, every
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self._kills = 0

    def run(self) -> None:
        """Kill."""
        while not self._ended.wait(self._every):
            alive = workers(self._driver)
            # One that has ended since it was listed is nobody's loss.
            with suppress(psutil.NoSuchProcess):
                if alive:
                    self._random.choice(alive).kill()
                    self._kills += 1

    def ended(self) -> int:
        """Stop, and return how many were killed."""
        self._ended.set()
        self.join()
        return self._kills


@dataclass
class Submitted:
    """How a submit in a process of its own went."""

    status: int
    seconds: float
    kills: int
    used: dict[str, Use] = field(default_factory=dict)


def submit(
    images: Iterable[Path],
    run: Path,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    kill_every: float = 0.0,
    seed: int = 0,
) -> Submitted:
    """Run ``surveyfit submit`` to its end, watched; what it prints goes to ``RUN.txt``."""
    command = [sys.executable, "-m", "surveyfit", "submit", *map(str, images), "-o", str(run)]
    began = time.perf_counter()
    with run.with_suffix(".txt").open("w") as output:
        process = subprocess.Popen(
            [*command, *options], stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        driver = psutil.Process(process.pid)
        watch = Watch(driver)
        watch.start()
        killer = Killer(driver, kill_every, seed) if kill_every else None
        if killer is not None:
            killer.start()
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        kills = killer.ended() if killer is not None else 0
    return Submitted(status, time.perf_counter() - began, kills, watch.ended())
