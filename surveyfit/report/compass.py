"""Scale bar and compass in the corners of a picture."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import AbstractPathEffect
from numpy.typing import NDArray

from surveyfit.report.source_view import SourceView

Point = tuple[float, float] | NDArray[np.float64]
Outline = Sequence[AbstractPathEffect]

LONGEST_BAR = 0.35
"""Of the side of the picture."""

CORNER = 0.06
"""Distance of the bar from the edges, in sides of the picture."""

ARROW, LETTER = 0.10, 0.135
"""Length of a compass arrow, and how far from its foot its letter stands, in sides."""

CENTRE = (0.81, 0.81)
"""Foot of the arrows, in sides: whatever their direction they stay in the corner."""

STEPS = (5, 2, 1)
"""First digits of the lengths of a scale bar."""

UNITS = (
    ("\N{DEGREE SIGN}", 3600.0),
    ("\N{PRIME}", 60.0),
    ("\N{DOUBLE PRIME}", 1.0),
    (" mas", 1e-3),
)
"""Units of length on the sky and the arcsec in each, largest first."""


def draw_scale_bar(axes: Axes, view: SourceView, outline: Outline) -> None:
    """Draw a bar of a round length: an angle where the sky is known, else pixels."""
    known = np.isfinite(view.jacobian).all()
    scale = math.sqrt(abs(np.linalg.det(view.jacobian))) if known else None
    words, pixels = _bar(LONGEST_BAR * view.side, scale)
    x, y = (corner + CORNER * view.side for corner in view.corner)
    _line(axes, (x, y), (x + pixels, y), outline)
    _letters(axes, (x + pixels / 2, y + 0.05 * view.side), words, outline)


def _bar(longest: float, scale: float | None) -> tuple[str, float]:
    """Return words and length in pixels of a bar; ``scale`` in arcsec a pixel, None if unknown.

    >>> _bar(11.0, 0.2)
    ('2″', 10.0)
    >>> _bar(11.0, None)
    ('10 px', 10.0)
    """
    if scale is None:
        pixels = _round_length(longest)
        return f"{pixels:g} px", pixels
    angle = longest * scale
    symbol, arcsec = next((u for u in UNITS if angle >= u[1]), UNITS[-1])
    length = _round_length(angle / arcsec)
    return f"{length:g}{symbol}", length * arcsec / scale


def _round_length(longest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(longest))
    return next(step * power for step in STEPS if step * power <= longest)


def draw_compass(axes: Axes, view: SourceView, outline: Outline) -> None:
    """Draw arrows to north and east; nothing where the sky is not known."""
    if not np.isfinite(view.jacobian).all():
        return
    to_pixels = np.linalg.inv(view.jacobian)
    foot = np.array(view.corner) + np.array(CENTRE) * view.side
    for letter, direction in (("E", to_pixels[:, 0]), ("N", to_pixels[:, 1])):
        step = direction / np.hypot(*direction) * view.side
        _line(axes, foot, foot + ARROW * step, outline)
        _letters(axes, foot + LETTER * step, letter, outline)


def _line(axes: Axes, start: Point, end: Point, outline: Outline) -> None:
    x, y = zip(start, end, strict=True)
    axes.plot(x, y, lw=1.8, color="white", solid_capstyle="butt", path_effects=list(outline))


def _letters(axes: Axes, place: Point, words: str, outline: Outline) -> None:
    x, y = place
    letters = axes.text(x, y, words, color="white", ha="center", va="center")
    letters.set_path_effects(list(outline))
