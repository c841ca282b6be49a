"""Where on the sky the sources of a run are, and the outlines of its images."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from surveyfit.report.figures import (
    BOTTOM,
    FLAGGED_COLOUR,
    GOOD_COLOUR,
    INK,
    LEFT,
    MUTED,
    RIGHT,
    RULE,
    TEXT,
    TOP,
    WIDTH,
    new_figure,
    plain_axes,
    to_svg,
)

WIDE = 40.0
"""Degrees from the middle to the farthest source, beyond which the whole sky is shown."""

SMALL = 0.02
"""Of the map's width: a smaller outline of an image is marked by a ring, too."""

WHOLE_SKY = 360.0
"""Degrees across a map of it."""

UNITS = ((1.0, "degrees"), (60.0, "arcmin"), (3600.0, "arcsec"))
"""Of a degree; the first one in which the map is wider than one."""

POINTS = 4000.0
"""Points of area that the dots have together, within the limits below."""

DOT = (0.2, 9.0)

MOST_OUTLINES = 1000
"""Images whose outlines are drawn; of more, one in so many."""

HEIGHTS = (1.2, 5.0)
"""Inches of a map, without its margins."""

Corners = NDArray[np.float64]
"""(n, 2) right ascension and declination, degrees, around an image."""


class SkyMap(NamedTuple):
    """The picture, and what it is in words."""

    picture: Markup
    words: str


def draw_sky(
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    good: NDArray[np.bool_],
    outlines: Mapping[str, Corners],
) -> SkyMap | None:
    """Draw the sources and the outlines; None where nothing has a position.

    Parameters
    ----------
    ra, dec : array (n,)
        ICRS, degrees; NaN where not known.
    good : bool array (n,)
    outlines : mapping of str to array (m, 2)
        Corners by image; images without a known place are not in it.
    """
    known = np.isfinite(ra) & np.isfinite(dec)
    ra, dec, good = ra[known], dec[known], good[known]
    step = -(-len(outlines) // MOST_OUTLINES) or 1
    corners = list(outlines.values())[::step]
    if not len(ra) and not corners:
        return None
    everywhere = np.concatenate([np.stack([ra, dec], axis=1), *corners])
    middle, radius = _extent(everywhere)
    words = f"{len(ra):,} sources and the outlines of {len(corners):,} images"
    words += f" (one in {step})" if step > 1 else ""
    if radius > WIDE:
        figure = _whole_sky(ra, dec, good, corners)
        words += " on the whole sky, Aitoff's projection"
    else:
        figure = _local(ra, dec, good, corners, middle, radius)
        words += f" around right ascension {middle[0]:.5g}°, declination {middle[1]:+.5g}°"
    return SkyMap(to_svg(figure, f"Map of the sky: {words}"), words)


def _extent(points: Corners) -> tuple[tuple[float, float], float]:
    """Return the middle of points, and how far from it the farthest is, degrees."""
    vectors = _vectors(points)
    middle = vectors.mean(axis=0)
    middle /= np.linalg.norm(middle) or 1.0
    apart = 2 * np.arcsin(np.clip(np.linalg.norm(vectors - middle, axis=1) / 2, 0, 1))
    ra, dec = np.arctan2(middle[1], middle[0]), np.arcsin(np.clip(middle[2], -1, 1))
    return (float(np.degrees(ra) % 360), float(np.degrees(dec))), float(np.degrees(apart.max()))


def _vectors(points: Corners) -> NDArray[np.float64]:
    ra, dec = np.radians(points).T
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def _tangent(points: Corners, middle: tuple[float, float]) -> NDArray[np.float64]:
    """Project onto the plane that touches the sky in the middle: east and north, degrees (n, 2)."""
    ra, dec = np.radians(middle)
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    vectors, centre = _vectors(points), _vectors(np.array([middle]))[0]
    return np.degrees(vectors @ np.stack([east, north], axis=1) / (vectors @ centre)[:, None])


def _local(
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    good: NDArray[np.bool_],
    corners: Sequence[Corners],
    middle: tuple[float, float],
    radius: float,
) -> Figure:
    scale, unit = next(((s, u) for s, u in UNITS if 2 * radius * s > 1), UNITS[-1])
    at = _tangent(np.stack([ra, dec], axis=1), middle) * scale
    everything = np.concatenate([at, *(_tangent(c, middle) * scale for c in corners)])
    figure = new_figure(_height(everything))
    axes = plain_axes(figure, f"east ({unit})", f"north ({unit})")
    _dots(axes, at[:, 0], at[:, 1], good)
    for outline in corners:
        x, y = (_tangent(outline, middle) * scale).T
        axes.plot(*_closed(x, y), color=MUTED, linewidth=0.6)
        if max(np.ptp(x), np.ptp(y)) < SMALL * 2 * radius * scale:
            axes.plot(x.mean(), y.mean(), "o", color=INK, fillstyle="none", markersize=7)
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=6)
    axes.invert_xaxis()
    return figure


def _height(points: NDArray[np.float64]) -> float:
    """Return the height of a map that is as flat or as tall as what it shows, within limits."""
    width, height = np.ptp(points, axis=0)
    inside = (WIDTH - LEFT - RIGHT) * height / max(width, 1e-12)
    return float(np.clip(inside, *HEIGHTS)) + BOTTOM + TOP


def _whole_sky(
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    good: NDArray[np.bool_],
    corners: Sequence[Corners],
) -> Figure:
    """Draw the whole sky with east to the left, as it is seen from inside."""
    figure = new_figure(WIDTH * 0.5)
    figure.subplots_adjust(left=0.07, right=0.97, bottom=0.02, top=0.98)
    axes = figure.add_subplot(projection="aitoff")
    axes.grid(color=RULE, linewidth=0.6)
    axes.tick_params(color=MUTED, labelcolor=MUTED, labelsize=TEXT * 0.8)
    axes.set_xticks(np.radians(np.arange(-120, 121, 60)))
    axes.set_xticklabels([f"{-hour % 24} h" for hour in range(-8, 9, 4)])
    axes.set_yticks(np.radians([-60, -30, 0, 30, 60]))
    axes.spines["geo"].set_color(MUTED)
    _dots(axes, _longitude(ra), np.radians(dec), good)
    for outline in corners:
        x, y = _longitude(outline[:, 0]), np.radians(outline[:, 1])
        if np.ptp(x) < np.pi:
            axes.plot(*_closed(x, y), color=MUTED, linewidth=0.6)
        centre, radius = _extent(outline)
        if radius > SMALL * WHOLE_SKY:
            continue
        place = _longitude(np.array([centre[0]])), np.radians([centre[1]])
        axes.plot(*place, "o", color=INK, fillstyle="none", markersize=7)
    return figure


def _longitude(ra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn right ascension into an abscissa: radians, growing to the left, 0 h in the middle."""
    return -((np.radians(ra) + np.pi) % (2 * np.pi) - np.pi)


def _dots(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], good: NDArray[np.bool_]
) -> None:
    area = float(np.clip(POINTS / max(len(x), 1), *DOT))
    for which, colour in ((good, GOOD_COLOUR), (~good, FLAGGED_COLOUR)):
        axes.scatter(x[which], y[which], s=area, color=colour, linewidths=0, rasterized=True)


def _closed(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.append(x, x[:1]), np.append(y, y[:1])])
