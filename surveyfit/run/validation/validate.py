"""Put artificial sources into the images of a run and measure them again, the whole way.

The images are not copied: the validation is a run of its own with the same configuration, in which
whoever reads pixels adds the light of the sources (`surveyfit.sky.injected`).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from surveyfit.errors import InputError
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory, is_run
from surveyfit.run.lock import held
from surveyfit.run.memory import check_limit
from surveyfit.run.pipeline import NOTHING_MEASURED, submit
from surveyfit.run.sealed import DamagedError
from surveyfit.run.validation.certificate import (
    Certificate,
    ValidationFiles,
    read_certificate,
    request_of,
)
from surveyfit.run.validation.draw import Drawn, draw_sources
from surveyfit.run.validation.images import contents_of, finished_run, measured_images, read_rows
from surveyfit.run.validation.match import (
    AMBIGUOUS,
    CATALOGUE_COLUMNS,
    FOUND,
    MISSED,
    NOT_GOOD,
    Matched,
    match,
)
from surveyfit.run.validation.statistics import pulls_by_snr, recoveries
from surveyfit.run.validation.verdict import judge
from surveyfit.sky.arrow_table import columns_of, form_of, parquet_bytes
from surveyfit.sky.atomic import check_writable, noticing_full_disk, remove, replacing
from surveyfit.sky.parts import write_parquet


def validate(
    run: Path, sources: int, seed: int, execution: Execution, say: Callable[[str], None]
) -> Certificate:
    """Certify the errors of a finished run, or read the certificate if there is one already.

    Parameters
    ----------
    run : Path
        A finished run directory; all is written below ``run/validation``.
    sources : int
        Artificial sources wanted.
    seed : int
    execution : Execution
        How the images are measured again.
    say : callable
        Takes lines about what happens.

    Raises
    ------
    InputError
        If the run is not finished, its images have changed, or they have no empty place.
    """
    directory = RunDirectory.open(run)
    config = finished_run(directory)
    files = ValidationFiles.of(run)
    check_writable(files.folder)
    request = request_of(directory, sources, seed)
    with held(files.lock, say), noticing_full_disk(files.folder):
        known = _intact_certificate(run)
        if known is not None and known.request == request and not known.counts["failures"]:
            say(f"{files.certificate}: given already, nothing to do")
            return known
        check_limit(config, execution)
        say(f"Looking for empty places for {sources} artificial sources")
        drawn = draw_sources(directory, measured_images(directory), config, sources, seed)
        failures = _measure(drawn, files, config, execution)
        matched = _match(drawn, directory, RunDirectory(files.run))
        remove(files.certificate)  # it is about the rows that are replaced now
        write_parquet(matched.table, files.rows)
        certificate = certify(matched, request, drawn, failures)
        certificate.write(files.certificate)
    return certificate


def certify(
    matched: Matched, request: dict[str, object], drawn: Drawn, failures: int
) -> Certificate:
    """Sum up what became of the artificial sources."""
    rows = columns_of(matched.table)
    outcomes = {name: int(np.sum(rows["outcome"] == name)) for name in (MISSED, AMBIGUOUS, FOUND)}
    return Certificate(
        request=request,
        verdict=judge(rows),
        counts={
            "injected": len(matched.table),
            **outcomes,
            "not_good": int(np.sum(rows["outcome"] == NOT_GOOD)),
            "spurious": matched.spurious,
            "lost": matched.lost,
            "images": len(drawn.images),
            "failures": failures,
        },
        recoveries=tuple(recoveries(rows)),
        pulls=tuple(pulls_by_snr(rows)),
        images=tuple(image.name for image in drawn.images),
        notes=(*drawn.notes, *_not_measured(len(drawn.table) - len(matched.table))),
    )


def _not_measured(sources: int) -> list[str]:
    return [f"{sources} artificial sources left out: their images failed"] if sources else []


def _intact_certificate(run: Path) -> Certificate | None:
    try:
        return read_certificate(run)
    except DamagedError:
        return None


def _measure(drawn: Drawn, files: ValidationFiles, config: Config, execution: Execution) -> int:
    """Measure the images with the artificial sources; return how many pieces failed."""
    config = replace(config, inject=str(files.injected.absolute()))
    content = parquet_bytes(columns_of(drawn.table), form_of(drawn.table))
    same = files.injected.exists() and files.injected.read_bytes() == content
    if not same:  # else it is left as it is: who has read it would read it again
        with replacing(files.injected) as temporary:
            temporary.write_bytes(content)
    same = same and _made_with(config, files.run)
    paths = list(dict.fromkeys(image.path for image in drawn.images))
    status = submit(paths, files.run, config, replace(execution, overwrite=not same))
    if status == NOTHING_MEASURED:
        raise InputError(f"{files.run}: nothing could be measured", "see failures.json there")
    return int(RunDirectory(files.run).record()["failures"])


def _made_with(config: Config, run: Path) -> bool:
    """Whether a folder holds an earlier validation of this configuration, to be resumed."""
    if not is_run(run):
        return False
    try:
        return bool(RunDirectory(run).record()["configuration"] == config.to_dict())
    except DamagedError:
        return False


def _match(drawn: Drawn, directory: RunDirectory, validation: RunDirectory) -> Matched:
    before = read_rows(directory, drawn.images, CATALOGUE_COLUMNS)
    again = [i for i in measured_images(validation) if contents_of(i) in before]
    return match(drawn.table, before, read_rows(validation, again, CATALOGUE_COLUMNS))
