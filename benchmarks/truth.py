"""Compare a run of a simulated image with its truth table.

Usage: python benchmarks/truth.py RUN IMAGE TRUTH MASK
IMAGE is the image's name in the catalogue (sim1024.fits), TRUTH a CSV with x, y (zero-based),
flux, peak_snr and nearest_pix, MASK a FITS image that is not zero where a pixel is spoilt.

Counted are true sources of peak S/N >= 10 without a neighbour within 12 pixels whose central
pixel is not masked. Found means a good row within a pixel.
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.spatial import KDTree

from surveyfit import open_run
from surveyfit.schema import GOOD

MIN_SNR = 10
ISOLATED = 12
MATCH = 1.0
WRONG = 0.5
"""A flux that is off by more than this share is wrong."""

PULL_COLUMNS = {"x": "x", "y": "y", "flux_int": "flux"}
"""Columns of the catalogue and what they are called in the truth."""


def expected_sources(truth: Table, mask: Path) -> Table:
    """Return the true sources that a good catalogue must hold."""
    spoilt = fits.getdata(mask) != 0
    x, y = (
        np.clip(np.rint(truth[name]).astype(int), 0, size - 1)
        for name, size in (("x", spoilt.shape[1]), ("y", spoilt.shape[0]))
    )
    wanted = (truth["peak_snr"] >= MIN_SNR) & (truth["nearest_pix"] >= ISOLATED)
    return truth[wanted & ~spoilt[y, x]]


def main(run: str, image: str, truth: str, mask: str) -> None:
    """Print what was found, how far off it is, and the spread of the pulls."""
    catalogue = open_run(run).catalog
    rows = catalogue[(catalogue["image"] == image) & np.isfinite(catalogue["x"])]
    expected = expected_sources(Table.read(truth), Path(mask))
    tree = KDTree(np.column_stack([rows["x"], rows["y"]]))
    distance, at = tree.query(np.column_stack([expected["x"], expected["y"]]))
    matched = rows[at]
    near = distance <= MATCH
    good = near & ((matched["flags"] & GOOD) == 0)
    error = np.asarray(matched["flux_int"]) / np.asarray(expected["flux"]) - 1
    print(f"true sources               {len(expected)}")
    print(f"within {MATCH:.0f} pixel             {near.mean():.1%}")
    print(f"within {MATCH:.0f} pixel and good    {good.mean():.1%}")
    print(f"median |flux/true - 1|     {np.median(np.abs(error[good])):.2%}")
    print(f"median flux/true - 1       {np.median(error[good]):+.2%}")
    print(f"median offset              {np.median(distance[good]):.3f} pixel")
    print(f"wrong (flux off by > {WRONG:.0%})  {np.count_nonzero(np.abs(error[good]) > WRONG)}")
    for low, high in ((MIN_SNR, 100), (100, np.inf)):
        chosen = good & (expected["peak_snr"] >= low) & (expected["peak_snr"] < high)
        for column, name in PULL_COLUMNS.items():
            pull = (matched[column] - expected[name]) / matched[f"{column}_err"]
            pull = np.asarray(pull)[np.asarray(chosen)]
            spread = 1.4826 * np.median(np.abs(pull - np.median(pull)))
            print(
                f"S/N {low:.0f} to {high:.0f}: pulls of {column}: n {len(pull)}, "
                f"mean {pull.mean():+.2f}, sd {pull.std():.2f}, robust {spread:.2f}"
            )


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
