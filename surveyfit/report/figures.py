"""Pictures of a page: SVG text in the colours of the page, light or dark, drawn by matplotlib."""

import io
import math
import re
from html import escape

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from surveyfit.report.quantities import SUPERSCRIPTS

INK, MUTED, RULE = "#0a0b01", "#0a0b02", "#0a0b03"
"""Stand for the colours of text, of marks beside it and of thin lines; the page's style sheet
tells them."""

_OF_THE_PAGE = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)"}

GOOD_COLOUR, FLAGGED_COLOUR = "#3080d0", "#d9730d"
"""Blue and orange, told apart by colour-blind people, with a contrast above 3 on both grounds."""

WIDTH, HEIGHT = 4.6, 3.0
"""Inches of 72 units: as wide as a phone, so that the text stays readable there."""

LEFT, RIGHT, BOTTOM, TOP = 0.7, 0.15, 0.55, 0.1
"""Inches around the axes, for their numbers and labels."""

TEXT = 9.5
"""Size of the letters, in units."""

MOST_TICKS = 7
"""Numbers along an axis for which there is room."""

PLAIN_POWER = 3
"""Powers of ten up to this one, and down to its inverse, are written with zeros."""

RESOLUTION = 180
"""Dots an inch of what is drawn as an image inside the picture: clouds of points."""


def new_figure(height: float = HEIGHT) -> Figure:
    """Return an empty picture."""
    figure = Figure(figsize=(WIDTH, height))
    # A layout that measures all texts takes as long as the rest of the picture.
    figure.subplots_adjust(
        left=LEFT / WIDTH,
        right=1 - RIGHT / WIDTH,
        bottom=BOTTOM / height,
        top=1 - TOP / height,
    )
    return figure


def plain_axes(figure: Figure, x: str, y: str) -> Axes:
    """Return axes in the colours of the page, with their labels; no text is read as a formula."""
    axes = figure.add_subplot()
    axes.set_xlabel(x, color=INK, fontsize=TEXT, parse_math=False)
    axes.set_ylabel(y, color=INK, fontsize=TEXT, parse_math=False)
    axes.tick_params(which="both", color=MUTED, labelcolor=INK, labelsize=TEXT)
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(MUTED)
    return axes


def logarithmic(axes: Axes, *names: str) -> None:
    """Make axes logarithmic, with a few powers of ten written out."""
    for name in names:
        getattr(axes, f"set_{name}scale")("log")
        axis = getattr(axes, f"{name}axis")
        axis.set_major_locator(LogLocator(numticks=MOST_TICKS))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
        axis.set_minor_locator(NullLocator())


def _power(value: float) -> str:
    """Write a power of ten.

    >>> _power(0.01), _power(1000.0), _power(1e-11)
    ('0.01', '1000', '10⁻¹¹')
    """
    power = round(math.log10(value))
    return f"{value:g}" if abs(power) <= PLAIN_POWER else f"10{str(power).translate(SUPERSCRIPTS)}"


def legend(axes: Axes) -> None:
    """Add the legend, in the place where it hides least."""
    axes.legend(fontsize=TEXT, labelcolor=INK, frameon=False)


def to_svg(figure: Figure, alt: str) -> Markup:
    """Return a picture as an element of a page.

    Parameters
    ----------
    figure : Figure
    alt : str
        What it shows, for those who do not see it.
    """
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "surveyfit"}):
        figure.savefig(
            file, format="svg", metadata={"Date": None}, transparent=True, dpi=RESOLUTION
        )
    return Markup(_as_element(file.getvalue(), alt))


def _as_element(svg: str, alt: str) -> str:
    """Leave out what is not for a page, and give its colours to the page."""
    _, _, inside = svg.partition("<svg ")
    box = re.search(r'viewBox="[^"]*"', inside)
    assert box is not None
    inside = inside.partition(">")[2]
    for useless in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->"):
        inside = re.sub(useless, "", inside, flags=re.DOTALL)
    referenced = set(re.findall(r"#([\w.-]+)", inside))
    inside = re.sub(
        r' id="([^"]*)"', lambda found: found[0] if found[1] in referenced else "", inside
    )
    for stand_in, colour in _OF_THE_PAGE.items():
        inside = inside.replace(stand_in, colour)
    inside = re.sub(r"\n\s*", "\n", inside)
    return f'<svg {box[0]} role="img" aria-label="{escape(alt)}">{inside}'
