"""Core-seconds of a whole job on one image, against sep's for the first half of it.

Usage: python benchmarks/whole_job.py [--core 0] [--quick]

The image: 4096 x 4096 pixels, 5000 sources, cosmic rays, a mask, from a fixed seed. The job is what
``surveyfit submit --workers 0`` does: reading, background and noise, detection, cutouts in a zarr
store, robust fits with calibrated errors, the catalogue, every file written durably. The reference:
sep's background, extraction above its noise map and windowed positions on the pixels in memory, at
the threshold at which it finds about as many sources.

Both in one process on one core, in turns; core-seconds are those of all its threads. Start (the
imports) and what only the first job does (compiling, or reading what was compiled) stand apart.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import sep
from astropy.io import fits
from numpy.typing import NDArray
from timing import argument_parser, in_words, pin, print_setting, print_table

from surveyfit import open_run
from surveyfit.run import pipeline, tasks
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.sky.background import NoiseGrid
from surveyfit.sky.reader import ImageReader
from surveyfit.sky.simulate import simulate

SEED = 3
SIZE, SOURCES = 4096, 5000
QUICK_SIZE, QUICK_SOURCES = 1024, 300
ROUNDS = 3

SEP_CELL = 64
SEP_ROOM = 300_000
"""Active pixels, sep's own default; surveyfit changes it."""

SEP_THRESHOLDS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0)

Seconds = dict[str, float]
"""Core-seconds by stage."""

STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "reading": ((ImageReader, "__enter__"), (ImageReader, "read")),
    "background": ((tasks, "measure_grid"), (NoiseGrid, "maps")),
    "detection": ((tasks, "detect"),),
    "cutting, storing": (
        (tasks, "cut"),
        (tasks, "write_cutouts"),
        (tasks, "read_cutouts"),
        (tasks, "write_grid"),
        (tasks, "read_grid"),
        (RunDirectory, "check_files"),
    ),
    "fitting": ((tasks, "measure_batch"),),
    "writing": ((tasks, "write_part"), (pipeline, "write_catalogue")),
}
"""The functions of each stage; the time of one inside another is counted once, for the inner."""


class Stopwatch:
    """Core-seconds by stage."""

    def __init__(self) -> None:
        self.seconds: Seconds = defaultdict(float)
        self._inner = [0.0]

    def watched(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """Return the function, its own time counted for a stage."""

        def watched_call(*args: Any, **options: Any) -> Any:
            self._inner.append(0.0)
            start = time.process_time()
            try:
                return call(*args, **options)
            finally:
                taken = time.process_time() - start
                self.seconds[stage] += taken - self._inner.pop()
                self._inner[-1] += taken

        return watched_call


def submit(image: Path, run: Path) -> Seconds:
    """Measure an image; return the core-seconds by stage."""
    watch = Stopwatch()
    with ExitStack() as stack:
        for stage, functions in STAGES.items():
            for owner, name in functions:
                call = watch.watched(getattr(owner, name), stage)
                stack.enter_context(patch.object(owner, name, call))
        watch.watched(pipeline.submit, "rest")(
            [str(image)], run, Config(), Execution(workers=0, quiet=True)
        )
    return watch.seconds


def run_sep(pixels: NDArray[np.float32], thresh: float) -> tuple[int, Seconds]:
    """Return how many sources sep finds, and its core-seconds by stage."""
    sep.set_extract_pixstack(SEP_ROOM)
    clock = [time.process_time()]
    background = sep.Background(pixels, bw=SEP_CELL, bh=SEP_CELL)
    subtracted, noise = pixels - background.back(), background.rms()
    clock.append(time.process_time())
    found = sep.extract(subtracted, thresh, err=noise)
    clock.append(time.process_time())
    # The window of source-extractor is that of the half-light radius; the isophotal size spares
    # sep the time to find it.
    sep.winpos(subtracted, found["x"], found["y"], np.maximum(found["a"], 0.8))
    clock.append(time.process_time())
    names = ("background", "extraction", "windowed positions")
    return len(found), dict(zip(names, np.diff(clock).tolist(), strict=True))


def like_threshold(pixels: NDArray[np.float32], n_sources: int) -> float:
    """Return the threshold at which sep finds about so many sources."""
    return min(SEP_THRESHOLDS, key=lambda thresh: abs(run_sep(pixels, thresh)[0] - n_sources))


def medians(rounds: list[Seconds]) -> dict[str, float]:
    """Return the median of each stage, and that of the totals."""
    by_stage = {stage: float(np.median([r[stage] for r in rounds])) for stage in rounds[0]}
    return by_stage | {"in all": float(np.median([sum(r.values()) for r in rounds]))}


def main() -> None:
    """Print the table."""
    start = time.process_time()
    parser = argument_parser(__doc__)
    arguments = parser.parse_args()
    pin(arguments.core)
    print_setting("sep", "astropy", "zarr", "pyarrow", "jax")
    size, sources = (QUICK_SIZE, QUICK_SOURCES) if arguments.quick else (SIZE, SOURCES)
    with TemporaryDirectory() as folder:
        (image,) = simulate(Path(folder, "sky"), images=1, size=size, sources=sources, seed=SEED)
        pixels = fits.getdata(image).astype(np.float32)
        first = sum(submit(image, Path(folder, "first")).values())
        rows = len(open_run(Path(folder, "first")).catalog)
        thresh = like_threshold(pixels, rows)
        ours, seps = [], []
        for number in range(ROUNDS):
            found, seconds = run_sep(pixels, thresh)
            seps.append(seconds)
            ours.append(submit(image, Path(folder, f"run{number}")))
    theirs, mine = medians(seps), medians(ours)
    print(f"{size} x {size} pixels: surveyfit {rows} rows; sep {found} at {thresh} sigmas")
    print(
        f"start (imports): {in_words(start)}; first job: {in_words(first - mine['in all'])} more\n"
    )
    reference = theirs["in all"]
    for name, stages in (("sep", theirs), ("surveyfit", mine)):
        table = [(s, in_words(t), f"{t / reference:.2f}") for s, t in stages.items()]
        print_table((name, "core-seconds", "of sep's"), table)


if __name__ == "__main__":
    main()
