"""What a submit would do, from headers alone."""

from collections.abc import Sequence
from pathlib import Path

from surveyfit.errors import InputError
from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import STAGES
from surveyfit.run.plan import tiles
from surveyfit.run.tasks import companions
from surveyfit.sky.find import find_images
from surveyfit.sky.image import Image, scan_file

BASE_MEMORY = 0.8
"""GiB of a worker while it compiles the fit; seen: 0.79 with three cutout sides."""

BYTES_PER_PIXEL = 75
"""Peak of detection and cutting for each pixel of a tile with its halo; seen: 71 at 1152 x 1152
and 69 at 2048 x 2048 pixels, with a source every 1600 pixels."""


def dry_run(
    arguments: Sequence[str], output: Path, config: Config, overwrite: bool
) -> tuple[list[str], int]:
    """Return the lines of the plan, and how many files are refused. Nothing is written.

    Raises
    ------
    InputError
        For wrong use, as `pipeline.submit` would.
    """
    RunDirectory(output).check_usable(config, overwrite)
    companions(config).validate()
    lines: list[str] = []
    images: list[Image] = []
    refused = 0
    for found in find_images(arguments):
        try:
            contents = scan_file(found, hdu=config.hdu, plane=config.plane, digest=False)
        except InputError as error:
            lines.append(f"FAILED {error}")
            refused += 1
            continue
        lines += [f"{o.name}: {o.kind}, not measured as sky ({o.note})" for o in contents.others]
        for image in contents.images:
            n = len(tiles(image.shape, config.tile, config.halo))
            lines.append(f"{image.name}: {image.shape[0]} x {image.shape[1]}, {n} tiles")
            images.append(image)
    return lines + _summary(images, config), refused


def _summary(images: list[Image], config: Config) -> list[str]:
    plans = [tiles(image.shape, config.tile, config.halo) for image in images]
    n_tiles = sum(len(plan) for plan in plans)
    pixels = [t.halo.shape[0] * t.halo.shape[1] for plan in plans for t in plan]
    memory = BASE_MEMORY + BYTES_PER_PIXEL * max(pixels, default=0) / 2**30
    tasks = {stage: len(images) if i < 2 else n_tiles for i, stage in enumerate(STAGES)}
    return [
        f"{len(images)} images, {n_tiles} tiles of {config.tile} pixels, halo {config.halo}",
        "tasks: " + ", ".join(f"{n} {stage}" for stage, n in tasks.items()),
        f"memory: about {memory:.1f} GiB a worker",
        "nothing was read but headers, nothing was written",
    ]
