"""What Prometheus is told, read by its own parser."""

import socket
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from surveyfit.errors import InputError
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.metrics import LOOPBACK, serve
from surveyfit.run.pipeline import submit

COUNTS = {
    "stages": {"cut-tile": {"total": 48, "ended": 30}},
    "failures": 2,
    "rows": 4000,
    "good": 3000,
    "rows_per_second": 250.0,
    "seconds_left": 90.0,
}

Samples = dict[tuple[str, tuple[str, ...]], float]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def scraped(port: int) -> Samples:
    """Ask as Prometheus does; the samples by name and labels."""
    with urlopen(f"http://{LOOPBACK}:{port}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {(s.name, tuple(s.labels.values())): s.value for f in families for s in f.samples}


def test_the_counts_are_told_by_stage() -> None:
    port = free_port()
    with serve(port) as metrics:
        assert scraped(port)["surveyfit_failures", ()] == 0
        metrics.follow(lambda: COUNTS)
        assert scraped(port) == {
            ("surveyfit_work", ("cut-tile", "ended")): 30,
            ("surveyfit_work", ("cut-tile", "left")): 18,
            ("surveyfit_failures", ()): 2,
            ("surveyfit_sources", ("good",)): 3000,
            ("surveyfit_sources", ("flagged",)): 1000,
            ("surveyfit_sources_per_second", ()): 250,
            ("surveyfit_seconds_left", ()): 90,
        }


def test_the_port_is_this_machines_only_and_closed_afterwards() -> None:
    port = free_port()
    with serve(port), socket.socket() as other:
        other.bind(("127.0.0.2", port))  # taken if it listened on all addresses
    with socket.socket() as probe:
        assert probe.connect_ex((LOOPBACK, port)) != 0


def test_a_taken_port_is_refused_before_anything_is_written(survey: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--metrics {port}: "):
            submit([str(survey)], tmp_path / "run", Config(), Execution(workers=0, metrics=port))
    assert not (tmp_path / "run").exists()


def test_a_run_tells_the_counts_that_it_records(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked at the last moment, when the catalogue is written."""
    from surveyfit.run import pipeline

    port, seen = free_port(), dict[tuple[str, tuple[str, ...]], float]()
    write = pipeline.write_catalogue

    def ask_and_write(*arguments: object) -> object:
        seen.update(scraped(port))
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "write_catalogue", ask_and_write)
    execution = Execution(workers=0, quiet=True, metrics=port)
    assert submit([str(survey)], tmp_path / "run", Config(), execution) == 0
    counts = RunDirectory(tmp_path / "run").record()["counts"]
    assert seen["surveyfit_sources", ("good",)] == counts["good"] > 0
    assert seen["surveyfit_work", ("cut-tile", "left")] == 0
    assert seen["surveyfit_work", ("fit-batch", "ended")] == counts["stages"]["fit-batch"]["ended"]
