"""The images of a finished run, as their validation needs them."""

import os
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.run.catalogue import whole_batches
from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import Stage
from surveyfit.run.record import check_version, made_by_another_version
from surveyfit.run.tasks import companions
from surveyfit.sky.arrow_table import to_numpy
from surveyfit.sky.image import Image
from surveyfit.sky.injected import plane_text
from surveyfit.sky.layout import file_digest
from surveyfit.sky.parts import read_columns

Contents = tuple[str, int, str]
"""Digest, HDU and plane: an image, whatever its file is called."""

Rows = dict[str, NDArray[Any]]
"""Columns of a catalogue."""


def contents_of(image: Image) -> Contents:
    """Tell an image by what it holds."""
    return image.digest, image.hdu, plane_text(image)


def finished_run(directory: RunDirectory) -> Config:
    """Return the configuration of a run that can be validated.

    Raises
    ------
    InputError
        If it is not finished, was made by another version, or has artificial sources itself.
    """
    path = directory.path
    check_version(directory)
    if not directory.is_finished():
        raise InputError(f"{path} is not finished", "submit again, then validate")
    record = directory.record()
    config = Config.from_dict(record["configuration"])
    if config.key() != record["configuration_key"]:
        raise made_by_another_version(directory)
    if config.inject is not None:
        raise InputError(f"{path} has artificial sources in it already", "give the run without")
    return config


def measured_images(directory: RunDirectory) -> list[Image]:
    """Return the images of a run by file, each as its receipt has it."""
    receipts = (receipt for _, receipt in directory.read_receipts(Stage.NOISE))
    images = [Image.from_dict(receipt["result"]["image"]) for receipt in receipts]
    return sorted(images, key=lambda image: (image.path, image.hdu, image.plane))


def check_unchanged(image: Image, config: Config) -> None:
    """Refuse an image whose file, mask or noise is no longer what the run has measured.

    Raises
    ------
    InputError
    """
    if not os.path.exists(image.path):
        raise InputError(f"{image.path} is gone since the run", "put it back, or submit again")
    same = file_digest(image.path, image.name) == image.digest
    if not same or companions(config).digest(image) != image.companions_digest:
        raise InputError(
            f"{image.path} or a file beside it has changed since the run", "submit again first"
        )


def read_rows(
    directory: RunDirectory, images: Collection[Image], names: Collection[str]
) -> dict[Contents, Rows]:
    """Read some catalogue columns of some images, by image; no rows where none are committed."""
    by_key = {image.key: contents_of(image) for image in images}
    parts: dict[Contents, list[Rows]] = {contents: [] for contents in by_key.values()}
    for receipt in whole_batches(_fits_of(directory, by_key)):
        part = read_columns(directory.catalog / receipt["result"]["part"], sorted(names))
        columns = {name: to_numpy(part[name]) for name in names}
        parts[by_key[receipt["image"]]].append(columns)
    return {contents: _joined(columns, names) for contents, columns in parts.items()}


def _fits_of(directory: RunDirectory, keys: Collection[str]) -> Iterator[dict[str, Any]]:
    for _, receipt in directory.read_receipts(Stage.FIT):
        if receipt["image"] in keys:
            yield receipt


def _joined(parts: list[Rows], names: Collection[str]) -> Rows:
    if not parts:
        return {name: np.zeros(0) for name in names}
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
