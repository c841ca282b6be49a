"""The catalogue of a run in another program's style: ``surveyfit catalog RUN --style``."""

from pathlib import Path

from surveyfit.errors import InputError
from surveyfit.run.catalogue import committed_parts
from surveyfit.run.directory import RunDirectory
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
    parts = committed_parts(directory)
    if not parts:
        raise InputError(f"{run}: no catalogue yet", "wait, or submit again")
    images = _observed(directory)
    table = styled(to_table(read_parts(parts)), images, STYLES[style])
    write_styled(table, images, STYLES[style], target)
    return len(table), sum(map(count_rows, parts)) - len(table)


def _observed(directory: RunDirectory) -> dict[str, Observed]:
    """Return what the receipts tell of each image, by its name."""
    observed = {}
    for _, receipt in directory.read_receipts(Stage.NOISE):
        facts = receipt["result"]["facts"]
        beam = None if facts["beam"] is None else Beam(**facts["beam"])
        name = receipt["result"]["image"]["name"]
        observed[name] = Observed(beam, facts["frequency"])
    return observed
