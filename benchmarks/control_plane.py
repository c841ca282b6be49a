"""Tell what driver and scheduler cost a tile, when the tiles themselves are no work.

    python benchmarks/control_plane.py                           # one image of 10 000 tiles
    python benchmarks/control_plane.py --images 10000 --tiles 1  # as many images of one tile

The driver is the real one, with the real scheduler in its process and real workers. What the
workers are sent in place of `surveyfit.run.tasks.execute` is `nothing`: it opens files, since
planning needs their headers, writes the receipts and empty parts that the end of a run reads, and
does no other work.
"""

import math
import os
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from astropy.io import fits
from timing import argument_parser, print_setting, print_table

TILE = 128
"""The smallest side that a run takes."""

LOOK_EVERY = 1.0
MIB = 2**20

WARM = 0.02
"""Share of the pieces after which the driver's memory is that of a driver at work."""


def nothing(piece, run, config):  # type: ignore[no-untyped-def]
    """Commit a piece without its work; sent to the workers by value."""
    from surveyfit.run import tasks
    from surveyfit.run.directory import RunDirectory
    from surveyfit.run.pieces import Outcome, Stage
    from surveyfit.sky.parts import write_part

    if piece.stage is Stage.OPEN:
        return tasks.execute(piece, run, config)
    directory = RunDirectory(Path(run))
    result, digests = {}, {}
    if piece.stage is Stage.NOISE:
        with tasks.opened(piece, config) as image:
            facts = asdict(image.facts)
        result = {"image": asdict(piece.image), "facts": facts, "noise": 1.0, "background": 0.0}
        result |= {"wcs": "", "footprint": None}
    elif piece.stage is Stage.FIT:
        path = directory.part_path(piece)
        digest = write_part(path, tasks._joined([]), "")
        result = {"rows": 0, "good": 0, "secondary": 0, "part": path.name}
        digests = {path: digest}
    outcome = Outcome(piece, result)
    directory.write_receipt(outcome, digests, config)
    return outcome


class Moment(NamedTuple):
    """Seconds, CPU seconds and resident bytes of this process, and receipts on disk."""

    seconds: float
    cpu: float
    memory: int
    receipts: int


class Watch(threading.Thread):
    """Looks at this process, in which driver and scheduler are, and at the receipts of a run."""

    def __init__(self, receipts: Path) -> None:
        super().__init__(daemon=True)
        self.moments: list[Moment] = []
        self._receipts = receipts
        self._ended = threading.Event()

    def look(self) -> None:
        """Note the moment."""
        done = len(os.listdir(self._receipts)) if self._receipts.exists() else 0
        memory = psutil.Process().memory_info().rss
        self.moments.append(Moment(time.perf_counter(), time.process_time(), memory, done))

    def run(self) -> None:
        """Look, until `ended`."""
        while not self._ended.wait(LOOK_EVERY):
            self.look()

    def ended(self) -> list[Moment]:
        """Look for the last time; return all moments."""
        self._ended.set()
        self.join()
        self.look()
        return self.moments


def write_images(folder: Path, images: int, tiles: int) -> None:
    """Write images of so many tiles each; all bytes but a number in the header are holes."""
    side = round(math.sqrt(tiles)) * TILE
    for number in range(images):
        header = fits.PrimaryHDU(np.zeros((1, 1), np.int16)).header
        header["NAXIS1"] = header["NAXIS2"] = side
        header["NUMBER"] = number
        with (folder / f"empty_{number:05d}.fits").open("wb") as file:
            file.write(header.tostring().encode())
            file.truncate(file.tell() + -(-2 * side * side // 2880) * 2880)


def main() -> None:
    """Write images, submit, watch and print."""
    parser = argument_parser(__doc__)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--tiles", type=int, default=10_000, help="of an image; a square number")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.quick:
        options.tiles = 400
    from surveyfit.run import cluster
    from surveyfit.run.config import Config, Execution
    from surveyfit.run.pipeline import submit

    print_setting("surveyfit", "dask", "distributed")
    cluster.execute = nothing
    with tempfile.TemporaryDirectory() as temporary:
        images, run = Path(temporary, "images"), Path(temporary, "run")
        images.mkdir()
        write_images(images, options.images, options.tiles)
        watch = Watch(run / "receipts")
        watch.start()
        execution = Execution(workers=options.workers, quiet=True)
        submit([str(images)], run, Config(tile=TILE), execution)
        report(watch.ended(), options.images * options.tiles)


def report(moments: list[Moment], tiles: int) -> None:
    """Print the cost of a tile between the first receipts and the last, and what follows."""
    pieces = moments[-1].receipts
    first = next(m for m in moments if m.receipts > WARM * pieces)
    last = next(m for m in moments if m.receipts == pieces)
    done = tiles * (last.receipts - first.receipts) / pieces
    end = moments[-1]
    print_table(
        ["tiles", "pieces", "CPU a tile", "wall a tile", "memory at first", "growth by the tiles",
         "growth at the end", "the end of the run"],
        [[
            str(tiles),
            str(pieces),
            f"{1000 * (last.cpu - first.cpu) / done:.2f} ms",
            f"{1000 * (last.seconds - first.seconds) / done:.2f} ms",
            f"{first.memory / MIB:.0f} MiB",
            f"{(last.memory - first.memory) / MIB:.0f} MiB",
            f"{(max(m.memory for m in moments) - last.memory) / MIB:.0f} MiB",
            f"{end.seconds - last.seconds:.1f} s",
        ]],
    )  # fmt: skip


if __name__ == "__main__":
    main()
