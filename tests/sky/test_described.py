"""Units, UCDs and shapes of described columns."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io.votable.ucd import check_ucd
from catalog_rows import random_rows

from surveyfit.schema import COLUMNS, FLUX_UNIT, IMAGE_UNIT
from surveyfit.sky.described import described, flux_unit
from surveyfit.sky.image_table import IMAGE_COLUMNS


@pytest.mark.parametrize("column", [*COLUMNS, *IMAGE_COLUMNS], ids=lambda column: column.name)
def test_every_ucd_is_in_the_controlled_vocabulary(column):
    assert check_ucd(column.ucd, check_controlled_vocabulary=True)


@pytest.mark.parametrize(
    "unit", sorted({c.unit for c in [*COLUMNS, *IMAGE_COLUMNS]} - {"", IMAGE_UNIT, FLUX_UNIT})
)
def test_every_unit_is_a_vounit(unit):
    assert u.Unit(unit, format="vounit", parse_strict="raise").to_string("vounit")


@pytest.mark.parametrize(
    ("image_unit", "expected"),
    [("Jy/beam", "Jy"), ("mJy/beam", "mJy"), ("electron", "electron"), ("", "")],
)
def test_an_integral_over_the_beam_has_no_beam_in_its_unit(image_unit, expected):
    assert flux_unit(image_unit) == expected


def test_units_follow_the_image():
    table = described(COLUMNS, random_rows(3), "Jy/beam")
    assert table["flux_peak"].unit == "Jy/beam"
    assert table["flux_int_err"].unit == "Jy"
    assert table["ra_err"].unit == "arcsec"
    assert table["snr"].unit is None


def test_rows_of_different_images_say_where_their_unit_stands():
    table = described(COLUMNS, random_rows(3), None)
    assert table["flux_peak"].unit is None
    assert "see flux_unit" in table["flux_peak"].description


def test_a_float_column_without_values_is_nan():
    rows = random_rows(3)
    del rows["mag"], rows["fit_cov"]
    table = described(COLUMNS, rows, "")
    assert np.isnan(table["mag"]).all()
    assert table["fit_cov"].shape == (3, 28)


@pytest.mark.parametrize("name", ["flags", "image"])
def test_a_missing_integer_or_text_column_is_an_error(name):
    rows = random_rows(3)
    del rows[name]
    with pytest.raises(KeyError, match=name):
        described(COLUMNS, rows, "")


def test_a_column_that_does_not_exist_is_an_error():
    with pytest.raises(KeyError, match="flux_typo"):
        described(COLUMNS, random_rows(3) | {"flux_typo": np.zeros(3)}, "")


def test_floats_are_not_cut_to_integers():
    with pytest.raises(TypeError, match="same_kind"):
        described(COLUMNS, random_rows(3) | {"flags": np.array([0.5, 1.0, np.nan])}, "")


def test_columns_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match="length"):
        described(COLUMNS, random_rows(3) | {"ra": np.zeros(4)}, "")
