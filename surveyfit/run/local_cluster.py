"""A Dask cluster on this machine, reachable from this machine only.

Its workers are spawned processes of one thread; ``NPROC=1`` is what keeps XLA from starting a
thread a core in each of them.
"""

import os
import shutil
import socket
import subprocess
from typing import Any

from dask.utils import parse_bytes
from distributed import Nanny, Scheduler, SpecCluster

from surveyfit.errors import InputError
from surveyfit.run.config import Execution
from surveyfit.run.lanes import CPU, GPU
from surveyfit.run.loop import ONE_THREAD

LOOPBACK = "127.0.0.1"
DASHBOARD_PORT = 8787

SETTINGS = {
    "distributed.nanny.pre-spawn-environ": {
        **ONE_THREAD,
        "DASK_LOGGING__DISTRIBUTED": "critical",
        "MALLOC_TRIM_THRESHOLD_": "65536",
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
    n_workers = execution.workers or max(gpus, len(os.sched_getaffinity(0)))
    limit = memory_limit(execution.memory_limit)
    workers = {
        i: {"cls": Nanny, "options": {**_process(limit), **_devices(i, gpus, n_workers)}}
        for i in range(n_workers)
    }
    options = {"host": LOOPBACK, "port": 0, "dashboard": True}
    scheduler = {
        "cls": Scheduler,
        "options": options | {"dashboard_address": f"{LOOPBACK}:{_dashboard_port()}"},
    }
    return SpecCluster(workers=workers, scheduler=scheduler, name="surveyfit")


def _process(limit: int | str) -> dict[str, Any]:
    return {"nthreads": 1, "host": LOOPBACK, "dashboard": False, "memory_limit": limit}


def _devices(i: int, gpus: int, n_workers: int) -> dict[str, Any]:
    """Give worker i a GPU, or a core, or both where there are no workers for cores alone."""
    if not gpus:
        return {}
    if i >= gpus:
        return {"resources": {CPU: 1}, "env": {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}}
    both = {GPU: 1} if n_workers > gpus else {GPU: 1, CPU: 1}
    return {"resources": both, "env": {"CUDA_VISIBLE_DEVICES": str(i)}}


def memory_limit(words: str | None) -> int | str:
    """Return bytes; ``auto``, a fair share of the machine's memory, where none were given."""
    try:
        return "auto" if words is None else int(parse_bytes(words))
    except ValueError as error:
        raise InputError(f"--memory-limit {words}: not a size", "write it as 4GiB") from error


def _dashboard_port() -> int:
    """Return Dask's usual port, or any if another program has it."""
    with socket.socket() as probe:
        return DASHBOARD_PORT if probe.connect_ex((LOOPBACK, DASHBOARD_PORT)) else 0


def count_gpus() -> int:
    """Count the NVIDIA GPUs that the driver shows; no CUDA context is made."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listing = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)
    return listing.stdout.count("GPU ") if listing.returncode == 0 else 0
