"""Peak memory of a worker by stage, beside what ``submit --dry-run`` declares.

    python benchmarks/memory.py
    python benchmarks/memory.py --make large.fits --size 20000 --sources 30000
    python benchmarks/memory.py --image large.fits --memory-limit 2GiB

The first measures each stage in child processes, on images that are crowded, wide, or read with
companions. The second writes a large artificial image, strip by strip; the third measures it with
one worker under a limit, and compares the driver's and the worker's peak with the plan.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from astropy.io import fits
from processes import peak_bytes, submit
from timing import argument_parser, pin, print_setting, print_table

from surveyfit.run import memory
from surveyfit.run.config import Config, Execution
from surveyfit.run.machine import worker_memory
from surveyfit.run.pieces import STAGES, Outcome, Piece, Stage
from surveyfit.sky.artificial import draw_image
from surveyfit.sky.simulate import field_wcs

MIB = 2**20

BLOCK = 2000
"""Side of the squares of which the large image is put together."""

SEED = 7


def main() -> None:
    """Do what the options say."""
    options = _options()
    pin(options.core)
    if options.child:
        _child(*map(json.loads, options.child))
    elif options.make:
        make_large(options.make, options.size, options.sources)
    elif options.image:
        print_setting("dask", "distributed", "jax")
        whole_run(options.image, options.memory_limit)
    else:
        print_setting("dask", "distributed", "jax", "sep")
        with tempfile.TemporaryDirectory() as folder:
            by_stage(Path(folder), quick=options.quick)


def _options() -> argparse.Namespace:
    parser = argument_parser(__doc__)
    parser.add_argument("--make", type=Path, metavar="FILE", help="write an artificial image")
    parser.add_argument("--size", type=int, default=20000, help="its rows and columns")
    parser.add_argument("--sources", type=int, default=30000, help="sources in it")
    parser.add_argument("--image", type=Path, metavar="FILE", help="measure this under a limit")
    parser.add_argument("--memory-limit", default="2GiB", help="of the worker")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_large(path: Path, size: int, sources: int) -> None:
    """Write an image of squares that are drawn one by one; ``size`` is a multiple of BLOCK."""
    per_row = size // BLOCK
    header = fits.Header([("SIMPLE", True), ("BITPIX", -32), ("NAXIS", 2)])
    header.extend([("NAXIS1", size), ("NAXIS2", size), ("BUNIT", "electron"), ("GAIN", 1.0)])
    header.extend(field_wcs(0, size).to_header(), update=True)
    with path.open("wb") as file:
        file.write(header.tostring().encode())
        for row in range(per_row):
            squares = [
                draw_image(np.random.default_rng([SEED, row, column]), BLOCK, n).pixels
                for column, n in enumerate([sources // per_row**2] * per_row)
            ]
            file.write(np.hstack(squares).astype(">f4").tobytes())
        file.write(bytes(-file.tell() % 2880))


def whole_run(image: Path, limit: str) -> None:
    """Submit an image with one worker under a limit, and compare peaks with the plan."""
    execution = Execution(workers=1, memory_limit=limit)
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        run = Path(folder, "run")
        config = memory.with_usual_tile(Config(), run, execution)
        done = submit([image], run, ["--workers", "1", "--memory-limit", limit])
        print(run.with_suffix(".txt").read_text())
        print((run / "log.txt").read_text())
    allowed = worker_memory(execution)
    assert allowed is not None
    need = memory.plan(config, fits.getheader(image)["NAXIS1"])
    worker, driver = done.used["worker"], done.used["driver"]
    print(f"exit status {done.status}, {done.seconds:.0f} s, tiles of {config.tile} pixels")
    print(f"worker processes: {worker.processes} (more than 1: one was ended for its memory)\n")
    print_table(
        ("process", "peak", "plan", "limit"),
        [
            ("worker", _mib(worker.peak_bytes), _mib(need.peak), _mib(allowed)),
            ("driver with scheduler", _mib(driver.peak_bytes), _mib(memory.driver_peak(1)), ""),
        ],
    )


def _mib(size: float) -> str:
    return f"{size / MIB:.0f} MiB"


def by_stage(folder: Path, *, quick: bool) -> None:
    """Measure every case in a process of its own."""
    rows = []
    for name, image, config in _cases(folder, quick=quick):
        found = _in_child(image, folder / "run", config)
        print(f"{name}: {found}", file=sys.stderr, flush=True)
        width = fits.getheader(image)["NAXIS1"]
        need = memory.plan(config, width)
        for stage in STAGES:
            peak, above, stays = (found[stage][k] for k in ("peak", "above", "stays"))
            declared = need.by_stage[stage]
            rows.append((name, stage, *map(_mib, (above, stays, peak, declared))))
    print_table(("case", "stage", "above", "stays", "peak", "declared"), rows)


def _cases(folder: Path, *, quick: bool) -> Iterator[tuple[str, Path, Config]]:
    """Yield a name, an image and a configuration."""
    # First, since it has cutouts of every side: all fits are compiled for it.
    yield "crowded", _drawn(folder / "crowded.fits", 1280, 20000), Config(tile=1024)
    size, crowd = (1024, 1000) if quick else (4096, 5000)
    usual = _drawn(folder / "usual.fits", size, crowd)
    for tile in (256, 512) if quick else (256, 512, 1024, 2048):
        yield f"usual, tile {tile}", usual, Config(tile=tile)
    yield "usual, float64", usual, Config(tile=512, dtype="float64")
    noise = folder / "usual_rms.fits"
    fits.PrimaryHDU(np.full((size, size), 21.0)).writeto(noise)
    yield "usual, noise image", usual, Config(tile=1024, noise=str(noise))
    wide = np.tile(fits.getdata(usual)[:640], (1, 2 if quick else 16))
    fits.PrimaryHDU(wide).writeto(folder / "wide.fits")
    yield f"{wide.shape[1]} wide", folder / "wide.fits", Config(tile=256)
    packed = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(wide)])
    packed.writeto(folder / "wide.fits.fz")
    yield "the same, compressed", folder / "wide.fits.fz", Config(tile=256)


def _drawn(path: Path, size: int, sources: int) -> Path:
    simulated = draw_image(np.random.default_rng(SEED), size, sources)
    science = fits.PrimaryHDU(simulated.pixels, field_wcs(0, size).to_header())
    fits.HDUList([science, fits.ImageHDU(simulated.mask, name="MASK")]).writeto(path)
    return path


def _in_child(image: Path, run: Path, config: Config) -> dict[str, Any]:
    """Run the plain loop over an image in a new process; compiled code is kept beside the run."""
    words = [json.dumps([str(image), str(run)]), json.dumps(config.to_dict())]
    answer = subprocess.run(
        [sys.executable, __file__, "--child", *words],
        env={**os.environ, **_worker_environment(), "XDG_CACHE_HOME": str(run.parent / "cache")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def _worker_environment() -> dict[str, str]:
    from surveyfit.run.local_cluster import SETTINGS

    environment: dict[str, str] = SETTINGS["distributed.nanny.pre-spawn-environ"]  # type: ignore[assignment]
    return environment


def _child(paths: list[str], values: dict[str, Any]) -> None:
    """Print, by stage: largest peak, largest above what was there before, and what stays."""
    import distributed.worker

    from surveyfit.run import pipeline, tasks

    assert distributed.worker
    seen: dict[Stage, dict[str, float]] = {
        s: {"peak": 0.0, "above": 0.0, "stays": 0.0} for s in STAGES
    }

    def measured(piece: Piece, run: str, config: Config) -> Outcome:
        before = _resident()
        # 5: the kernel forgets the largest size so far.
        Path("/proc/self/clear_refs").write_text("5")
        outcome = tasks.execute(piece, run, config)
        peak, entry = peak_bytes(os.getpid()), seen[piece.stage]
        entry["peak"] = max(entry["peak"], peak)
        entry["above"] = max(entry["above"], peak - before)
        entry["stays"] = _resident()
        return outcome

    execution = Execution(workers=0, quiet=True, overwrite=True)
    with mock.patch.object(pipeline, "execute", measured):
        pipeline.submit([paths[0]], Path(paths[1]), Config.from_dict(values), execution)
    print(json.dumps(seen))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
