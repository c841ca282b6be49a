"""A run directory as a user of Python sees it."""

from pathlib import Path
from typing import Any, NamedTuple

import zarr
from astropy.table import Table

from surveyfit.run.catalogue import read_catalogue, read_images
from surveyfit.run.directory import RunDirectory


class Run(NamedTuple):
    """What a run has left on disk.

    Attributes
    ----------
    catalog : Table
        All committed rows, with units and meanings.
    cutouts : zarr.Group
        ``cutouts[f"{image}/{tile}/{side}/pixels"]`` and what lies beside it; ``attrs`` say what.
    images : Table
        A row an image: what its header tells, what was measured of it, and how many sources.
    record : dict
        run.json: configuration, versions, counts, timings.
    """

    catalog: Table
    cutouts: zarr.Group
    images: Table
    record: dict[str, Any]


def open_run(run: str | Path) -> Run:
    """Open a run directory, finished or still going.

    Raises
    ------
    InputError
        If the folder is no run directory, or a part of its catalogue is damaged.
    """
    directory = RunDirectory.open(Path(run))
    cutouts = zarr.open_group(directory.stores.cutouts, mode="r")
    return Run(read_catalogue(directory), cutouts, read_images(directory), directory.record())
