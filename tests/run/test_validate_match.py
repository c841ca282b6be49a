"""Which measured source is which artificial one."""

import numpy as np
import pytest
from astropy.table import Table

from surveyfit.run.validation.images import Rows
from surveyfit.run.validation.match import CATALOGUE_COLUMNS, QUANTITIES, match
from surveyfit.schema import Flag

IMAGE = ("digest", 0, "")


def artificial(x: list[float], y: list[float], *, xx: float = 4.0, yy: float = 4.0) -> Table:
    """Return sources of peak 100, S/N 50."""
    n = len(x)
    table = {"x": np.array(x), "y": np.array(y), "amp": np.full(n, 100.0), "snr": np.full(n, 50.0)}
    table |= {"cxx": np.full(n, xx), "cxy": np.zeros(n), "cyy": np.full(n, yy)}
    table |= {"gain": np.full(n, np.nan), "local_rms": np.ones(n), "beam_pixels": np.ones(n)}
    digest, hdu, plane = IMAGE
    table |= {"digest": np.full(n, digest), "hdu": np.full(n, hdu, np.int32)}
    table |= {"plane": np.full(n, plane), "path": np.full(n, "a.fits")}
    table |= {"number": np.arange(n, dtype=np.int32), "noise_seed": np.zeros(n, np.int64)}
    return Table(table | {"point_like": np.ones(n, np.int32)})


def measured(x: list[float], y: list[float], ids: list[int], **columns: list[float]) -> Rows:
    """Return catalogue rows with errors of 0.1."""
    n = len(x)
    rows: Rows = {name: np.full(n, 0.1) for name in CATALOGUE_COLUMNS}
    rows |= {"x": np.array(x), "y": np.array(y), "source_id": np.array(ids, np.int64)}
    rows["flags"] = np.zeros(n, np.int32)
    return rows | {name: np.array(values) for name, values in columns.items()}


def test_each_outcome() -> None:
    bad = int(Flag.SATURATED)
    before = measured([80.0, 10.0], [20.0, 90.0], [1, 2])
    after = measured(
        [20.1, 40.0, 81.0, 80.0, 50.0, np.nan],
        [20.2, 20.0, 20.0, 20.0, 70.0, 60.0],
        [11, 12, 13, 1, 15, 16],
        flags=[0, bad, 0, 0, 0, 0],
    )
    injected = artificial([20.0, 40.0, 60.0, 81.0], [20.0] * 4)
    table, spurious, lost = match(injected, {IMAGE: before}, {IMAGE: after})
    assert list(table["outcome"]) == ["good", "not good", "missed", "ambiguous"]
    assert list(table["source_id"]) == [11, 12, 0, 13]
    assert spurious == 1  # at (50, 70)
    assert lost == 1  # at (10, 90)
    np.testing.assert_allclose(table["pull_x"], [1, np.nan, np.nan, np.nan], atol=1e-9)
    np.testing.assert_allclose(table["pull_y"], [2, np.nan, np.nan, np.nan], atol=1e-9)


def test_truth_follows_from_the_covariance_matrix() -> None:
    nothing = {IMAGE: measured([], [], [])}
    (row,) = match(artificial([5.0], [6.0], xx=9.0, yy=1.0), nothing, nothing).table
    assert row["true_flux_int"] == pytest.approx(2 * np.pi * 100 * 3)
    # x'C^-1 x = x^2 / 9 + y^2 = (r^2 + diff (x^2 - y^2)) / sigma^2: 1 / sigma^2 = (1/9 + 1) / 2.
    assert row["true_fit_sigma"] == pytest.approx(1.8**0.5)
    axes = row["true_maj_pix"], row["true_min_pix"]
    assert axes == pytest.approx((3 * 2.35482, 2.35482), rel=1e-5)
    assert row["outcome"] == "missed"


def test_axes_of_round_sources_are_not_compared() -> None:
    injected = artificial([20.0], [20.0])
    after = {IMAGE: measured([20.0], [20.0], [1])}
    (row,) = match(injected, {IMAGE: measured([], [], [])}, after).table
    compared = {name for name in QUANTITIES if np.isfinite(row[f"pull_{name}"])}
    assert compared == set(QUANTITIES) - {"maj_pix", "min_pix"}


def test_sources_in_an_image_that_failed_are_left_out() -> None:
    nothing = measured([], [], [])
    injected = artificial([20.0, 40.0], [20.0, 20.0])
    injected["hdu"] = [0, 1]
    failed = ("digest", 1, "")
    table, *_ = match(injected, {IMAGE: nothing, failed: nothing}, {IMAGE: nothing})
    assert list(table["hdu"]) == [0]
