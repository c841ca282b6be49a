"""Dask preload: what a worker process of the cluster on this machine does before its first task."""

import signal


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C, which a terminal sends to workers too, to the process that stops them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
