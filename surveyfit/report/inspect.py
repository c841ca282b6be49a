"""``surveyfit inspect``: a PNG a source, and what the catalogue says of it in lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from surveyfit.errors import InputError
from surveyfit.report.read_source import read_sources
from surveyfit.report.source_figure import draw
from surveyfit.report.source_view import SourceView
from surveyfit.report.source_words import describe
from surveyfit.run.directory import RunDirectory
from surveyfit.run.record import check_version
from surveyfit.sky.atomic import check_writable, replacing

DPI = 110

LABEL = 13
"""Width of the labels in front of the lines."""


def inspect(run: Path, wanted: Sequence[str], output: Path | None) -> Iterator[tuple[str, Path]]:
    """Draw sources of a run, and yield what is known of each in lines, and its picture's file.

    Parameters
    ----------
    run : Path
    wanted : sequence of str
        Identifiers or names.
    output : Path or None
        The file of the only picture; None: the identifier in the current folder.

    Raises
    ------
    InputError
        If there is no such source or run, its cutout is gone, or a picture cannot be written.
    DiskFullError
        If there is no room.
    """
    directory = RunDirectory.open(run)
    check_version(directory)
    if output is not None and output.suffix.lower() != ".png":
        raise InputError(f"{output}: pictures are PNG", "let its name end in .png")
    check_writable(Path() if output is None else output.parent)
    views = read_sources(directory, wanted)
    if output is not None and len(views) > 1:
        raise InputError(
            f"{len(views)} sources for one file, {output}", "leave -o out, or name one source_id"
        )
    for view in views:
        path = output or Path(f"{view.row['source_id']}.png")
        _write(view, path)
        yield "\n".join(f"{label:{LABEL}s}{words}" for label, words in describe(view)), path


def _write(view: SourceView, path: Path) -> None:
    """Write the picture of a source, whole or not at all."""
    figure = draw(view)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)
