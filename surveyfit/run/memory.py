"""What a worker needs in memory, said beforehand, and the tile that a limit has room for.

The constants are measured by ``benchmarks/memory.py``, which prints each beside its figure.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from surveyfit.errors import InputError
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory, is_run
from surveyfit.run.machine import count_workers, worker_memory
from surveyfit.run.pieces import Stage
from surveyfit.run.sealed import DamagedError

MIB = 2**20

LIBRARIES = 220 * MIB
"""A worker of Dask with everything imported; seen: 198 MiB without the parts of a live worker."""

COMPILED = 850 * MIB
"""What XLA and the fits of all cutout sides add and keep, most of it when they are compiled; seen:
794 MiB, and 490 with fits from the cache of an earlier run. Batches of cutouts, of at most 32 MiB,
are in it."""

HEADER = 32 * MIB
"""The longest header that is read, as text and as cards."""

NOISE, NOISE_COLUMN = 40 * MIB, 2500
"""Of a row of cells: its libraries, and bytes for each column of the image; seen: 45 MiB in all for
4096 columns, 171 MiB for 65536."""

TILE_PIXEL = 170
"""Bytes for each pixel of a tile with its halo; seen: 37 with a source every 3000 pixels, 167 in a
field as crowded as can be told apart, a source every 200 pixels."""

COMPANION_PIXEL = 16
"""Bytes more for each companion image that is read beside it."""

DOUBLE = 100 * MIB
"""More for fits in float64; seen: 728 MiB with two cutout sides, where float32 took 485."""

DRIVER, DRIVER_IMAGE = 640 * MIB, 8 * 2**10
"""The driver with the scheduler in it, and bytes more for each image; seen: 218 MiB at work, 265
MiB more while it writes catalog.fits, and 2 kB for an image that waits."""

USUAL_WIDTH = 32768
"""Columns of an image that room is kept for before it has been opened."""

USABLE = 0.8
"""Share of its limit that a worker may fill: above it Dask gives it no more work."""

SMALLEST_TILE = 256
"""No smaller tile is chosen for want of memory: with its halo it is four times as large."""


class Plan(NamedTuple):
    """Peak of a worker's memory, in bytes.

    Attributes
    ----------
    by_stage : mapping of Stage to int
        While it does a piece of the stage, with all that stays from others.
    """

    by_stage: Mapping[Stage, int]

    @property
    def peak(self) -> int:
        """The largest of them."""
        return max(self.by_stage.values())

    @property
    def limit(self) -> int:
        """The least memory limit that holds it."""
        return int(self.peak / USABLE)


def plan(config: Config, width: int = USUAL_WIDTH) -> Plan:
    """Project the peak of a worker.

    Parameters
    ----------
    config : Config
    width : int
        Columns of the widest image.
    """
    companions = sum(x is not None for x in (config.noise, config.background, config.mask))
    pixels = (config.tile + 2 * config.halo) ** 2
    extra = {
        Stage.OPEN: HEADER,
        Stage.NOISE: NOISE + width * (NOISE_COLUMN + companions * COMPANION_PIXEL * config.cell),
        Stage.CUT: pixels * (TILE_PIXEL + companions * COMPANION_PIXEL),
        Stage.FIT: DOUBLE if config.dtype == "float64" else 0,
    }
    return Plan({stage: LIBRARIES + COMPILED + size for stage, size in extra.items()})


def driver_peak(n_images: int) -> int:
    """Project the peak of the driver of a cluster on this machine, in bytes."""
    return DRIVER + n_images * DRIVER_IMAGE


def with_usual_tile(config: Config, run: Path, execution: Execution) -> Config:
    """Choose the tile where the user did not: an earlier submit's, or what the memory holds."""
    if is_run(run) and not execution.overwrite:
        with suppress(DamagedError):
            return replace(config, tile=RunDirectory(run).record()["configuration"]["tile"])
    limit = worker_memory(execution)
    return config if limit is None else with_fitting_tile(config, limit)


def with_fitting_tile(config: Config, limit: int) -> Config:
    """Halve the tile until a worker's limit (bytes) holds it, or it is the smallest."""
    while plan(config).limit > limit and config.tile // 2 >= SMALLEST_TILE:
        config = replace(config, tile=config.tile // 2)
    return config


def check_limit(config: Config, execution: Execution, width: int = USUAL_WIDTH) -> None:
    """Refuse a run whose workers have too little memory for it.

    Raises
    ------
    InputError
        Telling what is needed, and what would fit.
    """
    limit = worker_memory(execution)
    needed = plan(config, width)
    if limit is None or needed.limit <= limit:
        return
    smaller = with_fitting_tile(config, limit)
    remedies = [f"give --memory-limit {in_words(needed.limit)}"]
    if execution.memory_limit is None:
        remedies = [f"give --workers {max(1, limit * count_workers(execution) // needed.limit)}"]
    if plan(smaller, width).limit <= limit:
        remedies.append(f"--tile {smaller.tile}")
    raise InputError(
        f"{in_words(limit)} of memory for a worker are too little for tiles of {config.tile}"
        f" pixels: it needs up to {in_words(needed.peak)}, and room above that",
        ", or ".join(remedies),
    )


def in_words(size: int) -> str:
    """Return bytes as --memory-limit takes them, rounded up."""
    return f"{-(-size // MIB)}MiB"
