"""Compare a run over the development images with the catalogues of other programs.

Usage: python benchmarks/reference_catalogues.py RUN DATA
RUN is a finished run of ``surveyfit submit DATA -o RUN``; DATA the folder of images with
``*.aegean_comp.csv`` (AegeanTools) and ``*.sex.txt`` (SExtractor) beside them.

A source of the other catalogue is found if a row of ours, flagged or not, lies within MATCH
pixels; plain ones are above BRIGHT sigmas and smaller than COMPACT beams. Ratios and offsets
are medians over matched pairs that are isolated in both catalogues (no neighbour within
ISOLATED pixels), unflagged there and good here.

Seen (surveyfit 0.1.0, sep 1.4.1, default options), found, peak ratio, offset in pixels:
aegean_1904-66_nan 80 %, 1.009, 0.096; askap_vast_epoch02_4d 86 %, 1.000, 0.000;
scorpio_atca_extended 29 % (80 % of the plain ones: nebulae), 0.925, 0.048;
kids_r_compressed 99 %, offset 0.031; viking_z 93 %, 0.056; m67_dss_int16 99.5 %, 0.014.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray
from scipy.spatial import KDTree

from surveyfit.schema import GOOD

MATCH = 2.0
"""Pixels."""

ISOLATED = 10.0
"""Pixels: twice the beam or the seeing of these images, or more."""

RADIO = ("aegean_1904-66_nan", "askap_vast_epoch02_4d", "scorpio_atca_extended")
OPTICAL = ("kids_r_compressed", "viking_z", "m67_dss_int16", "m13_rice_int16", "sim1024")

SEXTRACTOR_FIRST_PIXEL = 1.0
SEXTRACTOR_THRESHOLD = 3.0
"""DETECT_THRESH of the SExtractor catalogues, noise sigmas."""

BRIGHT = 5.0
"""Noise sigmas: the threshold of ``surveyfit submit``."""

Floats = NDArray[np.float64]

COMPACT = 2.0
"""Beams: Aegean breaks nebulae into components that are larger."""


class Reference(NamedTuple):
    """Sources of another program.

    Attributes
    ----------
    xy : (n, 2) zero-based pixels
    peak : (n,) image units
    clean : (n,) bool, not flagged by that program
    plain : (n,) bool, bright enough for our threshold and no piece of something extended
    """

    xy: Floats
    peak: Floats
    clean: NDArray[np.bool_]
    plain: NDArray[np.bool_]


def read_aegean(data: Path, stem: str) -> Reference:
    """Read Aegean's components; their sky positions go back to pixels as they came."""
    table = Table.read(data / f"{stem}.aegean_comp.csv")
    with warnings.catch_warnings(action="ignore", category=FITSFixedWarning):
        wcs = WCS(fits.getheader(data / f"{stem}.fits"), naxis=2)
    xy = np.column_stack(wcs.wcs_world2pix(table["ra"], table["dec"], 0))
    peak = np.array(table["peak_flux"])
    plain = (peak > BRIGHT * table["local_rms"]) & (table["a"] < COMPACT * table["psf_a"])
    return Reference(xy, peak, np.array(table["flags"] == 0), np.array(plain))


def read_sextractor(data: Path, stem: str) -> Reference:
    """Read SExtractor's objects, positions from its Gaussian window."""
    table = Table.read(data / f"{stem}.sex.txt", format="ascii.sextractor")
    xy = np.column_stack([table["XWIN_IMAGE"], table["YWIN_IMAGE"]]) - SEXTRACTOR_FIRST_PIXEL
    peak = np.array(table["FLUX_MAX"])
    noise = table["THRESHOLD"] / SEXTRACTOR_THRESHOLD
    return Reference(xy, peak, np.array(table["FLAGS"] == 0), np.array(peak > BRIGHT * noise))


def compare(rows: Table, reference: Reference) -> tuple[str, ...]:
    """Return the numbers of one line: counts, shares found, pairs, peak ratio, offsets."""
    rows = rows[np.isfinite(rows["x"]) & np.isfinite(rows["y"])]
    xy = np.column_stack([rows["x"], rows["y"]])
    distance, partner = KDTree(xy).query(reference.xy)
    found = distance < MATCH
    pairs = found & reference.clean & isolated(reference.xy)
    pairs &= (isolated(xy) & (np.array(rows["flags"]) & GOOD == 0))[partner]
    dx, dy = (xy[partner] - reference.xy)[pairs].T
    ratio = np.array(rows["flux_peak"])[partner][pairs] / reference.peak[pairs]
    return (
        str(len(rows)),
        str(reference.clean.sum()),
        share(found[reference.clean]),
        share(found[reference.clean & reference.plain]),
        str(pairs.sum()),
        median(ratio, "{:.3f}"),
        median(dx, "{:+.3f}"),
        median(dy, "{:+.3f}"),
        median(np.hypot(dx, dy), "{:.3f}"),
    )


DEGREE = 3600.0
"""Arcsec."""

AEGEAN_ERRORS = {
    "flux_peak_err": ("err_peak_flux", 1.0),
    "flux_int_err": ("err_int_flux", 1.0),
    "ra_err": ("err_ra", DEGREE),
    "dec_err": ("err_dec", DEGREE),
    "maj_axis_err": ("err_a", 1.0),
}
"""Our column, Aegean's, and what brings that to our unit; Aegean writes -1 where it has none.
Its err_ra comes
out smaller than ours by cos(dec) for a round beam, as if that had been applied twice."""


def compare_errors(rows: Table, data: Path, stem: str) -> tuple[str, ...]:
    """Return medians over isolated pairs: the noise factor, and our errors over Aegean's."""
    rows = rows[np.isfinite(rows["x"]) & np.isfinite(rows["y"])]
    table, reference = Table.read(data / f"{stem}.aegean_comp.csv"), read_aegean(data, stem)
    xy = np.column_stack([rows["x"], rows["y"]])
    distance, partner = KDTree(xy).query(reference.xy)
    pairs = (distance < MATCH) & reference.clean & isolated(reference.xy)
    pairs &= (isolated(xy) & (np.array(rows["flags"]) & GOOD == 0))[partner]
    ours, theirs = rows[partner[pairs]], table[pairs]
    cells = [str(pairs.sum()), median(np.array(ours["corr_noise_factor"]), "{:.2f}")]
    for mine, (other, factor) in AEGEAN_ERRORS.items():
        known = np.array(theirs[other]) > 0
        ratio = np.array(ours[mine])[known] / (np.array(theirs[other])[known] * factor)
        cells.append(median(ratio, "{:.2f}"))
    return tuple(cells)


def isolated(xy: Floats) -> NDArray[np.bool_]:
    """Tell which sources (n, 2) have no neighbour within ISOLATED pixels."""
    return KDTree(xy).query(xy, k=[2])[0][:, 0] > ISOLATED


def share(found: NDArray[np.bool_]) -> str:
    """Return the percentage that was found."""
    return f"{100 * found.mean():.1f} %" if found.size else "-"


def median(values: Floats, form: str) -> str:
    """Return the median as text; a dash where there is nothing."""
    return form.format(np.median(values)) if values.size else "-"


HEADER = (
    "image",
    "rows",
    "reference",
    "found",
    "found of plain",
    "pairs",
    "peak ratio",
    "dx",
    "dy",
    "offset",
)


def main(run: Path, data: Path) -> None:
    """Print the tables as Markdown."""
    catalogue = Table.read(run / "catalog.fits", mask_invalid=False)
    images = np.array(catalogue["image"]).astype(str)
    readers: dict[str, tuple[Callable[[Path, str], Reference], Any]] = {
        "Aegean": (read_aegean, RADIO),
        "SExtractor (its FLUX_MAX is a pixel, not a fit)": (read_sextractor, OPTICAL),
    }
    for name, (read, stems) in readers.items():
        print(f"\n{name}; offsets in pixels\n")
        print_row(HEADER)
        print_row(("---",) * len(HEADER))
        for stem in stems:
            rows = catalogue[images == f"{stem}.fits"]
            print_row((stem, *compare(rows, read(data, stem))))
    print("\nOur errors over Aegean's\n")
    header = ("image", "pairs", "corr_noise_factor", *AEGEAN_ERRORS)
    print_row(header)
    print_row(("---",) * len(header))
    for stem in RADIO:
        rows = catalogue[images == f"{stem}.fits"]
        print_row((stem, *compare_errors(rows, data, stem)))


def print_row(cells: tuple[str, ...]) -> None:
    """Print one row of a Markdown table."""
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
