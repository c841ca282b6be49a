"""How bright the sources of a run are, and how their errors go with their signal to noise."""

from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from surveyfit.report.figures import (
    FLAGGED_COLOUR,
    GOOD_COLOUR,
    INK,
    legend,
    logarithmic,
    new_figure,
    plain_axes,
    to_svg,
)
from surveyfit.report.page_run import ImageLine
from surveyfit.report.page_sources import Sources

BINS = 8, 40
"""Of a distribution: the fewest and the most."""

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))

ROOM = 1.5
"""Factor by which logarithmic axes reach beyond that span."""

SPAN = 0.1, 99.9
"""Percentiles of the values that a picture spans: a few may be anywhere."""

MOST_KINDS = 5
"""Units and bands with a distribution of their own; the ones with most sources."""


class Kind(NamedTuple):
    """What makes fluxes comparable: the unit of the image and its filter or frequency.

    Without a unit the fluxes of an image can be compared with no other's: ``image`` is its name.
    """

    unit: str
    band: str
    image: str

    def __str__(self) -> str:
        what = self.image or f"Images in {self.unit}"
        return f"{what}, {self.band}" if self.band else what


def _kind(image: ImageLine) -> Kind:
    return Kind(image.unit, image.band, "" if image.unit else image.name)


class Distribution(NamedTuple):
    """A picture of the fluxes, or magnitudes, of one kind."""

    kind: Kind
    picture: Markup


def draw_fluxes(sources: Sources, images: list[ImageLine]) -> tuple[list[Distribution], int]:
    """Draw the distribution of each kind, and tell how many kinds are left out.

    Magnitudes where the zero point of the images is known, else fluxes.
    """
    members: dict[Kind, list[int]] = {}
    for number, image in enumerate(images):
        members.setdefault(_kind(image), []).append(number)
    selected = {kind: np.isin(sources.rows["image"], n) for kind, n in members.items()}
    kinds = sorted(selected, key=lambda kind: (-selected[kind].sum(), kind))
    pictures = {kind: _draw_kind(kind, sources, selected[kind]) for kind in kinds[:MOST_KINDS]}
    drawn = [Distribution(kind, picture) for kind, picture in pictures.items() if picture]
    return drawn, len(kinds[MOST_KINDS:])


def _draw_kind(kind: Kind, sources: Sources, which: NDArray[np.bool_]) -> Markup | None:
    magnitude, flux = sources.rows["mag"], sources.rows["flux_int"]
    has_magnitudes = bool(np.isfinite(magnitude[which]).any())
    if has_magnitudes:
        values, label = magnitude, "magnitude"
        shown = which & np.isfinite(magnitude)
    else:
        values = flux
        label = f"integrated flux ({_flux_unit(kind.unit)})" if kind.unit else "integrated flux"
        shown = which & np.isfinite(flux) & (flux > 0)
    if not shown.any():
        return None
    figure = new_figure()
    axes = plain_axes(figure, label, "sources in a bin")
    if not has_magnitudes:
        logarithmic(axes, "x")
    _histogram(
        axes,
        values,
        shown & sources.good,
        shown & ~sources.good,
        logarithmically=not has_magnitudes,
    )
    return to_svg(figure, f"Distribution of {label} of {shown.sum()} sources, {kind}")


def _histogram(
    axes: Axes,
    values: NDArray[np.float64],
    good: NDArray[np.bool_],
    flagged: NDArray[np.bool_],
    *,
    logarithmically: bool,
) -> None:
    """Draw how many values are where, the good below the flagged ones.

    The bins span the good ones: a fit that has failed may give any number.
    """
    spanned = values[good if good.any() else flagged]
    edges = _edges(np.log10(spanned) if logarithmically else spanned)
    edges = 10**edges if logarithmically else edges
    axes.hist(
        [np.clip(values[which], edges[0], edges[-1]) for which in (good, flagged)],
        bins=edges.tolist(),
        stacked=True,
        histtype="stepfilled",
        color=[GOOD_COLOUR, FLAGGED_COLOUR],
        label=["good", "flagged"],
    )
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend(axes)


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of bins, more of them the more values there are: 2 n^(1/3) (Rice)."""
    number = int(np.clip(2 * len(values) ** (1 / 3), *BINS))
    low, high = np.percentile(values, SPAN)
    middle, half = (low + high) / 2, max((high - low) / 2, 0.05)
    return np.linspace(middle - 1.001 * half, middle + 1.001 * half, number + 1)


def _flux_unit(unit: str) -> str:
    """Return the unit of the integrated flux: the beam area is divided out of Jy/beam."""
    return unit.removesuffix("/beam")


def draw_snr(sources: Sources) -> Markup | None:
    """Draw the distribution of the signal to noise of all images together."""
    snr = sources.rows["snr"]
    shown = np.isfinite(snr) & (snr > 0)
    if not shown.any():
        return None
    figure = new_figure()
    axes = plain_axes(figure, "signal to noise", "sources in a bin")
    logarithmic(axes, "x")
    _histogram(axes, snr, shown & sources.good, shown & ~sources.good, logarithmically=True)
    return to_svg(figure, f"Distribution of the signal to noise of {shown.sum()} sources")


def draw_errors(sources: Sources) -> dict[str, Markup]:
    """Draw relative errors against signal to noise, by what they are of; of good sources."""
    rows = sources.rows
    sigma = np.sqrt(np.abs(rows["maj_pix"] * rows["min_pix"])) * FWHM_TO_SIGMA
    position = np.sqrt((rows["x_err"] ** 2 + rows["y_err"] ** 2) / 2) / sigma
    flux = rows["flux_int_err"] / rows["flux_int"]
    names = {
        "position error / source sigma": position,
        "flux error / flux": flux,
    }
    drawn = {name: _draw_error(name, error, sources) for name, error in names.items()}
    return {name: picture for name, picture in drawn.items() if picture is not None}


def _draw_error(name: str, error: NDArray[np.float64], sources: Sources) -> Markup | None:
    snr = sources.rows["snr"]
    which = sources.good & np.isfinite(error) & np.isfinite(snr) & (error > 0) & (snr > 0)
    if not which.any():
        return None
    figure = new_figure()
    axes = plain_axes(figure, "signal to noise", name)
    logarithmic(axes, "x", "y")
    _cloud(axes, snr[which], error[which])
    line = np.percentile(snr[which], SPAN)
    low, high = np.percentile(np.append(error[which], 1 / line), SPAN)
    axes.set(xlim=(line[0] / ROOM, line[1] * ROOM), ylim=(low / ROOM, high * ROOM))
    axes.plot(line, 1 / line, "--", color=INK, linewidth=1.2, label="1 / (signal to noise)")
    legend(axes)
    return to_svg(figure, f"{name} of {which.sum()} good sources against their signal to noise")


def _cloud(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    area = float(np.clip(3000.0 / len(x), 0.2, 8.0))
    axes.scatter(x, y, s=area, color=GOOD_COLOUR, alpha=0.6, linewidths=0, rasterized=True)
