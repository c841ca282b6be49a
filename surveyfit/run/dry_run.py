"""What a submit would do, from headers alone."""

from collections.abc import Sequence
from pathlib import Path

from surveyfit.errors import InputError
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.memory import check_limit, driver_peak, in_words, plan
from surveyfit.run.output import check_usable
from surveyfit.run.pieces import STAGES
from surveyfit.run.plan import batches, tiles
from surveyfit.run.tasks import companions
from surveyfit.sky.find import find_images
from surveyfit.sky.image import Image, scan_file


def dry_run(
    arguments: Sequence[str], output: Path, config: Config, execution: Execution
) -> tuple[list[str], int]:
    """Return the lines of the plan, and how many files are refused. Nothing is written.

    Raises
    ------
    InputError
        For wrong use, as `pipeline.submit` would.
    """
    check_usable(RunDirectory(output), config, execution.overwrite)
    check_limit(config, execution)
    companions(config).validate()
    lines: list[str] = []
    images: list[Image] = []
    refused = 0
    files = find_images(arguments)
    for found in files:
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
    return lines + _summary(len(files), images, config), refused


def _summary(n_files: int, images: list[Image], config: Config) -> list[str]:
    plans = [tiles(image.shape, config.tile, config.halo) for image in images]
    n_tiles, n_batches = sum(map(len, plans)), sum(len(batches(plan)) for plan in plans)
    counts = (n_files, len(images), n_tiles, n_batches)
    need = plan(config, max((image.shape[1] for image in images), default=0))
    return [
        f"{len(images)} images, {n_tiles} tiles of {config.tile} pixels, halo {config.halo}",
        "tasks: " + ", ".join(f"{n} {s}" for n, s in zip(counts, STAGES, strict=True)),
        "memory of a worker: up to "
        + ", ".join(f"{in_words(size)} to {stage}" for stage, size in need.by_stage.items()),
        f"memory limit of a worker: at least {in_words(need.limit)}",
        f"memory of the driver: up to {in_words(driver_peak(len(images)))}, with Dask's scheduler",
        "nothing was read but headers, nothing was written",
    ]
