"""Does an image cost more when there are more of them? At 10, 100 and 1000 small images.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --data FOLDER   # keep the images there, or take those there

The workers are started and warmed (everything compiled) before the first run, and serve all runs:
what is timed is from a submit that has joined them to its finished catalogue. Every number of
images is run in turns; the median counts.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from processes import submit
from survey import simulated
from timing import argument_parser, print_setting, print_table

NUMBERS = (10, 100, 1000)
RUNS = {10: 5, 100: 3, 1000: 1}
"""Short runs are repeated: their time is more a matter of chance."""


@contextmanager
def warm_cluster(place: Path, workers: int) -> Iterator[Path]:
    """Start a scheduler and workers on the loopback interface; yield the scheduler file."""
    file = place / "scheduler.json"
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    folder = ["--nthreads", "1", "--local-directory", str(place)]
    commands = [["scheduler", "--port", "0"]] + [["worker", *folder]] * workers
    with (place / "dask.txt").open("w") as output:
        processes = [
            subprocess.Popen(
                ["env", "NPROC=1", sys.executable, "-m", "dask", *command, *common],
                stdout=output,
                stderr=output,
            )
            for command in commands
        ]
    try:
        while not file.exists():
            time.sleep(0.1)
        yield file
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


def seconds_of(images: Sequence[Path], run: Path, scheduler: Path) -> float:
    """Measure images on a warm cluster; return the seconds that its record tells."""
    listed = run.with_suffix(".lst")
    listed.write_text("".join(f"{path}\n" for path in images))
    done = submit([listed], run, ["--scheduler", str(scheduler)])
    if done.status != 0:
        sys.exit(run.with_suffix(".txt").read_text())
    seconds: float = json.loads((run / "run.json").read_text())["seconds"]
    return seconds


def main() -> None:
    """Simulate, warm up, measure and print."""
    parser = argument_parser(__doc__)
    parser.add_argument("--size", type=int, default=256, help="side of an image in pixels")
    parser.add_argument("--sources", type=int, default=20, help="sources an image")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, help="folder of the images; default: a temporary one")
    options = parser.parse_args()
    numbers = NUMBERS[:2] if options.quick else NUMBERS
    print_setting("surveyfit", "jax", "dask", "distributed")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        folder = options.data or place / "images"
        data = simulated(folder, max(numbers), options.size, options.sources, seed=2)
        images = sorted(data.glob("*.fits"))
        seconds: dict[int, list[float]] = {n: [] for n in numbers}
        with warm_cluster(place, options.workers) as scheduler:
            seconds_of(images[:100], place / "warm-up", scheduler)
            for turn in range(max(RUNS.values())):
                for n in numbers:
                    if turn < RUNS[n]:
                        run = place / f"run-{n}-{turn}"
                        seconds[n].append(seconds_of(images[:n], run, scheduler))
        report({n: float(np.median(seconds[n])) for n in numbers})


def report(seconds: dict[int, float]) -> None:
    """Print the cost of an image, and of one more image."""
    least = min(seconds)
    rows, before = [], (0, 0.0)
    for n, took in seconds.items():
        one, more = took / n, (took - before[1]) / (n - before[0])
        ratio = one / (seconds[least] / least)
        rows.append([str(n), f"{took:.2f} s", f"{1000 * one:.1f} ms", f"{ratio:.2f}",
                     f"{1000 * more:.1f} ms"])  # fmt: skip
        before = (n, took)
    print_table(["images", "run", "an image", f"x that of {least}", "one more image"], rows)


if __name__ == "__main__":
    main()
