"""Counts of a run for Prometheus, at a port of this machine (``submit --metrics PORT``)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from surveyfit.errors import InputError
from surveyfit.run.machine import LOOPBACK

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Counts = Mapping[str, Any]


class Metrics:
    """Turns the counts of `Record` into gauges whenever Prometheus asks."""

    def __init__(self) -> None:
        self._count: Callable[[], Counts] = dict

    def follow(self, count: Callable[[], Counts]) -> None:
        """Take the counts from a function from here on."""
        self._count = count

    def collect(self) -> Iterator["Metric"]:
        """Yield what there is to tell; Prometheus' interface."""
        from prometheus_client.core import GaugeMetricFamily as Gauge

        counts = self._count()
        work = Gauge("surveyfit_work", "Files, images or tiles.", labels=["stage", "state"])
        for stage, progress in counts.get("stages", {}).items():
            work.add_metric([stage, "ended"], progress["ended"])
            work.add_metric([stage, "left"], progress["total"] - progress["ended"])
        yield work
        yield Gauge("surveyfit_failures", "What failed so far.", value=counts.get("failures", 0))
        rows, good = counts.get("rows", 0), counts.get("good", 0)
        sources = Gauge("surveyfit_sources", "Rows of the catalogue so far.", labels=["quality"])
        sources.add_metric(["good"], good)
        sources.add_metric(["flagged"], rows - good)
        yield sources
        rate = counts.get("rows_per_second", 0.0)
        yield Gauge("surveyfit_sources_per_second", "Rate of the last minutes.", value=rate)
        left = counts.get("seconds_left")
        if left is not None:
            yield Gauge("surveyfit_seconds_left", "Estimate from the same rate.", value=left)


@contextmanager
def serve(port: int | None) -> Iterator[Metrics]:
    """Answer Prometheus at http://127.0.0.1:PORT/metrics until the block ends; nobody at None.

    Raises
    ------
    InputError
        If the port is taken, or Prometheus' library is not installed.
    """
    metrics = Metrics()
    if port is None:
        yield metrics
        return
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError as error:
        raise InputError(
            "--metrics: prometheus_client is not installed",
            "pip install 'surveyfit[metrics]', or leave it out",
        ) from error
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, LOOPBACK, registry)
    except OSError as error:
        raise InputError(
            f"--metrics {port}: {error.strerror}", "give another port, or leave it out"
        ) from error
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
