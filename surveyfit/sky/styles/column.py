"""What a catalogue in another program's style is made of: columns, flags, and how to write it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from surveyfit.schema import GOOD, Flag
from surveyfit.sky.header import Beam

ARCSEC_PER_DEGREE = 3600.0
HALF_TURN = 180.0

Sources = Mapping[str, NDArray[Any]]
"""Columns of our catalogue, and beside them ``psf_maj``, ``psf_min``, ``psf_pa`` (the beam of the
image: arcsec, arcsec, degrees), ``island`` and ``component`` (small numbers, from 0)."""


class Observed(NamedTuple):
    """What a style needs to know of an image: its beam, and its frequency in Hz."""

    beam: Beam | None
    frequency: float | None


class StyleColumn(NamedTuple):
    """A column as another program has it.

    Attributes
    ----------
    name : str
    unit : str
        As astropy reads it; `PEAK` and `FLUX` stand for the units of the rows.
    meaning : str
        What it is there, and how it is made here where that is not the same.
    values : callable
        From our columns (n,) to theirs (n,).
    """

    name: str
    unit: str
    meaning: str
    values: Callable[[Sources], NDArray[Any]]


PEAK, FLUX = "peak", "flux"
"""Stand for the unit of the image's pixels, and for that of an integrated flux."""


class Style(NamedTuple):
    """Another program's catalogue.

    Attributes
    ----------
    program : str
        Its name.
    columns : tuple of StyleColumn
        In its order.
    needs_sky : bool
        Whether a source without a place on the sky can be no row.
    only_good : bool
        Whether only good rows are taken: for a program that lists no fit that it does not trust,
        and has no column to say so.
    writers : mapping of str to callable
        By extension, where the program's own format is none of ours: called with the table, what
        is known of each of its images, and the file.
    """

    program: str
    columns: tuple[StyleColumn, ...]
    needs_sky: bool
    only_good: bool
    writers: Mapping[str, Callable[[Table, Mapping[str, Observed], Path], object]]


def column(name: str) -> Callable[[Sources], NDArray[Any]]:
    """Return what takes one of our columns as it is."""
    return lambda sources: sources[name]


def in_degrees(name: str) -> Callable[[Sources], NDArray[Any]]:
    """Return what takes one of our columns from arcsec to degrees."""
    return lambda sources: sources[name] / ARCSEC_PER_DEGREE


def about_zero(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring the angle of an axis, degrees, from [0, 180) into (-90, 90]."""
    return np.where(angle > HALF_TURN / 2, angle - HALF_TURN, angle)


def flag_bits(flags: NDArray[np.int32], bits: Mapping[Flag, int], spoilt: int) -> NDArray[np.int32]:
    """Translate flags bit by bit.

    Parameters
    ----------
    flags : array (n,)
        Ours.
    bits : mapping of Flag to int
        Theirs, where they have one that means the same.
    spoilt : int
        The bit for everything else that keeps a row from being good.
    """
    theirs = np.zeros(len(flags), np.int32)
    for flag, bit in bits.items():
        theirs |= np.where(flags & int(flag), bit, 0).astype(np.int32)
    others = GOOD & ~sum(int(flag) for flag in bits)
    return theirs | np.where(flags & others, spoilt, 0).astype(np.int32)
