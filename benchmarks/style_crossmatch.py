"""Feed our catalogues in the style of Aegean and PyBDSF to a script that was made for theirs.

    python benchmarks/style_crossmatch.py RUN DATA

RUN is a finished run of radio images of DATA alone, one image a run, say
`surveyfit submit DATA/scorpio_atca_extended.fits -o RUN`; DATA holds beside it what Aegean
(``*.aegean_comp.csv``) and PyBDSF (``*.pybdsf_gaul.csv``) wrote for that image.

The script is what one finds in many pipelines: it reads positions, fluxes and sizes by the names
of the columns, and matches them to another catalogue on the sky. It is run on the program's own
table and on ours in its style, each matched to the table of the *other* program. Compared are the
sources that both programs found: does each get the same partner?
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import SkyCoord

from surveyfit import open_run
from surveyfit.run.styled import export_styled


class Found(NamedTuple):
    """Positions; integrated and peak flux; major axis in arcsec; (n,) each."""

    where: SkyCoord
    total: np.ndarray
    peak: np.ndarray
    major: np.ndarray


def read_aegean(path: Path) -> Found:
    """Read a component table of Aegean as its users do."""
    table = pd.read_csv(path)
    table = table[table["flags"] & 32 == 0]
    return Found(
        SkyCoord(table["ra"], table["dec"], unit="deg"),
        table["int_flux"].to_numpy(),
        table["peak_flux"].to_numpy(),
        table["a"].to_numpy(),
    )


def read_pybdsf(path: Path) -> Found:
    """Read a list of Gaussians of PyBDSF as its users do: five lines of comments, then names."""
    table = pd.read_csv(path, skiprows=5, skipinitialspace=True)
    assert table.columns[0] == "# Gaus_id"
    return Found(
        SkyCoord(table["RA"], table["DEC"], unit="deg"),
        table["Total_flux"].to_numpy(),
        table["Peak_flux"].to_numpy(),
        table["Maj"].to_numpy() * 3600,
    )


PROGRAMS: dict[str, tuple[str, Callable[[Path], Found]]] = {
    "aegean": ("aegean_comp.csv", read_aegean),
    "pybdsf": ("pybdsf_gaul.csv", read_pybdsf),
}


def crossmatch(found: Found, other: Found, radius: float) -> np.ndarray:
    """Return the index of the nearest other source (n,); -1 where none is within the radius."""
    nearest, distance, _ = found.where.match_to_catalog_sky(other.where)
    return np.where(distance < radius * u.arcsec, nearest, -1)


class Agreement(NamedTuple):
    """Of the sources that the program and we found.

    Attributes
    ----------
    both : int
        Sources of the program of which one of ours is the nearest, and the other way round.
    same : int
        Those for which the script finds the same partner, or none, in the other catalogue.
    peak, total, major : float
        Medians of ours over theirs.
    """

    both: int
    same: int
    peak: float
    total: float
    major: float


def agreement(theirs: Found, ours: Found, other: Found, radius: float) -> Agreement:
    """Run the script on both tables and compare what it finds."""
    to_ours, to_theirs = crossmatch(theirs, ours, radius), crossmatch(ours, theirs, radius)
    mutual = (to_ours >= 0) & (to_theirs[to_ours] == np.arange(len(to_ours)))
    pairs = to_ours[mutual]
    partners = crossmatch(theirs, other, radius)[mutual], crossmatch(ours, other, radius)[pairs]
    ratios = (
        float(np.median(mine[pairs] / yours[mutual]))
        for mine, yours in zip(ours[1:], theirs[1:], strict=True)
    )
    return Agreement(len(pairs), int(np.count_nonzero(partners[0] == partners[1])), *ratios)


def compare(run: Path, data: Path, style: str) -> Agreement:
    """Compare the table that a program wrote of an image with ours in its style."""
    rows = open_run(run).catalog
    stem = rows["image"][0].removesuffix(".fits")
    ending, read = PROGRAMS[style]
    ((other_ending, read_other),) = (PROGRAMS[name] for name in PROGRAMS if name != style)
    with TemporaryDirectory() as folder:
        target = Path(folder) / "styled.csv"
        export_styled(run, target, style)
        ours = read(target)
    beam = pd.read_csv(data / f"{stem}.aegean_comp.csv")["psf_a"].median()
    other = read_other(data / f"{stem}.{other_ending}")
    return agreement(read(data / f"{stem}.{ending}"), ours, other, beam / 2)


def main(run: Path, data: Path) -> None:
    """Print a line for each program."""
    for style in PROGRAMS:
        print(style, compare(run, data, style))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
