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


def lanes(workers: Iterable[Mapping[str, Any]]) -> list[Lane]:
    """Divide the stages among the workers of a cluster, as its scheduler describes them.

    Without declared resources every worker does everything. Where some declare a GPU, fits go
    there; where some declare a CPU, all else goes there.
    """
    described = list(workers)
    threads = sum(worker["nthreads"] for worker in described)
    gpus = _offered(described, GPU)
    cpus = _offered(described, CPU)
    if not gpus:
        return [Lane(STAGES, {CPU: 1} if cpus else {}, cpus or threads)]
    others = tuple(stage for stage in STAGES if stage is not Stage.FIT)
    return [
        Lane((Stage.FIT,), {GPU: 1}, gpus),
        Lane(others, {CPU: 1} if cpus else {}, cpus or threads),
    ]


def _offered(workers: list[Mapping[str, Any]], resource: str) -> int:
    return sum(int(worker.get("resources", {}).get(resource, 0)) for worker in workers)
