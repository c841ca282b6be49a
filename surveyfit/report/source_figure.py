"""A source on one page: its four pictures with their scales above what the catalogue says."""

import textwrap
from typing import NamedTuple

from matplotlib.figure import Figure, SubFigure

from surveyfit.report.colour_bars import LETTERS, draw_bars
from surveyfit.report.draw_source import TITLES, draw_source
from surveyfit.report.source_view import SourceView
from surveyfit.report.source_words import Line, describe

WIDTH, PICTURES = 13.0, 4.1
"""Inches: of the page, and the height of the pictures."""

LINE = 0.235
"""Height of a line of words, inches."""

POINTS = 9.5
"""Of the words."""


class Column(NamedTuple):
    """Where a column of words begins, and what they say, in shares of the width; its letters."""

    labels: float
    words: float
    characters: int


COLUMNS = (Column(0.012, 0.095, 68), Column(0.51, 0.565, 78))

INDENT = "   "
"""Before the rest of what is longer than a line."""

SECOND_COLUMN = "noise"
"""The first line of the second column."""

HOW_TO_READ = (
    "asinh stretch, the same for data, model and residual, linear within 2 noises; solid ellipse:"
    " fitted FWHM; dashed: other sources; hatched: pixels that the fit did not use; small square:"
    " the peak pixel; axes count the image's pixels from 0"
)


def draw(view: SourceView) -> Figure:
    """Draw a source and write below what is known of it."""
    columns = _columns(view)
    words = LINE * (max(map(len, columns)) + 0.5)
    figure = Figure(figsize=(WIDTH, PICTURES + words), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=(PICTURES, words))
    top, bottom = (figure.add_subfigure(grid[i]) for i in range(2))
    axes = list(top.subplots(1, len(TITLES)))
    images = draw_source(axes, view)
    for panel in axes:
        panel.tick_params(labelsize=LETTERS)
        panel.locator_params(nbins=4, integer=True)
    draw_bars(top, axes, images, view)
    for lines, column in zip(columns, COLUMNS, strict=True):
        _write(bottom, lines, column, LINE / words)
    return figure


def _columns(view: SourceView) -> tuple[list[Line], list[Line]]:
    """Return the lines of both columns, broken to their width."""
    lines = describe(view)
    if view.note:
        lines.append(("note", f"{view.note}: pixels that were not used are not shown"))
    lines.append(("picture", HOW_TO_READ))
    second = [label for label, _ in lines].index(SECOND_COLUMN)
    first, last = (column.characters for column in COLUMNS)
    return _broken(lines[:second], first), _broken(lines[second:], last)


def _broken(lines: list[Line], characters: int) -> list[Line]:
    return [
        (label if first else "", part)
        for label, words in lines
        for first, part in zip(
            (True, *(False for _ in words)),
            textwrap.wrap(words, characters, subsequent_indent=INDENT),
            strict=False,
        )
    ]


def _write(figure: SubFigure, lines: list[Line], column: Column, height: float) -> None:
    for number, (label, words) in enumerate(lines):
        y = 1 - (number + 0.25) * height
        figure.text(column.labels, y, label, size=POINTS, color="0.4", va="top")
        figure.text(column.words, y, words, size=POINTS, va="top", parse_math=False)
