"""P16: workers that would give other numbers are refused before they are given any work."""

import os
from pathlib import Path

import pytest
from command_line import surveyfit
from dask_cluster import DaskCluster
from tiled_survey import Survey

# On a busy machine everything takes ten times as long; nothing here is judged by that.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def pretending(place: Path, package: str, version: str) -> dict[str, str]:
    """Return an environment in which a package seems to have another version."""
    described = place / f"{package}-{version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    )
    path = filter(None, [str(place), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": os.pathsep.join(path)}


@pytest.mark.parametrize(
    "package", [pytest.param("surveyfit", marks=pytest.mark.chaos_long), "jax"]
)
def test_a_worker_with_other_versions_is_refused(
    tiled: Survey, tmp_path: Path, package: str
) -> None:
    run = tmp_path / "run"
    with DaskCluster(tmp_path) as cluster:
        cluster.add_worker(pretending(tmp_path, package, "0.0.1"))
        cluster.wait_for_workers(1)
        answer = surveyfit(
            "submit", *tiled.words, "-o", run, "--scheduler", cluster.file, "--wait", 20
        )
    assert answer.status == 2, answer.out
    assert f"{package} 0.0.1 instead of" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not list(run.rglob("*.json")), "work was done"
