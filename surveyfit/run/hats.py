"""The catalogue cut by place on the sky, as LSDB reads it: ``surveyfit catalog RUN --hats DIR``.

The format is HATS (hierarchical adaptive tiling scheme), the work hats-import's. Its tasks are done
by threads of this process, whose Dask cluster is reached from within the process only.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from distributed import LocalCluster

from surveyfit.errors import InputError
from surveyfit.run.catalogue import committed_parts
from surveyfit.run.directory import RunDirectory
from surveyfit.run.machine import LOOPBACK
from surveyfit.run.provenance import provenance_of
from surveyfit.sky.about import about_catalogue, entries
from surveyfit.sky.atomic import check_writable, replacing_folder, settle
from surveyfit.sky.parts import part_form, read_columns, read_parts

MOST_ROWS = 200_000
"""Rows of a file of the catalogue: 250 MB in memory, and a few times that while it is sorted."""

THREADS = 2
"""Tasks at a time; within each, pyarrow uses every core."""

POSITION = ("ra", "dec")


class Contents(NamedTuple):
    """What the parts of a run hold together.

    Attributes
    ----------
    groups : list of list of Path
        Parts with rows on the sky, `MOST_ROWS` rows or one part together.
    rows, placed : int
        All rows; those with a position on the sky.
    unit : str or None
        Unit of the pixels of all images, None if they differ.
    """

    groups: list[list[Path]]
    rows: int
    placed: int
    unit: str | None


class PlacedRows:
    """Reads, for hats-import, the rows with a position out of the parts that a text file lists."""

    def read(self, input_file: Any, read_columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of the parts, one part after the other."""
        for line in Path(str(input_file)).read_text(encoding="utf-8").splitlines():
            rows = read_parts([Path(line)])
            yield rows.filter(_is_placed(rows)).select(read_columns or rows.column_names)


def export_hats(run: Path, target: Path) -> tuple[int, int]:
    """Write the catalogue of a run as a HATS catalogue, whole or not at all.

    Parameters
    ----------
    run : Path
    target : Path
        A folder that does not exist or is empty.

    Returns
    -------
    written, left_out : int
        Rows; left out are those without a position on the sky.

    Raises
    ------
    InputError
        If hats-import is not installed; for a folder that is no run, a run without any row on the
        sky, or a target that cannot be written.
    """
    if find_spec("hats_import") is None:
        raise InputError("--hats needs hats-import", "pip install 'surveyfit[hats]'")
    directory = RunDirectory.open(run)
    target = Path(os.path.abspath(target))
    check_folder(target)
    directory.check_outside(target)
    contents = _contents(committed_parts(directory))
    if not contents.placed:
        raise InputError(f"{run}: no row has a position on the sky", "use -t instead of --hats")
    about = about_catalogue(provenance_of(directory))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(target, scratch=target.parent) as temporary:
        _write(contents, about, temporary, re.sub(r"[^A-Za-z0-9._-]", "_", target.name))
        settle(temporary)
    return contents.placed, contents.rows - contents.placed


def check_folder(path: Path) -> None:
    """Refuse a folder that holds something, is the current one, or could not be made.

    Raises
    ------
    InputError
        Saying which.
    """
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path} is not empty", "give a folder that does not exist yet")
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file", "give a folder that does not exist yet")
    # It would be put in the place of this one, and the shell be left in a folder without a name.
    if path.exists() and path.samefile(Path.cwd()):
        raise InputError(f"{path} is the current folder", "give a folder that does not exist yet")
    check_writable(path.absolute().parent)


def _contents(parts: Sequence[Path]) -> Contents:
    groups: list[list[Path]] = []
    in_group = rows = placed = 0
    units: set[str] = set()
    for part in parts:
        columns = read_columns(part, [*POSITION, "flux_unit"])
        units.update(columns["flux_unit"].unique().to_pylist())
        rows += len(columns)
        if not (here := pc.sum(_is_placed(columns)).as_py()):
            continue
        placed += here
        if not groups or in_group + len(columns) > MOST_ROWS:
            groups.append([])
            in_group = 0
        groups[-1].append(part)
        in_group += len(columns)
    return Contents(groups, rows, placed, units.pop() if len(units) == 1 else None)


def _is_placed(rows: pa.Table) -> pa.ChunkedArray:
    return pc.and_(*(pc.is_finite(rows[name]) for name in POSITION))


def _write(contents: Contents, about: Mapping[str, Any], folder: Path, name: str) -> None:
    """Let hats-import write into an empty folder."""
    from hats_import import pipeline_with_client
    from hats_import.catalog.arguments import ImportArguments

    lists = _listed(contents.groups, folder)
    schema = folder / "schema.parquet"
    # Unit, UCD and description of each column. What a file says of the table as a whole would be
    # wrong here, as hats-import adds a column.
    pq.write_metadata(part_form(contents.unit).schema.remove_metadata(), schema)
    wanted: dict[str, Any] = {
        "output_path": folder,
        "output_artifact_name": name,
        "input_file_list": lists,
        "file_reader": PlacedRows(),
        "use_schema_file": schema,
        "ra_column": "ra",
        "dec_column": "dec",
        "sort_columns": "source_id",
        "pixel_threshold": MOST_ROWS,
        "expected_total_rows": contents.placed,
        "addl_hats_properties": _properties(about),
        "progress_bar": False,
    }
    with _within_process() as cluster, cluster.get_client() as client:
        pipeline_with_client(ImportArguments(**wanted), client)
    for path in (*lists, schema):
        path.unlink()
    made = folder / name
    for path in made.iterdir():
        path.rename(folder / path.name)
    made.rmdir()


def _within_process() -> LocalCluster:
    return LocalCluster(
        processes=False,
        n_workers=1,
        threads_per_worker=THREADS,
        dashboard_address=f"{LOOPBACK}:0",
        worker_dashboard_address=f"{LOOPBACK}:0",
    )


def _listed(groups: Sequence[Sequence[Path]], folder: Path) -> list[Path]:
    """Write a text file for each group of parts, their paths in it."""
    lists = [folder / f"parts-{number}.txt" for number in range(len(groups))]
    for path, group in zip(lists, groups, strict=True):
        path.write_text("".join(f"{part.absolute()}\n" for part in group), encoding="utf-8")
    return lists


def _properties(about: Mapping[str, Any]) -> dict[str, str]:
    """Return what the catalogue says about itself as HATS properties."""
    own = {
        f"surveyfit_{re.sub(r'[^A-Za-z0-9]+', '_', entry.name)}": str(entry.value)
        for entry in entries(about)
    }
    known = {
        "obs_description": about["description"],
        "hats_cols_survey_id": "source_id",
    }
    return known | own
