"""A Dask cluster on this machine, reachable from this machine only.

Its workers are spawned processes of one thread; ``NPROC=1`` is what keeps XLA from starting a
thread a core in each of them.
"""

import socket
from typing import Any

from distributed import Nanny, Scheduler, SpecCluster

from surveyfit.run.config import Execution
from surveyfit.run.lanes import CPU, GPU
from surveyfit.run.loop import ONE_THREAD
from surveyfit.run.machine import LOOPBACK, count_gpus, count_workers, worker_memory

DASHBOARD_PORT = 8787

SETTINGS = {
    "distributed.nanny.pre-spawn-environ": {
        **ONE_THREAD,
        "DASK_LOGGING__DISTRIBUTED": "critical",
        # Dask's MALLOC_TRIM_THRESHOLD_ would give all memory back between two arrays: 50 % more
        # system time. A second arena, for the thread that works, would do so in part.
        "MALLOC_ARENA_MAX": "1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    },
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.preload": ["surveyfit.run.worker"],
    # Every death of a worker is told at once: the executor judges by itself who is to blame.
    "distributed.scheduler.allowed-failures": 0,
    # A proxy route on the dashboard would let its visitors reach other hosts.
    "distributed.scheduler.http.routes": [
        "distributed.http.scheduler.prometheus",
        "distributed.http.scheduler.info",
        "distributed.http.scheduler.json",
        "distributed.http.health",
        "distributed.http.statics",
    ],
    "distributed.worker.http.routes": ["distributed.http.health"],
}
"""Configuration of Dask under which the cluster is made."""


def local_cluster(execution: Execution) -> SpecCluster:
    """Start a cluster: a worker a GPU, CPU workers beside them, one worker a core in all.

    Raises
    ------
    InputError
        If the memory limit is not a size.
    """
    gpus = count_gpus()
    n_workers = count_workers(execution)
    limit = worker_memory(execution)
    workers = {
        i: {"cls": Nanny, "options": {**_process(limit), **worker_options(i, gpus, n_workers)}}
        for i in range(n_workers)
    }
    options = {"host": LOOPBACK, "port": 0, "dashboard": True}
    scheduler = {
        "cls": Scheduler,
        "options": options | {"dashboard_address": f"{LOOPBACK}:{_dashboard_port()}"},
    }
    return SpecCluster(workers=workers, scheduler=scheduler, name="surveyfit")


def _process(limit: int | None) -> dict[str, Any]:
    return {"nthreads": 1, "host": LOOPBACK, "dashboard": False, "memory_limit": limit}


def worker_options(i: int, gpus: int, n_workers: int) -> dict[str, Any]:
    """Give worker i a GPU, or a core, or both where there are no workers for cores alone."""
    if not gpus:
        return {}
    if i >= gpus:
        return {"resources": {CPU: 1}, "env": {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}}
    both = {GPU: 1} if n_workers > gpus else {GPU: 1, CPU: 1}
    return {"resources": both, "env": {"CUDA_VISIBLE_DEVICES": str(i)}}


def _dashboard_port() -> int:
    """Return Dask's usual port, or any if another program has it."""
    with socket.socket() as probe:
        return DASHBOARD_PORT if probe.connect_ex((LOOPBACK, DASHBOARD_PORT)) else 0
