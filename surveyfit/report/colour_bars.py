"""Colour bars of the pictures of a source, with round values on an asinh stretch."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.image import AxesImage

from surveyfit.report.draw_source import FAINTEST_TOP, Stretch, level, stretches
from surveyfit.report.quantities import plain, readable_unit
from surveyfit.report.source_view import SourceView

LENGTH = 30
"""Of a bar under one panel, in its widths."""

DISTANCE = 0.12
"""Between two ticks at least, as a share of a bar under one panel."""

DECADES = 4
"""Powers of ten of the ticks; nearer to zero there is no room."""

LETTERS = 8.0
"""Points."""


def draw_bars(
    figure: SubFigure, axes: list[Axes], images: list[AxesImage], view: SourceView
) -> None:
    """Draw one bar for data and model, one for the residual, one for the weights."""
    factor, unit = readable_unit(view.unit, FAINTEST_TOP * float(view.row["local_rms"]))
    above, around = stretches(view)
    words = f"{unit} above the level of {plain(level(view) / factor)}"
    _bar(figure, axes[:2], images[0], words, _ticks(above, factor, DISTANCE / 2), factor)
    _bar(figure, axes[2:3], images[2], unit, _ticks(around, factor, DISTANCE), factor)
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    _bar(figure, axes[3:], images[3], "1: as in least squares, 0: rejected", shares, 1.0)


def _bar(
    figure: SubFigure,
    panels: list[Axes],
    image: AxesImage,
    words: str,
    ticks: list[float],
    factor: float,
) -> None:
    aspect = LENGTH * len(panels)
    bar = figure.colorbar(image, ax=panels, location="bottom", aspect=aspect, pad=0.02)
    bar.set_ticks(ticks, labels=[f"{tick / factor:g}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label(words, size=LETTERS)
    bar.ax.tick_params(labelsize=LETTERS)


def _ticks(stretch: Stretch, factor: float, distance: float) -> list[float]:
    """Return zero and round values in units of ``factor`` on both sides of it, not too near.

    Parameters
    ----------
    stretch : Stretch
    factor : float
    distance : float
        Between two of them, as a share of the bar.
    """
    largest = math.floor(math.log10(stretch.top / factor))
    powers = range(largest, largest - DECADES, -1)
    kept: list[float] = []
    last, zero = 1.0 + distance, stretch.place(0.0)
    for value in (step * 10.0**power * factor for power in powers for step in (5, 2, 1)):
        place = stretch.place(value)
        if place <= 1 and last - place >= distance <= place - zero:
            kept.append(value)
            last = place
    below = [-value for value in kept if -value >= stretch.bottom]
    return [*below, 0.0, *reversed(kept)]
