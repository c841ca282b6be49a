"""A source drawn as data, model, residual and weights: the pixels that decide a row.

Data, model and residual are drawn above the fitted level with the same stretch: asinh, which is
linear for the noise and logarithmic for the source, so that faint wings and a bright core are both
seen (Lupton et al. 1999, AJ 118, 1406). A value has the same distance from zero in all three.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Colormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Ellipse, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from surveyfit.report.compass import draw_compass, draw_scale_bar
from surveyfit.report.source_view import Row, SourceView

TITLES = ("data", "model", "residual", "weight")

LINEAR = 2.0
"""Noises from zero within which the stretch is nearly linear."""

FAINTEST_TOP = 6.0
"""Noises from zero that the colours reach at least, however faint the source."""

BELOW = 4.0
"""Noises below the level that data and model show."""

MAP, DIVERGING, WEIGHTS = "viridis", "PuOr_r", "gray"
"""Perceptually uniform, and told apart by the colour-blind."""

NOTHING = "0.82"
"""Grey of pixels without a value."""

OUTLINE = [withStroke(linewidth=2.4, foreground="black", alpha=0.6)]
"""Behind white lines, which are seen on every colour then."""

HATCH = "/////"
"""Of pixels that the fit did not use."""


class Stretch(NamedTuple):
    """How values above the fitted level become colours.

    Attributes
    ----------
    width : float
        Distance from zero within which the stretch is nearly linear, image units.
    bottom, top : float
        Values of the first and the last colour.
    """

    width: float
    bottom: float
    top: float

    @property
    def norm(self) -> AsinhNorm:
        """The same for matplotlib."""
        return AsinhNorm(linear_width=self.width, vmin=self.bottom, vmax=self.top)

    def place(self, value: float) -> float:
        """Return where a value stands between the first colour (0) and the last (1)."""
        low, here, high = (math.asinh(v / self.width) for v in (self.bottom, value, self.top))
        return (here - low) / (high - low)


class Stretches(NamedTuple):
    """That of data and model, and that of the residual: the same, but on both sides of zero."""

    above: Stretch
    around: Stretch


def stretches(view: SourceView) -> Stretches:
    """Return the stretches of a source, whose peak is the top."""
    noise = float(view.row["local_rms"])
    top, width = max(_peak(view), FAINTEST_TOP * noise), LINEAR * noise
    return Stretches(Stretch(width, -BELOW * noise, top), Stretch(width, -top, top))


def _peak(view: SourceView) -> float:
    """Return the fitted peak, or the largest used pixel where the fit failed."""
    amp = float(view.row["fit_amp"])
    if np.isfinite(amp):
        return abs(amp)
    used = view.data[~view.mask]
    return float(used.max() - level(view)) if used.size else 0.0


def level(view: SourceView) -> float:
    """Return what counts as zero in a picture: the fitted level, else that of the background."""
    fitted = float(view.row["fit_bkg"])
    return fitted if np.isfinite(fitted) else float(view.row["local_bkg"])


def draw_source(
    axes: Sequence[Axes], view: SourceView, *, annotate: bool = True
) -> list[AxesImage]:
    """Draw data, model, residual and weights of a source.

    Axes count the image's pixels, zero-based. The ellipse is the fitted full width at half
    maximum, dashed ones are other sources of the catalogue, hatched pixels were not used, a small
    square marks the peak pixel of the detection.

    Parameters
    ----------
    axes : sequence of Axes
        Up to four; with fewer the last panels are left out.
    view : SourceView
    annotate : bool
        Whether to draw peak pixel, scale bar and compass too; small pictures have no room.

    Returns
    -------
    list of AxesImage
        One a panel, for colour bars.
    """
    above, around = (stretch.norm for stretch in stretches(view))
    panels: list[tuple[NDArray[np.floating], str, Normalize]] = [
        (view.data - level(view), MAP, above),
        (view.model - level(view), MAP, above),
        (np.where(view.mask, np.nan, view.residual), DIVERGING, around),
        (np.where(view.mask, np.nan, view.weights), WEIGHTS, Normalize(0, 1)),
    ]
    drawn = [_show(a, view, *panel) for a, panel in zip(axes, panels, strict=False)]
    for number, panel_axes in enumerate(axes):
        _finish(panel_axes, view, number, annotate)
    return drawn


def _show(
    axes: Axes, view: SourceView, values: NDArray[np.floating], name: str, norm: Normalize
) -> AxesImage:
    box = view.box
    return axes.imshow(
        values,
        origin="lower",
        cmap=_map(name),
        norm=norm,
        interpolation="nearest",
        extent=(box.x0 - 0.5, box.x1 - 0.5, box.y0 - 0.5, box.y1 - 0.5),
    )


def _map(name: str) -> Colormap:
    return colormaps[name].with_extremes(bad=NOTHING)


def _finish(axes: Axes, view: SourceView, number: int, annotate: bool) -> None:
    title = TITLES[number]
    axes.set_title(title)
    axes.autoscale(False)  # ellipses of neighbours may reach beyond
    if title != "model" and view.mask.any():
        axes.add_patch(_hatched(view))
    if title != "weight":
        _draw_ellipses(axes, view, with_neighbours=title == "data")
    if title == "data" and annotate:
        x, y = view.peak
        _outlined(axes, Rectangle((x - 0.5, y - 0.5), 1, 1, lw=1.0))
        draw_scale_bar(axes, view, OUTLINE)
        draw_compass(axes, view, OUTLINE)
    if title == "model" and not np.isfinite(view.params).all():
        axes.text(0.5, 0.5, "no fit", transform=axes.transAxes, ha="center", va="center")


def _draw_ellipses(axes: Axes, view: SourceView, *, with_neighbours: bool) -> None:
    if (own := _ellipse(view.row)) is not None:
        _outlined(axes, own)
    for neighbour in view.neighbours if with_neighbours else ():
        if (ellipse := _ellipse(neighbour)) is not None:
            ellipse.set_linestyle("--")
            _outlined(axes, ellipse)


def _ellipse(row: Row) -> Ellipse | None:
    """Return the ellipse at half maximum; None where the fit failed."""
    x, y, major, minor, angle = (row[k] for k in ("x", "y", "maj_pix", "min_pix", "pa_pix"))
    if not np.isfinite([x, y, major, minor]).all():
        return None
    return Ellipse((x, y), major, minor, angle=np.nan_to_num(angle), lw=1.2)


def _outlined(axes: Axes, patch: Ellipse | Rectangle) -> None:
    patch.set(fill=False, edgecolor="white", path_effects=OUTLINE)
    axes.add_patch(patch)


def _hatched(view: SourceView) -> PathPatch:
    """Hatch the pixels that were not used, run by run of each row."""
    edges = np.diff(np.pad(view.mask.astype(int), ((0, 0), (1, 1))), axis=1)
    rows, first = np.nonzero(edges == 1)
    last = np.nonzero(edges == -1)[1]
    x, y = view.corner
    runs = [
        Path(_corners(x + start - 0.5, x + end - 0.5, y + row - 0.5), closed=True)
        for row, start, end in zip(rows, first, last, strict=True)
    ]
    path = Path.make_compound_path(*runs)
    return PathPatch(path, facecolor="none", edgecolor="0.35", lw=0, hatch=HATCH)


def _corners(x0: float, x1: float, y: float) -> list[tuple[float, float]]:
    return [(x0, y), (x1, y), (x1, y + 1), (x0, y + 1), (x0, y)]
