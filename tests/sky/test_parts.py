"""Parts of the catalogue: what other programs read, and what a crash or a bad disk leaves."""

import hashlib
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse
from astropy.table import Table
from catalog_rows import assert_same_values, random_rows

from surveyfit.errors import InputError
from surveyfit.schema import COLUMNS
from surveyfit.sky.atomic import replacing
from surveyfit.sky.parts import part_form, read_parts, to_table, write_part


def test_a_part_comes_back_bit_by_bit(tmp_path):
    rows = random_rows(50)
    write_part(tmp_path / "a.parquet", rows, "Jy/beam")
    assert_same_values(to_table(read_parts([tmp_path / "a.parquet"])), rows)


def test_the_digest_is_that_of_the_file_and_the_same_for_the_same_rows(tmp_path):
    digests = [write_part(tmp_path / name, random_rows(5), "adu") for name in ("a", "b")]
    assert digests[0] == digests[1] == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()


def test_parts_are_read_in_the_order_given(tmp_path):
    paths = [tmp_path / f"{name}.parquet" for name in "cab"]
    rows = [random_rows(n, seed=n) for n in (4, 0, 3)]
    for path, part in zip(paths, rows, strict=True):
        write_part(path, part, "Jy/beam")
    expected = {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}
    assert_same_values(to_table(read_parts(paths)), expected)


def test_no_parts_are_an_empty_catalogue():
    table = to_table(read_parts([]))
    assert len(table) == 0
    assert table["ra"].unit == "deg"
    assert table["fit_cov"].shape == (0, 28)


def test_an_untyped_empty_part_has_the_types_of_all_parts(tmp_path):
    write_part(tmp_path / "empty.parquet", {}, "electron")
    write_part(tmp_path / "full.parquet", random_rows(3, "electron"), "electron")
    assert len(read_parts([tmp_path / "empty.parquet", tmp_path / "full.parquet"])) == 3


def test_one_schema_for_images_of_all_units():
    assert part_form("Jy/beam").schema.equals(part_form("electron").schema, check_metadata=False)


def test_arrow_fields_say_unit_ucd_and_meaning():
    words = part_form("Jy/beam").schema.field("flux_int").metadata
    assert words[b"unit"] == b"Jy"
    assert words[b"ucd"] == b"phot.flux.density"
    assert b"integral" in words[b"description"]


@pytest.mark.parametrize("n", [0, 4])
def test_astropy_reads_a_part_with_units(tmp_path, n):
    rows = random_rows(n)
    write_part(tmp_path / "part.parquet", rows, "Jy/beam")
    table = Table.read(tmp_path / "part.parquet")
    assert_same_values(table, rows)
    assert table["flux_peak"].unit == "Jy/beam"
    assert table["ra"].unit == "deg"
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
    assert "ICRS" in table["ra"].description


def test_pandas_reads_the_folder_and_no_half_written_file(tmp_path):
    write_part(tmp_path / "a.parquet", random_rows(4), "Jy/beam")
    write_part(tmp_path / "b.parquet", random_rows(3, "electron"), "electron")
    (tmp_path / ".c.parquet.1234.tmp").write_bytes(b"PAR1 killed here")
    frame = pd.read_parquet(tmp_path)
    assert len(frame) == 7
    assert list(frame.columns) == [column.name for column in COLUMNS]
    assert frame["flags"].dtype == np.int32


def test_the_footer_is_a_votable_without_data(tmp_path):
    write_part(tmp_path / "part.parquet", random_rows(4), "Jy/beam")
    footer = pq.ParquetFile(tmp_path / "part.parquet").metadata.metadata
    assert footer[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    xml = footer[b"IVOA.VOTable-Parquet.content"]
    assert b"<DATA" not in xml
    fields = parse(BytesIO(xml), verify="exception").get_first_table().fields
    assert [field.name for field in fields] == [column.name for column in COLUMNS]
    by_name = {field.name: field for field in fields}
    assert str(by_name["flux_int"].unit) == "Jy"
    assert by_name["dec"].ref == "icrs"
    assert (by_name["image"].datatype, by_name["image"].arraysize) == ("unicodeChar", "*")
    assert by_name["fit_cov"].arraysize == "28"


@pytest.mark.parametrize(
    ("units", "expected"), [(("electron", "electron"), "electron"), (("adu", "Jy/beam"), None)]
)
def test_a_unit_stands_in_the_header_only_where_all_rows_agree(tmp_path, units, expected):
    paths = [tmp_path / f"{i}.parquet" for i in range(2)]
    for path, unit in zip(paths, units, strict=True):
        write_part(path, random_rows(3, unit), unit)
    assert to_table(read_parts(paths))["flux_peak"].unit == expected


@pytest.mark.parametrize("column", range(0, len(COLUMNS), 8), ids=lambda i: COLUMNS[i].name)
def test_a_flipped_bit_in_a_page_is_noticed(tmp_path, column):
    path = tmp_path / "part.parquet"
    write_part(path, random_rows(50), "Jy/beam")
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(column)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"part\.parquet is missing or damaged"):
        read_parts([path])


@pytest.mark.parametrize("length", [0, 3, 5000])
def test_a_truncated_part_is_noticed(tmp_path, length):
    path = tmp_path / "part.parquet"
    write_part(path, random_rows(50), "Jy/beam")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match="damaged") as caught:
        read_parts([path])
    assert "\n" not in str(caught.value)


def test_a_missing_part_and_a_part_of_other_columns_are_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.parquet"):
        read_parts([tmp_path / "gone.parquet"])
    pd.DataFrame({"ra": [1.0]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"other\.parquet has other columns"):
        read_parts([tmp_path / "other.parquet"])


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
