"""What may run where: fits on GPUs where there are any, all else on CPU workers beside them."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from surveyfit.run.pieces import STAGES, Stage

GPU, CPU = "GPU", "CPU"
"""Names of the resources that workers declare (``dask worker --resources "GPU=1"``)."""


class Lane(NamedTuple):
    """Stages that share workers.

    Attributes
    ----------
    stages : tuple of Stage
    resources : dict
        What a task takes of its worker.
    slots : int
        Tasks that the workers can do at the same time.
    """

    stages: tuple[Stage, ...]
    resources: dict[str, float]
    slots: int


def declared(workers: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return which of our resources the workers of a cluster declare."""
    described = list(workers)
    return frozenset(name for name in (GPU, CPU) if _offered(described, name))


def lanes(workers: Iterable[Mapping[str, Any]], resources: frozenset[str]) -> list[Lane]:
    """Divide the stages among the workers of a cluster, as its scheduler describes them.

    Without declared resources every worker does everything. Where some declare a GPU, fits go
    there; where some declare a CPU, all else goes there.

    Parameters
    ----------
    workers : iterable of mapping
    resources : frozenset of str
        What was ever declared: fits wait for a GPU worker that starts again, since on a CPU their
        last digits are others.
    """
    described = list(workers)
    threads = sum(worker["nthreads"] for worker in described)
    cpu_slots = _offered(described, CPU) if CPU in resources else threads
    cpu = {CPU: 1.0} if CPU in resources else {}
    if GPU not in resources:
        return [Lane(STAGES, cpu, cpu_slots)]
    others = tuple(stage for stage in STAGES if stage is not Stage.FIT)
    return [
        Lane((Stage.FIT,), {GPU: 1.0}, _offered(described, GPU)),
        Lane(others, cpu, cpu_slots),
    ]


def _offered(workers: list[Mapping[str, Any]], resource: str) -> int:
    return sum(int(worker.get("resources", {}).get(resource, 0)) for worker in workers)
