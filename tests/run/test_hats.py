"""The catalogue for LSDB: what is refused, and what LSDB finds in it."""

import shutil
from pathlib import Path

import command_line
import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from surveyfit.errors import InputError
from surveyfit.run import hats
from surveyfit.run.hats import export_hats
from surveyfit.schema import COLUMNS
from surveyfit.sky.parts import read_parts, write_part

CONES = (5.0, 30.0, 600.0)
"""Radii in arcsec: a source, some sources, all of an image."""


@pytest.fixture
def _as_if_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hats, "find_spec", lambda name: object())


def test_without_the_library_a_line_names_the_extra(
    plain_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hats, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'surveyfit\[hats\]'"):
        export_hats(plain_run, tmp_path / "hats")
    assert not (tmp_path / "hats").exists()


@pytest.mark.usefixtures("_as_if_installed")
def test_a_folder_that_holds_something_is_refused_and_left_alone(
    plain_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty: give a folder that does not exist"):
        export_hats(plain_run, tmp_path)
    with pytest.raises(InputError, match=r"notes\.txt is a file"):
        export_hats(plain_run, tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.usefixtures("_as_if_installed")
@pytest.mark.parametrize("name", [".", "../here"])
def test_the_current_folder_is_refused(
    name: str, plain_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="here is the current folder: give a folder"):
        export_hats(plain_run, Path(name))
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.usefixtures("_as_if_installed")
def test_a_run_without_any_position_is_refused_before_anything_is_written(
    plain_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hats, "committed_parts", lambda directory: [nowhere(plain_run, tmp_path)])
    with pytest.raises(InputError, match="no row has a position on the sky: use -t"):
        export_hats(plain_run, tmp_path / "hats")
    assert not (tmp_path / "hats").exists()


def nowhere(run: Path, folder: Path) -> Path:
    """Write a part whose rows are those of a run's first, without their positions."""
    rows = read_parts([min((run / "catalog.parquet").iterdir())]).to_pydict()
    values = {c.name: np.array(rows[c.name]) for c in COLUMNS}
    values |= dict.fromkeys(("ra", "dec"), np.full(len(values["ra"]), np.nan))
    write_part(folder / "nowhere.parquet", values, "electron")
    return folder / "nowhere.parquet"


@pytest.fixture(scope="module")
def exported(plain_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a run to which rows without a position are added."""
    pytest.importorskip("hats_import", reason="hats-import is not installed")
    folder = tmp_path_factory.mktemp("exported")
    run = shutil.copytree(plain_run, folder / "run")
    part = min((run / "catalog.parquet").iterdir())
    nowhere(plain_run, folder).replace(part)
    target = folder / "new" / "a name & more"
    answer = command_line.surveyfit("catalog", run, "--hats", target)
    rows, lost = len(pd.read_parquet(run / "catalog.parquet")), pq.read_metadata(part).num_rows
    assert answer.status == 0, answer.err
    assert answer.out.splitlines() == [
        f"{rows - lost} rows in {target}, {lost} left out (no position on the sky)"
    ]
    assert answer.err == ""
    assert sorted(path.name for path in target.parent.iterdir()) == ["a name & more"]
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The inplace keyword")  # nested-pandas, of pandas 3.1
def test_lsdb_finds_what_lies_in_a_cone(exported: Path) -> None:
    lsdb = pytest.importorskip("lsdb", reason="lsdb is not installed")
    catalogue = lsdb.open_catalog(exported / "new" / "a name & more")
    rows = pd.read_parquet(exported / "run" / "catalog.parquet").dropna(subset=["ra", "dec"])
    sky = SkyCoord(rows["ra"], rows["dec"], unit="deg")
    assert len(catalogue) == len(rows)
    for radius in CONES:
        found = catalogue.cone_search(sky[7].ra.deg, sky[7].dec.deg, radius).compute()
        near = rows[sky.separation(sky[7]) <= radius * u.arcsec].set_index("source_id")
        assert sorted(found["source_id"]) == sorted(near.index)
        found = found.set_index("source_id").loc[near.index]
        np.testing.assert_array_equal(found["flux_int"], near["flux_int"])
        np.testing.assert_array_equal(np.stack(found["fit_cov"]), np.stack(near["fit_cov"]))


@pytest.mark.slow
def test_the_columns_keep_unit_ucd_and_meaning(exported: Path) -> None:
    schema = pq.read_schema(exported / "new" / "a name & more" / "dataset" / "_common_metadata")
    for column in COLUMNS:
        words = schema.field(column.name).metadata
        assert words[b"ucd"].decode() == column.ucd
    assert schema.field("ra").metadata[b"unit"] == b"deg"


@pytest.mark.slow
def test_only_this_machine_can_reach_what_works_on_it() -> None:
    pytest.importorskip("hats_import", reason="hats-import is not installed")
    before = set(psutil.Process().net_connections())
    with hats._within_process():
        new = set(psutil.Process().net_connections()) - before
        addresses = {c.laddr.ip for c in new if c.status == psutil.CONN_LISTEN}
    assert addresses <= {"127.0.0.1"}
