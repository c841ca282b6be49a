"""The catalogue of a run in another program's style: ``surveyfit catalog RUN --style``."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table

from surveyfit.errors import InputError
from surveyfit.run.catalogue import whole_batches
from surveyfit.run.directory import Receipt, RunDirectory
from surveyfit.run.image_labels import image_labels
from surveyfit.run.pieces import Stage
from surveyfit.sky.header import Beam
from surveyfit.sky.parts import count_rows, read_parts, to_table
from surveyfit.sky.styles.column import Observed
from surveyfit.sky.styles.styled import STYLES, check_styled_target, styled, write_styled


def export_styled(run: Path, target: Path, style: str) -> tuple[int, int]:
    """Write the catalogue as another program would; the extension chooses the format.

    Parameters
    ----------
    run, target : Path
    style : str
        A key of `surveyfit.sky.styles.styled.STYLES`.

    Returns
    -------
    written, left_out : int
        Rows.

    Raises
    ------
    InputError
        For a folder that is no run, a run without any part, or a file that cannot be written.
    """
    directory = RunDirectory.open(run)
    check_styled_target(target, STYLES[style])
    directory.check_outside(target)
    measured = [receipt for _, receipt in directory.read_receipts(Stage.NOISE)]
    labels = image_labels(measured)
    rows = _rows(directory, labels)
    images = {labels[receipt["image"]]: _observed(receipt) for receipt in measured}
    table = styled(rows, images, STYLES[style])
    write_styled(table, images, STYLES[style], target)
    return len(table), len(rows) - len(table)


def _rows(directory: RunDirectory, labels: Mapping[str, str]) -> Table:
    """Read the catalogue, with the label of its image in each row, by the image's key."""
    fitted = list(whole_batches(receipt for _, receipt in directory.read_receipts(Stage.FIT)))
    if not fitted:
        raise InputError(f"{directory.path}: no catalogue yet", "wait, or submit again")
    parts = [directory.catalog / receipt["result"]["part"] for receipt in fitted]
    rows = to_table(read_parts(parts))
    images = [labels[receipt["image"]] for receipt in fitted]
    rows["image"] = np.repeat(images, [count_rows(part) for part in parts])
    return rows


def _observed(receipt: Receipt) -> Observed:
    """Return what the receipt of an image's noise tells of it."""
    facts = receipt["result"]["facts"]
    beam = None if facts["beam"] is None else Beam(**facts["beam"])
    return Observed(beam, facts["frequency"])
