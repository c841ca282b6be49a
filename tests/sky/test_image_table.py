"""The table of images."""

from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.io.votable import parse
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

from surveyfit.sky.image_table import IMAGE_COLUMNS, write_images

ROW = {
    "image": "a.fits",
    "path": "/data/a.fits",
    "hdu": 0,
    "extname": "",
    "digest": "0" * 64,
    "ny": 20,
    "nx": 30,
    "corners": (1.0, 2.0, 0.9, 2.0, 0.9, 2.1, 1.0, 2.1),
    "telescope": "",
    "instrument": "",
    "object": "M 67",
    "unit": "Jy/beam",
    "beam_maj": 6.5,
    "gain": None,
    "filter": "",
    "noise": 1e-4,
    "band": "",
    "n_tiles": 1,
    "n_sources": 7,
    "n_good": 6,
    "n_primary": 7,
}


def test_a_row_an_image_with_units_and_nan_for_what_is_unknown(tmp_path):
    path = tmp_path / "images.parquet"
    write_images(path, [ROW, ROW | {"image": "b.fits", "gain": 1.5}])
    table = Table.read(path)
    assert list(table["image"]) == ["a.fits", "b.fits"]
    np.testing.assert_array_equal(table["gain"], [np.nan, 1.5])
    assert np.isnan(table["frequency"]).all()
    assert table["beam_maj"].unit == "arcsec"
    assert pd.read_parquet(path)["nx"].tolist() == [30, 30]
    np.testing.assert_array_equal(table["corners"], [ROW["corners"]] * 2)


def test_an_image_without_sky_positions_has_no_corners(tmp_path):
    write_images(tmp_path / "images.parquet", [ROW | {"corners": None}])
    assert np.isnan(Table.read(tmp_path / "images.parquet")["corners"]).all()


def test_every_column_has_a_valid_unit_and_ucd():
    for column in IMAGE_COLUMNS:
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), column.name
        u.Unit(column.unit, format="vounit")


def test_no_images_are_an_empty_table(tmp_path):
    write_images(tmp_path / "images.parquet", [])
    assert len(Table.read(tmp_path / "images.parquet")) == 0


def test_names_that_are_unknown_or_absent_are_errors(tmp_path):
    with pytest.raises(KeyError, match="nosie"):
        write_images(tmp_path / "images.parquet", [ROW | {"nosie": 1.0}])
    with pytest.raises(KeyError, match="n_sources"):
        write_images(tmp_path / "images.parquet", [{k: ROW[k] for k in ROW if k != "n_sources"}])
    assert not list(tmp_path.iterdir())


def test_epochs_refer_to_utc_and_days_of_mjd(tmp_path):
    write_images(tmp_path / "images.parquet", [ROW | {"epoch_mjd": 57388.25}])
    footer = pq.ParquetFile(tmp_path / "images.parquet").metadata.metadata
    votable = parse(BytesIO(footer[b"IVOA.VOTable-Parquet.content"]), verify="exception")
    (scale,) = votable.iter_timesys()
    assert (scale.timescale, scale.timeorigin) == ("UTC", "MJD-origin")
    fields = votable.get_first_table().fields
    assert [field.name for field in fields if field.ref == scale.ID] == [
        "epoch_mjd",
        "epoch_mid_mjd",
    ]
