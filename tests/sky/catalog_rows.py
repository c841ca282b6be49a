"""Catalogue rows with seeded random values, and the one comparison of tables."""

import numpy as np

from surveyfit import schema

MISSING_ROW = 2
"""This row of random rows is a failed fit: every float in it is NaN."""


def random_rows(n, unit="Jy/beam", seed=1, image="field é.fits"):
    """Give every catalogue column n values; shapes are sizes and angles, positions are in range."""
    rng = np.random.default_rng(seed)
    rows = {}
    for column in schema.COLUMNS:
        if column.base == "str":
            rows[column.name] = np.array([f"{column.name} {i}" for i in range(n)], dtype=str)
        elif column.base == "float64":
            shape = (n, column.length) if column.length else n
            rows[column.name] = rng.uniform(1.0, 80.0, shape)
            rows[column.name][MISSING_ROW:][:1] = np.nan
        elif column.base == "bool":
            rows[column.name] = rng.random(n) < 0.5
        else:
            limits = np.iinfo(column.base)
            rows[column.name] = rng.integers(limits.min, limits.max, n, dtype=column.base)
    return rows | {"flux_unit": np.full(n, unit), "image": np.full(n, image)}


def assert_same_values(table, rows):
    """Compare every column of a table with the rows it was made from, bit by bit."""
    assert table.colnames == [column.name for column in schema.COLUMNS]
    for name, expected in rows.items():
        values = np.asarray(table[name])
        if values.dtype.kind == "S":  # astropy leaves the texts of FITS tables as bytes
            values = values.astype(str)
        np.testing.assert_array_equal(values, expected, err_msg=name)
