"""What workers that serve many submits must keep: no new compiles, and the same sources."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from command_line import surveyfit
from dask_cluster import DaskCluster
from tiled_survey import Survey

from surveyfit.sky.simulate import simulate

# On a busy machine everything takes ten times as long; nothing here is judged by that.
pytestmark = [pytest.mark.cluster, pytest.mark.chaos_long, pytest.mark.timeout(900)]

TILES = (128, 200, 1024)
"""Nine tiles an image of 300 pixels, four, and one."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Return a cluster of one worker that counts its compiles."""
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.add_worker(counting(cluster))
        cluster.wait_for_workers(1)
        yield cluster


def counting(cluster: DaskCluster) -> dict[str, str]:
    """Return the environment of a worker that notes what it compiles."""
    path = [str(Path(__file__).parent / "counting"), os.environ.get("PYTHONPATH", "")]
    folder = cluster.file.parent / "compiles"
    folder.mkdir(exist_ok=True)
    return {"PYTHONPATH": os.pathsep.join(filter(None, path)), "COMPILES_FOLDER": str(folder)}


def compiles(cluster: DaskCluster) -> dict[str, Counter[str]]:
    """Return how often each function was compiled, by worker process."""
    folder = cluster.file.parent / "compiles"
    return {path.stem: Counter(path.read_text().split("\n")) for path in folder.iterdir()}


def measure(survey: Survey, run: Path, cluster: DaskCluster, tile: int) -> Table:
    words = (survey.folder, "--tile", tile, "-o", run, "--scheduler", cluster.file)
    answer = surveyfit("submit", *words)
    assert answer.status == 0, answer.out + answer.err
    table = Table.read(run / "catalog.fits")
    table.sort("source_id")
    return table


def test_other_images_need_no_other_compiles(
    tiled: Survey, cluster: DaskCluster, tmp_path: Path
) -> None:
    measure(tiled, tmp_path / "first", cluster, 150)
    before = compiles(cluster)
    sides = {path.name for path in (tmp_path / "first" / "cutouts.zarr").glob("*/*/[0-9]*")}
    (found,) = before.values()
    assert 1 <= found["jit(fit_chunk)"] <= len(sides)
    # Another number of sources, of tiles, of pixels: nothing of that may be a new shape.
    simulate(tmp_path / "others", images=3, size=260, sources=25, seed=12)
    others = Survey(tmp_path / "others", (), 0, tiled.right)
    measure(others, tmp_path / "second", cluster, 1024)
    seen = {path.name for path in (tmp_path / "second" / "cutouts.zarr").glob("*/*/[0-9]*")}
    assert seen <= sides, "these images cannot show it: they have another side of cutout"
    assert compiles(cluster) == before


def test_tiling_and_workers_are_invisible(
    tiled: Survey, cluster: DaskCluster, tmp_path: Path
) -> None:
    tables = [measure(tiled, tmp_path / f"one-{tile}", cluster, tile) for tile in TILES]
    cluster.add_worker(counting(cluster))
    cluster.wait_for_workers(2)
    tables += [measure(tiled, tmp_path / f"two-{tile}", cluster, tile) for tile in TILES]
    reference = tables[0]
    for table in tables[1:]:
        assert list(table["source_id"]) == list(reference["source_id"])
        assert list(table["flags"]) == list(reference["flags"])
        for name in ("x", "y", "flux_peak", "flux_int", "fit_sigma", "fit_rho", "fit_diff"):
            difference = np.abs(table[name] - reference[name]) / reference[f"{name}_err"]
            assert np.nanmax(difference) < 1e-3, name
