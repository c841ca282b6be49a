"""With what a process runs, and the refusal of workers that run with something else."""

import sys
from importlib.metadata import version

from distributed import Client, Worker, WorkerPlugin

from surveyfit.errors import InputError
from surveyfit.schema import SCHEMA_VERSION

DECISIVE = ("surveyfit", "jax", "jaxlib", "numpy", "astropy", "sep")
"""Those that the numbers in the catalogue depend on: they must be the same everywhere."""


def decisive_versions() -> dict[str, str]:
    """Return the versions on which results depend, in this process."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {name: version(name) for name in DECISIVE}
    return {"python": python, **found, "schema": str(SCHEMA_VERSION)}


def differences(theirs: dict[str, str], ours: dict[str, str]) -> str:
    """Name what differs, for people; empty if nothing does."""
    return ", ".join(
        f"{name} {theirs.get(name, 'missing')} instead of {ours[name]}"
        for name in ours
        if theirs.get(name) != ours[name]
    )


class SameVersions(WorkerPlugin):
    """Sends away a worker that joins later with other versions, before its first task."""

    name = "surveyfit-same-versions"

    def __init__(self, ours: dict[str, str]) -> None:
        self._ours = ours

    def setup(self, worker: Worker) -> None:
        """Compare, on the worker."""
        differing = differences(decisive_versions(), self._ours)
        if differing:
            worker.loop.add_callback(worker.close, reason=f"surveyfit: {differing}")


def refuse_other_versions(client: Client) -> None:
    """Check the workers of a cluster, now and when others join.

    Raises
    ------
    InputError
        Naming the first worker that has other versions.
    """
    ours = decisive_versions()
    answers = client.run(decisive_versions, on_error="return")
    for address, theirs in answers.items():
        if isinstance(theirs, BaseException):
            problem = f"surveyfit does not start there ({type(theirs).__name__}: {theirs})"
        else:
            problem = differences(theirs, ours)
        if problem:
            raise InputError(
                f"worker {address} would not give the same results: {problem}",
                "install the same packages on every worker as here, and start it again",
            )
    client.register_plugin(SameVersions(ours))


def accept_any_versions(client: Client) -> None:
    """Leave a cluster as it was: workers that join later are others' concern."""
    if client.status == "running":
        client.unregister_worker_plugin(SameVersions.name)
