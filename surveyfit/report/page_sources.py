"""The sources of a run as a report page needs them: all of them counted, a fair share drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveyfit.report.page_run import ImageLine
from surveyfit.run.directory import RunDirectory
from surveyfit.schema import GOOD, Flag
from surveyfit.sky.parts import read_columns

DRAWN = 100_000
"""Sources in the pictures, at most: more would make no other picture."""

EXTREME = 64
"""Brightest, and worst, of the good sources that are kept by their identifiers."""

COLUMNS = (
    "source_id", "ra", "dec", "x", "y", "x_err", "y_err", "maj_pix", "min_pix", "flags",
    "flux_int", "flux_int_err", "snr", "mag", "gof",
)  # fmt: skip

Rows = dict[str, NDArray[Any]]
"""Columns by name, ``(n,)`` each, and ``image``: the row's image by its number in the run."""


@dataclass(frozen=True)
class Sources:
    """The sources of a run.

    Attributes
    ----------
    rows : dict
        `COLUMNS` and ``image`` of at most `DRAWN` sources, a fair share of all.
    flags : dict of Flag to int
        How many of all sources have it.
    brightest, worst : dict
        As ``rows``, of good sources only: those of largest ``snr`` and of largest ``gof``,
        the largest first.
    """

    rows: Rows
    flags: dict[Flag, int]
    brightest: Rows
    worst: Rows

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which of ``rows`` are good."""
        return is_good(self.rows)


def is_good(rows: Rows) -> NDArray[np.bool_]:
    """Tell which rows may be taken without reading further."""
    return (rows["flags"].astype(np.int64) & GOOD) == 0


def read_sources(directory: RunDirectory, images: Sequence[ImageLine]) -> Sources:
    """Read the catalogue part by part; no more than `DRAWN` and a part's rows are held.

    The identifiers are hashes: those with the smallest are a fair share of all, and the same
    share in whatever order the parts come.

    Raises
    ------
    InputError
        A part that is missing or damaged.
    """
    rows = _empty()
    brightest, worst = _empty(), _empty()
    counts = dict.fromkeys(Flag, 0)
    waiting = [rows]
    for number, image in enumerate(images):
        for name in image.parts:
            part = _read(directory, name, number)
            for flag in Flag:
                counts[flag] += int(np.count_nonzero(part["flags"].astype(np.int64) & flag))
            good = _take(part, is_good(part))
            brightest = _largest("snr", [brightest, good])
            worst = _largest("gof", [worst, good])
            waiting.append(part)
            if sum(len(p["flags"]) for p in waiting) > 2 * DRAWN:
                waiting = [_share(waiting)]
    return Sources(_share(waiting), counts, brightest, worst)


def _empty() -> Rows:
    return {name: np.zeros(0) for name in (*COLUMNS, "image")}


def _read(directory: RunDirectory, name: str, image: int) -> Rows:
    table = read_columns(directory.catalog / name, COLUMNS)
    rows: Rows = {name: table[name].to_numpy() for name in COLUMNS}
    return rows | {"image": np.full(len(table), image)}


def _joined(parts: Sequence[Rows]) -> Rows:
    filled = [part for part in parts if len(part["flags"])] or parts[:1]
    return {name: np.concatenate([part[name] for part in filled]) for name in parts[0]}


def _take(rows: Rows, which: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
    return {name: values[which] for name, values in rows.items()}


def _share(parts: Sequence[Rows]) -> Rows:
    rows = _joined(parts)
    return _take(rows, np.argsort(rows["source_id"], kind="stable")[:DRAWN])


def _largest(column: str, parts: Sequence[Rows]) -> Rows:
    rows = _joined(parts)
    finite = _take(rows, np.isfinite(rows[column]))
    order = np.lexsort((finite["source_id"], -finite[column]))
    return _take(finite, order[:EXTREME])
