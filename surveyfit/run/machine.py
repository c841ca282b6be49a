"""What this machine has: cores, GPUs, memory, and how workers share them."""

import os
import shutil
import subprocess

from surveyfit.errors import InputError
from surveyfit.run.config import Execution

LOOPBACK = "127.0.0.1"
"""Where everything listens that only this machine may reach."""

DRIVER = 2**30
"""Bytes left to the driver, the scheduler in it, and other programs."""


WORKER = 3 * 2**29
"""Bytes that a worker is given at least, where their number is ours to choose: enough for small
tiles (`surveyfit.run.memory.plan`)."""


def count_gpus() -> int:
    """Count the NVIDIA GPUs that the driver shows; no CUDA context is made."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listing = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)
    return listing.stdout.count("GPU ") if listing.returncode == 0 else 0


def count_workers(execution: Execution) -> int:
    """Return how many workers a cluster on this machine gets.

    One a core, at least one a GPU, but no more than there is memory for; or as many as are asked
    for.
    """
    if execution.workers is not None:
        return execution.workers
    each = WORKER if execution.memory_limit is None else worker_memory(execution)
    assert each is not None
    room = max(1, _memory() // max(1, each))
    return min(max(count_gpus(), len(os.sched_getaffinity(0))), room)


def _memory() -> int:
    """Return the bytes that workers can share: of this machine, or of our container."""
    from distributed.system import MEMORY_LIMIT

    return max(0, MEMORY_LIMIT - DRIVER)


def worker_memory(execution: Execution) -> int | None:
    """Return the bytes that a worker may use; None where nobody has set a limit.

    Without --memory-limit the workers of this machine share its memory, or what its container
    leaves of it. Workers of another cluster were given theirs by whoever started them.

    Raises
    ------
    InputError
        If the limit is not a size.
    """
    from dask.utils import parse_bytes

    words = execution.memory_limit
    try:
        if words is not None:
            return int(parse_bytes(words))
    except ValueError as error:
        raise InputError(f"--memory-limit {words}: not a size", "write it as 4GiB") from error
    if execution.scheduler is not None or execution.workers == 0:
        return None
    return _memory() // count_workers(execution)
