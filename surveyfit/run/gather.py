"""Cutouts of several tiles put together for one fit, side by side and bounded in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surveyfit.sky.sources import CutoutGroup, Sources

MOST_PIXELS = 8192 * 32 * 32
"""Pixels that are fitted in one go: what fills a GPU, and 32 MiB of cutouts."""


class Batch(NamedTuple):
    """Cutouts of one side.

    Attributes
    ----------
    group : CutoutGroup
    tile : array (n,) of str
        The tile that owns each of them.
    """

    group: CutoutGroup
    tile: NDArray[np.str_]


def gather(stored: Iterable[tuple[str, CutoutGroup]]) -> Iterator[Batch]:
    """Join the cutouts of one side over tiles, up to `MOST_PIXELS`; smallest side first at the end.

    Parameters
    ----------
    stored : iterable of (tile, CutoutGroup)
        Read as it is needed, so that no more than a batch of each side is held.
    """
    waiting: dict[int, list[tuple[str, CutoutGroup]]] = {}
    for tile, group in stored:
        together = waiting.setdefault(group.side, [])
        if together and sum(g.pixels.size for _, g in (*together, (tile, group))) > MOST_PIXELS:
            yield _joined(waiting.pop(group.side))
            together = waiting.setdefault(group.side, [])
        together.append((tile, group))
    for side in sorted(waiting):
        yield _joined(waiting[side])


def _joined(parts: list[tuple[str, CutoutGroup]]) -> Batch:
    groups = [group for _, group in parts]
    noise = [group.noise for group in groups if group.noise is not None]
    sources = [
        np.concatenate([getattr(group.sources, f.name) for group in groups])
        for f in fields(Sources)
    ]
    return Batch(
        CutoutGroup(
            side=groups[0].side,
            pixels=np.concatenate([group.pixels for group in groups]),
            noise=np.concatenate(noise) if noise else None,
            sources=Sources(*sources),
        ),
        np.repeat([tile for tile, _ in parts], [len(group.pixels) for group in groups]),
    )
