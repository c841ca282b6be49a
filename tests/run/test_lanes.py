"""Fits on GPU workers, all else on CPU workers beside them."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from surveyfit.run.config import Config, Execution
from surveyfit.run.lanes import Lane, declared, lanes
from surveyfit.run.local_cluster import worker_options
from surveyfit.run.pieces import STAGES, Stage
from surveyfit.run.pipeline import submit

NOT_FITS = (Stage.OPEN, Stage.NOISE, Stage.CUT)
START_TIMEOUT = 60


def worker(**resources: float) -> dict[str, Any]:
    return {"nthreads": 1, "resources": resources}


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([worker(), worker()], [Lane(STAGES, {}, 2)]),
        ([worker(CPU=1), worker(CPU=1)], [Lane(STAGES, {"CPU": 1}, 2)]),
        (
            [worker(GPU=1), worker(CPU=1), worker(CPU=1)],
            [Lane((Stage.FIT,), {"GPU": 1}, 1), Lane(NOT_FITS, {"CPU": 1}, 2)],
        ),
        (
            [worker(GPU=1), worker()],
            [Lane((Stage.FIT,), {"GPU": 1}, 1), Lane(NOT_FITS, {}, 2)],
        ),
    ],
)
def test_stages_go_where_resources_are(workers: list[dict[str, Any]], expected: list[Lane]) -> None:
    assert lanes(workers, declared(workers)) == expected


def test_fits_wait_for_gpu_workers_that_are_gone() -> None:
    resources = declared([worker(GPU=1), worker(CPU=1)])
    fits, others = lanes([worker(CPU=1)], resources)
    assert (fits.stages, fits.slots) == ((Stage.FIT,), 0)
    assert (others.stages, others.slots) == (NOT_FITS, 1)


@pytest.mark.parametrize(("gpus", "n_workers"), [(0, 2), (1, 1), (2, 2), (1, 3), (4, 6)])
def test_each_stage_finds_a_worker_on_a_machine_with_gpus(gpus: int, n_workers: int) -> None:
    options = [worker_options(i, gpus, n_workers) for i in range(n_workers)]
    workers = [{"nthreads": 1} | option for option in options]
    found = lanes(workers, declared(workers))
    assert {stage for lane in found for stage in lane.stages} == set(STAGES)
    assert all(lane.slots > 0 for lane in found)
    if gpus:
        visible = [option["env"]["CUDA_VISIBLE_DEVICES"] for option in options]
        assert visible == [str(i) if i < gpus else "" for i in range(n_workers)]


@pytest.fixture
def cluster_with_resources(tmp_path: Path) -> Iterator[Path]:
    """Scheduler file of a cluster whose two workers declare a GPU and a CPU."""
    file = tmp_path / "scheduler.json"
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    dask = [sys.executable, "-m", "dask"]
    processes = [
        subprocess.Popen([*dask, "scheduler", "--port", "0", *common], stderr=subprocess.DEVNULL)
    ]
    for resource in ("GPU=1", "CPU=1"):
        options = ["--nthreads", "1", "--resources", resource, "--name", resource]
        processes.append(
            subprocess.Popen(
                [*dask, "worker", *options, "--local-directory", str(tmp_path), *common],
                env={**os.environ, "NPROC": "1"},
                stderr=subprocess.DEVNULL,
            )
        )
    yield file
    for process in reversed(processes):
        process.terminate()
        process.wait(20)


@pytest.mark.cluster
def test_fits_run_on_the_gpu_worker_and_nothing_else_does(
    survey: Path, plain_run: Path, tmp_path: Path, cluster_with_resources: Path
) -> None:
    with Client(scheduler_file=str(cluster_with_resources), timeout=START_TIMEOUT) as client:
        client.wait_for_workers(2, timeout=START_TIMEOUT)
        pids = {client.scheduler_info()["workers"][a]["name"]: p for a, p in _pids(client).items()}
    run = tmp_path / "run"
    execution = Execution(scheduler=str(cluster_with_resources), quiet=True)
    assert submit([str(survey)], run, Config(), execution) == 0
    worked: defaultdict[str, set[int]] = defaultdict(set)
    for path in (run / "receipts").glob("*.json"):
        receipt = json.loads(path.read_text())
        worked[receipt["stage"]].add(receipt["process"]["pid"])
    assert worked == {
        **{str(stage): {pids["CPU=1"]} for stage in NOT_FITS},
        str(Stage.FIT): {pids["GPU=1"]},
    }


def _pids(client: Client) -> dict[str, int]:
    found: dict[str, int] = client.run(os.getpid)
    return found
