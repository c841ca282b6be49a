"""What a catalogue says about itself, in every format that can hold it."""

import hashlib
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table
from astropy.time import Time
from catalog_rows import random_rows

from surveyfit.schema import GOOD, N_PARAMETERS, PARAMETERS, Flag
from surveyfit.sky.about import MOST_LISTED, Provenance, about_catalogue
from surveyfit.sky.export import export
from surveyfit.sky.fits_catalogue import write_fits_catalogue
from surveyfit.sky.parts import read_parts, to_table, write_part

OF_A_RUN = Provenance(
    versions={"surveyfit": "0.1.0", "jax": "0.8.1"},
    configuration={"thresh": 4.5, "beam": [6.5, 4.1, 30.0], "mask_bits": [], "plane": None},
    images={"ü.fits": "a" * 64, "b.fits[2]": "c" * 64},
    epoch_mjd=57388.25,
    finished="2026-01-02T03:04:05+00:00",
    command=f"surveyfit submit {'a long name ' * 12}ü.fits",
)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    write_part(tmp_path / "part.parquet", random_rows(3), "Jy/beam")
    return tmp_path / "part.parquet"


@pytest.fixture
def table(part: Path) -> Table:
    return to_table(read_parts([part]), OF_A_RUN)


def test_the_date_of_a_fits_header_is_one_of_the_standard(tmp_path: Path, table: Table) -> None:
    export(table, tmp_path / "out.fits")
    date = Time(fits.getheader(tmp_path / "out.fits", 1)["DATE"], format="fits")
    assert date.isot == "2026-01-02T03:04:05.000"


@pytest.mark.parametrize("extension", [".ecsv", ".parquet"])
def test_a_table_read_back_says_the_same_of_itself(
    tmp_path: Path, table: Table, extension: str
) -> None:
    export(table, tmp_path / f"out{extension}")
    assert dict(Table.read(tmp_path / f"out{extension}").meta) == dict(table.meta)


def test_the_covariance_can_be_unpacked_by_what_the_file_says(tmp_path: Path, table: Table) -> None:
    export(table, tmp_path / "out.parquet")
    meta = Table.read(tmp_path / "out.parquet").meta
    order = meta["covariance_order"].split()
    _, _, pairs = meta["covariance_packing"].partition(": ")
    packed = [tuple(pair.split()) for pair in pairs.split(", ")]
    assert order == list(PARAMETERS)
    rows, columns = np.triu_indices(N_PARAMETERS)
    assert packed == [(order[i], order[j]) for i, j in zip(rows, columns, strict=True)]


def test_flags_and_good_rows_are_told_in_words() -> None:
    meta = about_catalogue()
    assert meta["good_mask"] == GOOD
    assert meta["flag_bits"][int(Flag.SATURATED)].startswith("saturated: saturated pixels")
    assert sorted(meta["flag_bits"]) == sorted(int(flag) for flag in Flag)


def header_entries(path: Path) -> fits.Header:
    """Read the header as any FITS reader would, a warning being an error."""
    with fits.open(path) as file:
        file.verify("exception")
        return file["CATALOG"].header


def test_a_fits_header_tells_frame_epoch_flags_and_provenance(tmp_path: Path, table: Table) -> None:
    export(table, tmp_path / "out.fits")
    header = header_entries(tmp_path / "out.fits")
    assert header["RADESYS"] == "ICRS"
    assert header["MJD-OBS"] == 57388.25
    assert header["GOODMASK"] == GOOD
    assert header["COVORDER"].split() == list(PARAMETERS)
    assert header["FLAG18"].startswith("262144 = saturated: ")
    told = [str(value) for value in header.values()]
    for expected in (
        "jax = 0.8.1",
        "thresh = 4.5",
        "beam = 6.5 4.1 30.0",
        f"b.fits[2] = {'c' * 64}",
    ):
        assert expected in told
    assert header["COMMAND"] == OF_A_RUN.command.replace("ü", "\\xfc")
    assert not any("plane" in text or "mask_bits" in text for text in told)


def test_one_fits_file_of_many_parts_says_what_that_of_one_table_does(
    tmp_path: Path, part: Path, table: Table
) -> None:
    write_fits_catalogue([part], tmp_path / "parts.fits", OF_A_RUN)
    export(table, tmp_path / "whole.fits")
    assert (tmp_path / "parts.fits").read_bytes() == (tmp_path / "whole.fits").read_bytes()


def parameters(votable: Any) -> dict[str, Any]:
    return {param.name: param.value for param in votable.get_first_table().params}


def test_a_votable_tells_frame_epoch_flags_and_provenance(tmp_path: Path, table: Table) -> None:
    export(table, tmp_path / "out.vot")
    votable = parse(tmp_path / "out.vot", verify="exception")
    (frame,) = votable.iter_coosys()
    assert frame.system == "ICRS"
    # 57388.25 is 2016 January 1, 06:00: J2016.0 is January 1.5 of TT.
    assert frame.epoch == f"J{Time('2016-01-01T06:00').jyear:.4f}" == "J2015.9993"
    told = parameters(votable)
    assert told["good_mask"] == GOOD
    assert told["flag_bits.262144"].startswith("saturated: ")
    assert told["configuration.thresh"] == 4.5
    assert told["image_digests.ü.fits"] == "a" * 64
    assert told["command"] == OF_A_RUN.command


def test_the_votable_in_a_parquet_footer_tells_the_same(tmp_path: Path, table: Table) -> None:
    export(table, tmp_path / "out.vot")
    export(table, tmp_path / "out.parquet")
    footer = pq.ParquetFile(tmp_path / "out.parquet").metadata.metadata
    votable = parse(BytesIO(footer[b"IVOA.VOTable-Parquet.content"]), verify="exception")
    assert parameters(votable) == parameters(parse(tmp_path / "out.vot"))


def test_a_part_says_nothing_of_its_run(part: Path) -> None:
    told = set(Table.read(part).meta)
    assert {"frame", "covariance_order", "good_mask", "flag_bits"} <= told
    assert told.isdisjoint({"versions", "configuration", "command", "finished", "epoch_mjd"})


def test_without_a_shared_epoch_the_frame_has_none(tmp_path: Path, part: Path) -> None:
    export(to_table(read_parts([part]), replace(OF_A_RUN, epoch_mjd=None)), tmp_path / "out.vot")
    (frame,) = parse(tmp_path / "out.vot").iter_coosys()
    assert frame.epoch is None


def test_the_digest_of_many_images_is_that_of_their_sorted_digests() -> None:
    digests = [hashlib.sha256(bytes([i])).hexdigest() for i in range(MOST_LISTED + 1)]
    images = {f"{i}.fits": digest for i, digest in enumerate(digests)}
    # Two images of one file have one digest.
    meta = about_catalogue(replace(OF_A_RUN, images=images | {"again": digests[0]}))
    assert meta["images"] == MOST_LISTED + 2
    assert "image_digests" not in meta
    expected = hashlib.sha256(" ".join(sorted(digests)).encode()).hexdigest()
    assert meta["images_digest"] == expected


@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
@pytest.mark.parametrize("of_a_part", [False, True], ids=["export", "part"])
def test_votlint_finds_nothing_in_a_votable_and_in_a_parquet_footer(
    tmp_path: Path, table: Table, part: Path, of_a_part: bool
) -> None:
    if not of_a_part:
        export(table, tmp_path / "whole.vot")
        export(table, tmp_path / "out.parquet")
    footer = pq.ParquetFile(part if of_a_part else tmp_path / "out.parquet").metadata.metadata
    (tmp_path / "footer.vot").write_bytes(footer[b"IVOA.VOTable-Parquet.content"])
    for path in tmp_path.glob("*.vot"):
        found = subprocess.run(["stilts", "votlint", path], capture_output=True, text=True)
        assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
@pytest.mark.parametrize("extension", [".fits", ".vot"])
def test_topcat_shows_what_a_catalogue_says_of_itself(
    tmp_path: Path, table: Table, extension: str
) -> None:
    path = tmp_path / f"out{extension}"
    export(table, path)
    command = ["stilts", "tpipe", path, "omode=meta"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for expected in ("ICRS", "57388.25", "upper triangle, row by row: x0 x0", str(GOOD), "4.5"):
        assert expected in shown
