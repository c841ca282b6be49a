"""What would run where, and what is wrong: the facts behind ``surveyfit doctor``."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from surveyfit.run.machine import count_gpus
from surveyfit.run.record import PACKAGES

MIN_FREE_GIB = 2.0
"""With less free disk than this a run of any size is likely to stop."""


def examine(folder: Path) -> Iterator[tuple[bool, str]]:
    """Yield findings, each with whether it is well.

    Parameters
    ----------
    folder : Path
        Where a run would be written.
    """
    checks: list[Callable[[], Iterator[tuple[bool, str]]]] = [
        _versions,
        _machine,
        _devices,
        _loopback,
        lambda: _disk(folder),
    ]
    for check in checks:
        yield from check()


def _versions() -> Iterator[tuple[bool, str]]:
    for name in PACKAGES:
        try:
            yield True, f"{name} {version(name)}"
        except PackageNotFoundError:
            yield False, f"{name} is not installed: pip install surveyfit again"


def _machine() -> Iterator[tuple[bool, str]]:
    import psutil

    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total / 2**30
    yield True, f"{cores} cores, {memory:.0f} GiB of memory"
    yield memory / cores > 1, f"{memory / cores:.1f} GiB a worker if each core gets one"


def _devices() -> Iterator[tuple[bool, str]]:
    import jax

    devices = jax.devices()
    yield True, f"JAX runs on {', '.join(str(d) for d in devices)}"
    gpus = count_gpus()
    if gpus and devices[0].platform == "cpu":
        yield (
            False,
            f"{gpus} GPUs, but JAX does not see them: pip install 'surveyfit[cuda12]' or [cuda13]",
        )
    elif not gpus:
        yield True, "no GPU: fits run on the CPU cores"


def _loopback() -> Iterator[tuple[bool, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
    yield True, "a cluster on this machine would listen on 127.0.0.1 only"


def _disk(folder: Path) -> Iterator[tuple[bool, str]]:
    place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free / 2**30
    yield free > MIN_FREE_GIB, f"{free:.0f} GiB free at {place}"
    yield os.access(place, os.W_OK), f"{place} can be written"
