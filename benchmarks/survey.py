"""Measure a simulated survey: how long, how much memory, where the time goes, and with kills.

    python benchmarks/survey.py                      # 100 images, 300 000 sources, 2 workers
    python benchmarks/survey.py --kill-every 30      # and again, a random worker killed every 30 s
    python benchmarks/survey.py --data FOLDER        # keep the images there, or take those there

Everything is in one command, the start of processes and compilation included. The catalogues of
both runs are compared bit by bit.
"""

import json
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from subprocess import run as run_program

from catalogue_digest import read_catalogue
from processes import Submitted, submit
from stopwatch.sitecustomize import COMPILING, WATCHED, resolve
from timing import argument_parser, print_setting, print_table

MIB = 2**20


def simulated(folder: Path, images: int, size: int, sources: int, seed: int = 1) -> Path:
    """Return a folder of simulated images; what is there already is taken as it is."""
    if not (folder / "truth.csv").exists():
        numbers = {"images": images, "size": size, "sources": sources, "seed": seed}
        options = [word for name, n in numbers.items() for word in (f"--{name}", str(n))]
        command = [sys.executable, "-m", "surveyfit", "simulate", str(folder), *options]
        run_program(command, check=True, stdout=sys.stderr)
    return folder


def by_stage(run: Path) -> dict[str, tuple[int, float]]:
    """Return the number of pieces and their seconds by stage, from the receipts of a run."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for path in (run / "receipts").glob("*.json"):
        receipt = json.loads(path.read_text())
        found[receipt["stage"]].append(receipt["seconds"])
    return {stage: (len(seconds), sum(seconds)) for stage, seconds in sorted(found.items())}


def by_share(folder: Path) -> dict[str, float]:
    """Add up what the stopwatches of all workers have seen, largest first."""
    total: defaultdict[str, float] = defaultdict(float)
    for path in folder.glob("*.json"):
        for share, seconds in json.loads(path.read_text()).items():
            total[share] += seconds
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def print_use(name: str, done: Submitted, rows: int) -> None:
    """Print time, speed and memory of a run."""
    driver, worker = done.used["driver"], done.used["worker"]
    everything = driver.cpu_seconds + worker.cpu_seconds
    print(f"{name}: {done.seconds:.1f} s, exit status {done.status}, {done.kills} workers killed")
    print_table(
        ["sources", "sources/s", "worker processes", "worker CPU s", "driver and scheduler CPU s",
         "share of CPU", "peak of a worker", "peak of driver and scheduler"],
        [[
            str(rows),
            f"{rows / done.seconds:.0f}",
            str(worker.processes),
            f"{worker.cpu_seconds:.1f}",
            f"{driver.cpu_seconds:.1f}",
            f"{driver.cpu_seconds / everything:.1%}",
            f"{worker.peak_bytes / MIB:.0f} MiB",
            f"{driver.peak_bytes / MIB:.0f} MiB",
        ]],
    )  # fmt: skip


def print_where(run: Path, watched: Path, workers: int, seconds: float) -> None:
    """Print where the workers' time went: by stage and by kind of work."""
    whole = workers * seconds
    stages = by_stage(run)
    rows = [
        [stage, str(n), f"{s:.1f}", f"{s / whole:.1%}", f"{1000 * s / n:.0f} ms"]
        for stage, (n, s) in stages.items()
    ]
    waiting = whole - sum(s for _, s in stages.values())
    rows.append(["none: start, end, waiting", "", f"{waiting:.1f}", f"{waiting / whole:.1%}", ""])
    print_table(["stage", "pieces", "seconds of workers", "share", "a piece"], rows)
    shares = by_share(watched)
    shares["none: start, end, waiting"] = whole - sum(shares.values())
    print_table(
        ["kind of work", "seconds of workers", "share"],
        [[share, f"{s:.1f}", f"{s / whole:.1%}"] for share, s in shares.items()],
    )
    print(f"('{COMPILING}' is tracing, lowering, and compiling or reading compiled code.)\n")


def main() -> None:
    """Simulate, measure, kill, compare and print."""
    parser = argument_parser(__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--size", type=int, default=2048, help="side of an image in pixels")
    parser.add_argument("--sources", type=int, default=3000, help="sources an image")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=0.0, help="seconds; 0: no second run")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of the killed")
    parser.add_argument("--data", type=Path, help="folder of the images; default: a temporary one")
    options = parser.parse_args()
    if options.quick:
        options.images, options.size, options.sources = 4, 512, 150
    for name in WATCHED:
        resolve(name)
    print_setting("surveyfit", "jax", "dask", "distributed")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        data = simulated(
            options.data or place / "images", options.images, options.size, options.sources
        )
        whole, watched = place / "whole", place / "stopwatch"
        watched.mkdir()
        chosen = ["--workers", str(options.workers)]
        done = submit([data], whole, chosen, _stopwatch(watched))
        answer = read_catalogue(whole)
        print_use("undisturbed", done, answer.rows)
        print_where(whole, watched, options.workers, done.seconds)
        if options.kill_every:
            again = submit([data], place / "kills", chosen, None, options.kill_every, options.seed)
            killed = read_catalogue(place / "kills")
            print_use(f"a worker killed every {options.kill_every:g} s", again, killed.rows)
            print(f"wall time: {again.seconds / done.seconds:.2f} x undisturbed")
            print(f"catalogue: {'equal' if killed == answer else 'NOT EQUAL'} bit by bit")
            print(f"ids: {killed.ids} different ones in {killed.rows} rows")


def _stopwatch(folder: Path) -> dict[str, str]:
    """Return the environment of a submit whose workers write down where their time goes."""
    place = str(Path(__file__).parent / "stopwatch")
    path = os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "STOPWATCH_FOLDER": str(folder)}


if __name__ == "__main__":
    main()
