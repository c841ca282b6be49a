"""Exported catalogues, read back by the programs that astronomers use."""

import csv
import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits, votable
from astropy.table import Table
from catalog_rows import MISSING_ROW, assert_same_values, random_rows

from surveyfit.errors import InputError
from surveyfit.schema import COLUMNS
from surveyfit.sky.described import described
from surveyfit.sky.export import WRITERS, export

needs_stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")


@pytest.fixture
def rows():
    return random_rows(20)


@pytest.fixture
def table(rows):
    return described(COLUMNS, rows, "Jy/beam")


def stilts(*arguments):
    """Run STILTS and return its standard output; its exit status must be 0."""
    command = ["stilts", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_fits_keeps_values_units_words_and_ucds(tmp_path, table, rows):
    path = tmp_path / "out.fits"
    export(table, path)
    back = Table.read(path)
    assert_same_values(back, rows | {"image": np.full(20, "field \\xe9.fits")})
    assert back["flux_peak"].unit == "Jy/beam"
    header = fits.getheader(path, "CATALOG")
    number = table.colnames.index("ra") + 1
    assert header[f"TUNIT{number}"] == "deg"
    assert header[f"TUCD{number}"] == "pos.eq.ra;meta.main"
    assert header[f"TCOMM{number}"] == "right ascension, ICRS"


@pytest.mark.parametrize("name", ["out.vot", "out.vot.xml"])
def test_votable_keeps_values_units_words_and_ucds(tmp_path, table, rows, name):
    export(table, tmp_path / name)
    back = Table.read(tmp_path / name)
    assert_same_values(back, rows)
    assert back["flux_int"].unit == "Jy"
    assert back["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
    assert "ICRS" in back["ra"].description


def test_votable_positions_refer_to_icrs(tmp_path, table):
    export(table, tmp_path / "out.vot")
    parsed = votable.parse(tmp_path / "out.vot")
    (frame,) = parsed.iter_coosys()
    assert frame.system == "ICRS"
    assert [f.name for f in parsed.get_first_table().fields if f.ref == frame.ID] == ["ra", "dec"]


def test_ecsv_keeps_values_units_words_and_ucds(tmp_path, table, rows):
    export(table, tmp_path / "out.ecsv")
    back = Table.read(tmp_path / "out.ecsv")
    assert_same_values(back, rows)
    assert back["flux_int"].unit == "Jy"
    assert back["ra"].meta["ucd"] == "pos.eq.ra;meta.main"


def test_parquet_keeps_values_units_words_and_ucds(tmp_path, table, rows):
    export(table, tmp_path / "out.parquet")
    back = Table.read(tmp_path / "out.parquet")
    assert_same_values(back, rows)
    assert back["flux_int"].unit == "Jy"
    assert back["ra"].meta["ucd"] == "pos.eq.ra;meta.main"


def test_csv_is_flat_and_keeps_every_digit(tmp_path, table, rows):
    export(table, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["ra"]) for line in lines[:2]] == rows["ra"][:2].tolist()
    assert [int(line["source_id"]) for line in lines] == rows["source_id"].tolist()
    assert float(lines[5]["fit_cov_27"]) == rows["fit_cov"][5, 27]
    assert lines[MISSING_ROW]["mag"] == "NaN"
    assert lines[0]["image"] == "field é.fits"


# electron, DN: no standard has them
@pytest.mark.filterwarnings("ignore:.* did not parse as fits unit")
@pytest.mark.parametrize("unit", ["electron", "DN", "adu", "MJy/sr", ""])
@pytest.mark.parametrize("extension", sorted(set(WRITERS) - {".csv", ".reg", ".fits"}))
def test_any_image_unit_survives(tmp_path, unit, extension):
    path = tmp_path / f"out{extension}"
    export(described(COLUMNS, random_rows(2, unit), unit), path)
    column = Table.read(path)["flux_peak"]
    assert ("" if column.unit is None else column.unit.to_string().replace(" ", "")) == unit


@pytest.mark.parametrize("unit", ["adu", "Jy/beam", ""])
def test_fits_holds_the_units_of_its_standard(tmp_path, unit):
    export(described(COLUMNS, random_rows(2, unit), unit), tmp_path / "out.fits")
    column = Table.read(tmp_path / "out.fits")["flux_peak"]
    assert ("" if column.unit is None else column.unit.to_string().replace(" ", "")) == unit


@pytest.mark.parametrize("unit", ["electron", "DN"])
def test_fits_names_other_units_in_words_and_is_read_without_a_warning(tmp_path, unit):
    export(described(COLUMNS, random_rows(2, unit), unit), tmp_path / "out.fits")
    assert Table.read(tmp_path / "out.fits")["flux_peak"].unit is None
    header = fits.getheader(tmp_path / "out.fits", 1)
    assert f"[{unit}]" in " ".join(str(card) for card in header["TCOMM*"].values())


@pytest.mark.parametrize("extension", sorted(WRITERS))
def test_an_empty_catalogue_can_be_written(tmp_path, extension):
    path = tmp_path / f"out{extension}"
    export(described(COLUMNS, {}, ""), path)
    if extension == ".reg":
        assert "ellipse" not in path.read_text()
    elif extension == ".ecsv":  # astropy cannot read vector columns without rows from ECSV
        assert "fit_cov_crb" in path.read_text()
    else:
        assert len(Table.read(path)) == 0


def test_an_old_file_is_replaced(tmp_path, table):
    export(table, tmp_path / "out.fits")
    export(table[:3], tmp_path / "out.fits")
    assert len(Table.read(tmp_path / "out.fits")) == 3


def test_a_failed_export_leaves_the_old_file_and_nothing_else(tmp_path, table):
    path = tmp_path / "out.fits"
    path.write_text("old")
    table["name"] = [object()] * len(table)  # FITS has no such type
    with pytest.raises(TypeError):
        export(table, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_names_are_errors_that_say_what_to_do(tmp_path, table):
    with pytest.raises(InputError, match=r"'.xlsx': use one of .*\.fits .*\.reg"):
        export(table, tmp_path / "out.xlsx")
    with pytest.raises(InputError, match="nowhere is not a folder"):
        export(table, tmp_path / "nowhere" / "out.fits")


@needs_stilts
@pytest.mark.parametrize("unit", ["Jy/beam", "electron", "m", ""])
def test_votlint_finds_nothing(tmp_path, unit):
    rows = random_rows(20, unit) | {"name": np.full(20, "")}
    export(described(COLUMNS, rows, unit), tmp_path / "out.vot")
    assert stilts("votlint", tmp_path / "out.vot") == ""
    back = Table.read(tmp_path / "out.vot")
    assert (set(back["name"]), set(back["flux_unit"])) == ({""}, {unit})


@needs_stilts
def test_votlint_would_find_a_mistake(tmp_path, table):
    export(table, tmp_path / "out.vot")
    content = (tmp_path / "out.vot").read_bytes()
    (tmp_path / "bad.vot").write_bytes(content.replace(b'ref="icrs"', b'ref="fk5"'))
    assert "fk5" in stilts("votlint", tmp_path / "bad.vot")


@needs_stilts
@pytest.mark.parametrize("extension", [".fits", ".vot"])
def test_topcat_sees_rows_units_ucds_words_and_vectors(tmp_path, table, extension):
    path = tmp_path / f"out{extension}"
    export(table, path)
    columns = csv.DictReader(stilts("tpipe", path, "cmd=meta", "ofmt=csv").splitlines())
    by_name = {column["Name"]: column for column in columns}
    assert list(by_name) == table.colnames
    assert by_name["ra"]["Units"] == "deg"
    assert by_name["ra"]["UCD"] == "pos.eq.ra;meta.main"
    assert by_name["ra"]["Description"] == "right ascension, ICRS"
    assert by_name["fit_cov"]["Shape"] == "(28)"
    values = stilts("tpipe", path, "cmd=keepcols source_id", "ofmt=csv").split()[1:]
    assert [int(value) for value in values] == table["source_id"].tolist()
