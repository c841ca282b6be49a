"""What became of the artificial sources: each beside what was measured of it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import KDTree

from surveyfit.run.validation.images import Contents, Rows
from surveyfit.schema import COLUMNS, GOOD, Column
from surveyfit.sky.described import described
from surveyfit.sky.gaussian_light import FWHM_PER_SIGMA
from surveyfit.sky.injected import INJECTED_COLUMNS

QUANTITIES = ("x", "y", "flux_peak", "flux_int", "fit_sigma", "maj_pix", "min_pix")
"""What is compared with the truth, by the names in the catalogue."""

CATALOGUE_COLUMNS = (
    *("source_id", "flags", "snr"),
    *QUANTITIES,
    *(f"{name}_err" for name in QUANTITIES),
)

POSITION = ("x", "y")

MATCH_FWHMS = 0.5
LEAST_RADIUS = 2.0
"""A measured source within this share of the true FWHM, and at least so many pixels, is the one."""

NOT_MEASURED = -1
"""In place of the number of an image that failed in the validation."""

SAME = 2.0
"""Pixels by which a source of the run may have moved in its validation."""

ELONGATED = 4.0
"""The axes are compared only where they differ by so many errors of the major one. Of a source that
is nearly round, noise makes the major axis longer and the minor one shorter, whatever the errors;
its size is judged by fit_sigma."""

MISSED, AMBIGUOUS, NOT_GOOD, FOUND = "missed", "ambiguous", "not good", "good"
"""Outcomes: not detected; detected, but a source of the run itself is as near; with a flag of GOOD;
to be compared."""


def _certificate_columns() -> tuple[Column, ...]:
    """List the columns of certificate.parquet: truth, outcome, then each quantity four times."""
    known = {column.name: column for column in COLUMNS}
    drawn = [c for c in INJECTED_COLUMNS if c.name not in POSITION]
    rows = [
        *((c.name, c.dtype, c.unit, c.ucd, c.meaning) for c in drawn),
        ("outcome", "str", "", "meta.code.status", "missed, ambiguous, not good, or good"),
        ("source_id", "int64", "", "meta.id", "its row in the validation; 0 if missed"),
        ("flags", "int32", "", "meta.code.qual", "its flags; 0 if missed"),
        ("measured_snr", "float64", "", "stat.snr", "its snr"),
    ]  # fmt: skip
    for name in QUANTITIES:
        truth, error = known[name], known[f"{name}_err"]
        rows += [
            (f"true_{name}", "float64", truth.unit, truth.ucd, f"true {name}"),
            (name, "float64", truth.unit, truth.ucd, truth.meaning),
            (error.name, "float64", error.unit, error.ucd, error.meaning),
            (
                f"pull_{name}",
                "float64",
                "",
                "stat.fit.residual",
                f"({name} - true) / error, if good",
            ),
        ]
    return tuple(Column(*row, group="certificate") for row in rows)


CERTIFICATE_COLUMNS = _certificate_columns()


class Matched(NamedTuple):
    """The artificial sources of a validation, and what else it has changed.

    Attributes
    ----------
    table : Table
        `CERTIFICATE_COLUMNS`, a row an artificial source in an image that was measured.
    spurious : int
        Detections that are neither artificial nor in the run.
    lost : int
        Sources of the run that are no longer found.
    """

    table: Table
    spurious: int
    lost: int


def match(
    injected: Table, before: Mapping[Contents, Rows], after: Mapping[Contents, Rows]
) -> Matched:
    """Find the artificial sources in what was measured with them.

    Parameters
    ----------
    injected : Table
        `injected.INJECTED_COLUMNS`; those in images that are not in ``after`` are left out.
    before, after : mapping of (digest, hdu, plane) to columns
        `CATALOGUE_COLUMNS` of the run, and of its validation, by image.
    """
    where = zip(injected["digest"], injected["hdu"], injected["plane"], strict=True)
    numbers = {contents: number for number, contents in enumerate(after)}
    image = np.array([numbers.get(contents, NOT_MEASURED) for contents in where], int)
    values = _truth(injected[image != NOT_MEASURED])
    image = image[image != NOT_MEASURED]
    spurious = lost = 0
    for number, contents in enumerate(after):
        own = np.flatnonzero(image == number)
        seen, real = _with_position(after[contents]), _with_position(before[contents])
        taken = _fill_in(values, own, seen, real)
        extra = ~np.isin(seen["source_id"], taken)
        spurious += int(np.sum(extra & (_nearest(real, seen["x"], seen["y"])[0] > SAME)))
        lost += int(np.sum(_nearest(seen, real["x"], real["y"])[0] > SAME))
    return Matched(described(CERTIFICATE_COLUMNS, values, image_unit=None), spurious, lost)


def _truth(injected: Table) -> Rows:
    """Return the columns of a certificate with the truth in them, and nothing measured yet."""
    n = len(injected)
    values: Rows = {c.name: np.full(n, np.nan) for c in CERTIFICATE_COLUMNS}
    values |= {name: np.array(injected[name]) for name in injected.colnames if name not in POSITION}
    values["outcome"] = np.full(n, MISSED, f"U{len(AMBIGUOUS)}")
    values |= {"source_id": np.zeros(n, np.int64), "flags": np.zeros(n, np.int32)}
    xx, xy, yy = (np.array(injected[name]) for name in ("cxx", "cxy", "cyy"))
    determinant, mean = xx * yy - xy**2, (xx + yy) / 2
    half = np.sqrt(np.maximum(mean**2 - determinant, 0))
    truth = {
        "x": np.array(injected["x"]),
        "y": np.array(injected["y"]),
        "flux_peak": values["amp"],
        "flux_int": 2 * np.pi * values["amp"] * np.sqrt(determinant) / values["beam_pixels"],
        "fit_sigma": np.sqrt(determinant / mean),  # the inverse of C has the trace 2 / sigma^2
        "maj_pix": FWHM_PER_SIGMA * np.sqrt(mean + half),
        "min_pix": FWHM_PER_SIGMA * np.sqrt(mean - half),
    }
    return values | {f"true_{name}": truth[name] for name in QUANTITIES}


def _fill_in(values: Rows, own: NDArray[np.int_], seen: Rows, real: Rows) -> NDArray[np.int64]:
    """Write what was measured into the rows ``own`` of an image; return the identifiers taken."""
    x, y = values["true_x"][own], values["true_y"][own]
    radius = np.maximum(MATCH_FWHMS * values["true_maj_pix"][own], LEAST_RADIUS)
    distance, index = _nearest(seen, x, y)
    hit = distance <= radius
    own, index = own[hit], index[hit]
    for name in CATALOGUE_COLUMNS:
        column = "measured_snr" if name == "snr" else name
        values[column][own] = seen[name][index]
    beside = _nearest(real, x, y)[0][hit] <= radius[hit]
    bad = values["flags"][own] & GOOD != 0
    values["outcome"][own] = np.select([beside, bad], [AMBIGUOUS, NOT_GOOD], FOUND)
    _add_pulls(values, own[~beside & ~bad])
    return seen["source_id"][index]


def _add_pulls(values: Rows, good: NDArray[np.int_]) -> None:
    for name in QUANTITIES:
        off = values[name][good] - values[f"true_{name}"][good]
        values[f"pull_{name}"][good] = off / values[f"{name}_err"][good]
    difference = values["true_maj_pix"][good] - values["true_min_pix"][good]
    round_ = good[difference < ELONGATED * values["maj_pix_err"][good]]
    for name in ("maj_pix", "min_pix"):
        values[f"pull_{name}"][round_] = np.nan


def _with_position(rows: Rows) -> Rows:
    """Leave out the rows whose fit failed: they are nowhere."""
    fitted = np.isfinite(rows["x"]) & np.isfinite(rows["y"])
    return {name: column[fitted] for name, column in rows.items()}


def _nearest(
    rows: Rows, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Distance (n,) from each position to the nearest row, infinite if there is none; its index."""
    positions = np.column_stack([rows["x"], rows["y"]])
    distance, index = KDTree(positions).query(np.column_stack([x, y]))
    return distance, index
