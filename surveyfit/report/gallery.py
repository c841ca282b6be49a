"""Small pictures of a few sources of a run: typical, brightest, worst and flagged ones."""

import base64
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.image import imsave
from numpy.typing import NDArray

from surveyfit.report.draw_source import DIVERGING, MAP, NOTHING, level, stretches
from surveyfit.report.page_sources import Rows, Sources
from surveyfit.report.read_source import read_sources
from surveyfit.report.source_view import SourceView
from surveyfit.run.directory import RunDirectory
from surveyfit.schema import FLAG_WORDS, GOOD, Flag

SHOWN = 4
"""Sources of a kind."""

SHOWN_FLAGGED = 6
"""Flags of which a source is shown, the commonest of those that spoil a row."""

PANELS = 3
"""Data, model and residual."""

GAP = 1
"""Pixels between the panels."""


@dataclass(frozen=True)
class Thumbnail:
    """One source of the gallery.

    Attributes
    ----------
    picture : str
        Data URL of a PNG of ``width`` by ``side`` pixels: data, model and residual side by side.
    ellipses : list of (float, float, float, float, float)
        The fitted ellipse in each panel: centre, half axes, and angle clockwise in degrees, in
        pixels of the picture from its upper left corner; empty where the fit failed.
    flags : list of Flag
        Those first that spoil the row.
    """

    source_id: int
    name: str
    image: str
    snr: float
    gof: float
    picture: str
    side: int
    width: int
    ellipses: list[tuple[float, float, float, float, float]]
    flags: list[Flag]


@dataclass(frozen=True)
class Group:
    """Sources of a kind, and what kind that is."""

    title: str
    words: str
    sources: list[Thumbnail]


def make_gallery(directory: RunDirectory, sources: Sources) -> list[Group]:
    """Choose sources and draw them; groups without a source are left out.

    Raises
    ------
    InputError
        If a cutout is gone or damaged.
    """
    chosen = {
        ("Typical", "good, of middling signal to noise"): _typical(sources),
        ("Brightest", "good, of the highest signal to noise"): _spread(sources.brightest),
        ("Worst of the good", "residuals largest against the noise (gof)"): _spread(sources.worst),
        ("Flagged", "one for each of the commonest flags that spoil a row"): _flagged(sources),
    }
    wanted = [i for ids in chosen.values() for i in ids]
    views = {view.row["source_id"]: view for view in read_sources(directory, wanted)}
    return [
        Group(title, words, [_thumbnail(views[i]) for i in ids])
        for (title, words), ids in chosen.items()
        if ids
    ]


def _typical(sources: Sources) -> list[int]:
    """Return good sources around the median signal to noise."""
    good = np.flatnonzero(sources.good & np.isfinite(sources.rows["snr"]))
    if not len(good):
        return []
    snr = sources.rows["snr"][good]
    nearest = np.argsort(np.abs(np.log(np.maximum(snr, 1)) - np.log(max(np.median(snr), 1))))
    middling = np.sort(good[nearest[: max(SHOWN, len(good) // 5)]])
    return _spread({name: values[middling] for name, values in sources.rows.items()})


def _spread(rows: Rows) -> list[int]:
    """Return the first rows, no more of one image than needed."""
    images = Counter(rows["image"].tolist())
    most = -(-SHOWN // max(len(images), 1))
    taken: Counter[float] = Counter()
    chosen = []
    for index, image in enumerate(rows["image"].tolist()):
        if taken[image] < most:
            taken[image] += 1
            chosen.append(index)
    return _ids(rows, chosen[:SHOWN])


def _flagged(sources: Sources) -> list[int]:
    """Return a source for each of the commonest flags that spoil a row."""
    flags = sources.rows["flags"].astype(np.int64)
    spoiling = [flag for flag in FLAG_WORDS if flag & GOOD and sources.flags[flag]]
    spoiling.sort(key=lambda flag: -sources.flags[flag])
    chosen: list[int] = []
    for flag in spoiling:
        having = _ids(sources.rows, np.flatnonzero(flags & flag))
        chosen += [i for i in having if i not in chosen][:1]
    return chosen[:SHOWN_FLAGGED]


def _ids(rows: Rows, which: Sequence[int] | NDArray[np.intp]) -> list[int]:
    return [int(rows["source_id"][i]) for i in which]


def _thumbnail(view: SourceView) -> Thumbnail:
    row = view.row
    return Thumbnail(
        source_id=int(row["source_id"]),
        name=str(row["name"]),
        image=str(row["image"]),
        snr=float(row["snr"]),
        gof=float(row["gof"]),
        picture=_picture(view),
        side=view.side,
        width=PANELS * view.side + (PANELS - 1) * GAP,
        ellipses=list(_ellipses(view)),
        flags=_raised(int(row["flags"])),
    )


def _raised(flags: int) -> list[Flag]:
    raised = [flag for flag in FLAG_WORDS if flag & flags]
    return sorted(raised, key=lambda flag: not flag & GOOD)


def _picture(view: SourceView) -> str:
    above, around = (stretch.norm for stretch in stretches(view))
    residual = np.where(view.mask, np.nan, view.residual)
    panels = [
        _coloured(view.data - level(view), MAP, above),
        _coloured(view.model - level(view), MAP, above),
        _coloured(residual, DIVERGING, around),
    ]
    gap = np.zeros((view.side, GAP, 4), np.uint8)
    strip = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    file = io.BytesIO()
    imsave(file, strip[::-1], format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _coloured(values: NDArray[np.floating[Any]], name: str, norm: Normalize) -> NDArray[np.uint8]:
    colours = colormaps[name].with_extremes(bad=NOTHING)
    return colours(norm(np.ma.masked_invalid(values)), bytes=True)


def _ellipses(view: SourceView) -> Iterator[tuple[float, float, float, float, float]]:
    x, y, major, minor, angle = (view.row[k] for k in ("x", "y", "maj_pix", "min_pix", "pa_pix"))
    if not np.isfinite([x, y, major, minor]).all():
        return
    column, row = x - view.corner[0] + 0.5, view.side - (y - view.corner[1] + 0.5)
    for panel in range(PANELS):
        left = panel * (view.side + GAP)
        yield left + column, row, major / 2, minor / 2, -float(np.nan_to_num(angle))
