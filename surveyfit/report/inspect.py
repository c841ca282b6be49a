"""One PNG a source: its four pictures with their scales, and what the catalogue says of it."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage

from surveyfit.errors import InputError
from surveyfit.report.draw_source import FAINTEST_TOP, TITLES, draw_source, level
from surveyfit.report.quantities import plain, readable_unit
from surveyfit.report.read_source import read_sources
from surveyfit.report.source_view import SourceView
from surveyfit.report.source_words import describe
from surveyfit.run.directory import RunDirectory
from surveyfit.sky.atomic import check_writable, replacing

SIZE = (13.0, 7.4)
"""Inches."""

DPI = 110

HEIGHTS = (1.28, 1.0)
"""Of the pictures, and of the words below."""

SMALL = 8.0
"""Points of the scales' letters."""

WORDS = 9.5
"""Points of the words below the pictures."""

COLUMNS = ((0.012, 0.085), (0.49, 0.54))
"""Where the two columns of words begin, and what they say: shares of the width."""

SECOND_COLUMN = "noise"
"""The first line of the second column."""

WIDTH = 84
"""Characters of a line."""

LINE = 0.075
"""Height of a line, as a share of that of all words."""

BAR = 30
"""Length of a colour bar in its widths."""

HOW_TO_READ = (
    "asinh stretch, linear within 2 noises; solid ellipse: fitted FWHM; dashed: other sources; "
    "hatched: pixels not used; square: peak pixel; axes count the image's pixels from 0"
)

TICK_DISTANCE = 0.12
"""Between the ticks of a colour bar at least, as a share of its length."""


def write_picture(view: SourceView, target: Path) -> None:
    """Write the picture of a source as PNG, whole or not at all.

    Raises
    ------
    DiskFullError
        If there is no room.
    """
    figure = draw(view)
    with replacing(target) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)


def draw(view: SourceView) -> Figure:
    """Draw a source: data, model, residual and weights above what the catalogue says of it."""
    figure = Figure(figsize=SIZE, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=HEIGHTS)
    axes = list(top.subplots(1, len(TITLES)))
    images = draw_source(axes, view)
    for panel in axes:
        panel.tick_params(labelsize=SMALL)
        panel.locator_params(nbins=4, integer=True)
    _colour_bars(top, axes, images, view)
    _words(bottom, view)
    return figure


def _colour_bars(
    figure: SubFigure, axes: list[Axes], images: list[AxesImage], view: SourceView
) -> None:
    """Draw one bar for data and model, one for the residual, one for the weights."""
    noise = float(view.row["local_rms"])
    factor, unit = readable_unit(view.unit, FAINTEST_TOP * noise)
    zero = plain(level(view) / factor)
    _bar(figure, axes[:2], images[0], f"{unit} above the fitted level, {zero}", factor)
    _bar(figure, axes[2:3], images[2], f"{unit}, same stretch", factor)
    bar = figure.colorbar(images[3], ax=axes[3:], location="bottom", aspect=BAR, pad=0.02)
    bar.set_label("1: as in least squares, 0: rejected", size=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def _bar(
    figure: SubFigure, panels: list[Axes], image: AxesImage, label: str, factor: float
) -> None:
    aspect = BAR * len(panels)
    bar = figure.colorbar(image, ax=panels, location="bottom", aspect=aspect, pad=0.02)
    ticks = _ticks(image, factor, TICK_DISTANCE / len(panels))
    bar.set_ticks(ticks, labels=[f"{tick / factor:g}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label(label, size=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def _ticks(image: AxesImage, factor: float, distance: float) -> list[float]:
    """Return zero and round values on both sides of it, no two nearer than a share of the bar."""
    norm = image.norm
    assert norm.vmin is not None
    assert norm.vmax is not None
    powers = range(math.floor(math.log10(norm.vmax / factor)), -4, -1)
    round_values = (step * 10.0**power * factor for power in powers for step in (5, 2, 1))
    kept = [0.0]
    last = 1.0 + distance
    for value in round_values:
        place = float(norm(value))
        if place <= 1 and last - place >= distance and place - float(norm(0.0)) >= distance:
            kept.append(value)
            last = place
    return sorted({sign * v for v in kept for sign in (-1, 1) if sign * v >= norm.vmin})


def _words(figure: SubFigure, view: SourceView) -> None:
    """Write what the catalogue says in two columns."""
    lines = describe(view)
    if view.note:
        lines.append(("note", f"{view.note}: pixels that were not used are not shown"))
    lines.append(("picture", HOW_TO_READ))
    second = [label for label, _ in lines].index(SECOND_COLUMN)
    for part, places in zip((lines[:second], lines[second:]), COLUMNS, strict=True):
        y = 1 - LINE
        for label, words in part:
            figure.text(places[0], y, label, size=WORDS, color="0.4", va="top")
            for line in textwrap.wrap(words, WIDTH):
                figure.text(places[1], y, line, size=WORDS, va="top")
                y -= LINE


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
    """
    directory = RunDirectory.open(run)
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
        write_picture(view, path)
        yield "\n".join(f"{label:13s}{words}" for label, words in describe(view)), path
