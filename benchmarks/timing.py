"""What every benchmark shares: one core, the machine in words, and times that can be compared."""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

ROUNDS = 5
"""Every contender runs in every round, so that a slow minute of the machine is slow for all."""

SLICE = 0.3
"""Seconds that a fast contender fills in a round; a slow one runs once."""


class Timing(NamedTuple):
    """Seconds: of the first call, which compiles, and the median of the calls after it."""

    first: float
    median: float
    calls: int


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--core", type=int, help="run on this core only")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    return parser


def pin(core: int | None) -> None:
    """Start this program again on one core, unless it is there or ``core`` is None.

    Again, since the libraries count the cores when they are imported.
    """
    if core is not None and os.sched_getaffinity(0) != {core}:
        os.sched_setaffinity(0, {core})
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def print_setting(*packages: str) -> None:
    """Print processor, cores in use and versions."""
    names = [line for line in _processor_lines() if line.startswith("model name")]
    processor = names[0].split(":")[1].strip() if names else platform.machine()
    cores = f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores"
    print(f"machine: {processor}, {cores}, {platform.system()}")
    found = [f"{name} {_version(name)}" for name in ("numpy", *packages)]
    print(f"versions: Python {platform.python_version()}, {', '.join(found)}\n", flush=True)


def _processor_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def compare(
    contenders: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS
) -> dict[str, tuple[Timing, Any]]:
    """Return the timing of each contender and what its first call returned.

    A contender returns only when its work is done (``jax.block_until_ready``).
    """
    first, seconds = {}, {name: list[float]() for name in contenders}
    for name, call in contenders.items():
        first[name] = _timed(call)
    for _ in range(rounds):
        for name, call in contenders.items():
            until = perf_counter() + SLICE
            seconds[name].append(_timed(call)[0])
            while perf_counter() < until:
                seconds[name].append(_timed(call)[0])
    return {
        name: (Timing(first[name][0], float(np.median(times)), len(times)), first[name][1])
        for name, times in seconds.items()
    }


def fastest_of(words: str, found: dict[str, tuple[Timing, Any]]) -> dict[str, tuple[Timing, Any]]:
    """Leave out the contenders with ``words`` in their name, but for the fastest of them."""
    alike = {name: timing.median for name, (timing, _) in found.items() if words in name}
    slower = set(alike) - {min(alike, key=lambda name: alike[name])}
    return {name: value for name, value in found.items() if name not in slower}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = perf_counter()
    result = call()
    return perf_counter() - start, result


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, its columns aligned."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


def in_words(seconds: float) -> str:
    """Return a time with three digits and a readable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
