"""run.json: what was asked for, with what it runs, how far it is, how it ended."""

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from surveyfit.errors import InputError
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pace import Pace
from surveyfit.run.pieces import Outcome, Stage
from surveyfit.run.tally import Tally
from surveyfit.schema import SCHEMA_VERSION

RECORD_EVERY = 2.0
"""Seconds between updates, from which ``surveyfit status`` reads."""

PACKAGES = ("surveyfit", "jax", "jaxlib", "numpy", "dask", "distributed", "astropy", "zarr", "sep")


class Record:
    """Keeps run.json up to date."""

    def __init__(
        self, directory: RunDirectory, config: Config, execution: Execution, dashboard: str
    ) -> None:
        self._directory = directory
        self._began = time.monotonic()
        self._written = -RECORD_EVERY
        self._count: Callable[[], dict[str, Any]] = dict
        self._unopened = 0
        self._content: dict[str, Any] = {
            "state": "running",
            "schema_version": SCHEMA_VERSION,
            "command": shlex.join(sys.argv),
            "folder": os.getcwd(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "configuration": config.to_dict(),
            "configuration_key": config.key(),
            "execution": asdict(execution),
            "versions": {name: version(name) for name in PACKAGES},
            "machine": {
                "host": platform.node(),
                "python": platform.python_version(),
                "system": platform.platform(),
            },
            "dashboard": dashboard,
        }
        self.end("running")

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._began, 3)

    @property
    def heading(self) -> str:
        """What begins where and with what: the first lines in the log."""
        content = self._content
        machine, versions = content["machine"], content["versions"]
        return "\n".join(
            [
                f"start: {content['command']}",
                f"in {content['folder']} on {machine['host']}, process {os.getpid()}",
                f"{machine['system']}, Python {machine['python']}",
                ", ".join(f"{name} {version}" for name, version in versions.items()),
                ", ".join(f"{k}={v}" for k, v in content["configuration"].items() if v is not None),
            ]
        )

    def counts(self) -> dict[str, Any]:
        """Return the counts of this moment; empty before there are any."""
        return self._count()

    def opening(self, outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
        """Pass the outcomes of the first stage on, noting how many of the files are opened."""
        pace = Pace({Stage.OPEN: total})
        # How much work the files hold is known when they are open.
        self._count = lambda: pace.to_dict() | {"seconds_left": None}
        for outcome in outcomes:
            pace.add(outcome)
            self._write_if_due()
            yield outcome
        self._unopened = pace.failures

    def update(self, tally: Tally) -> None:
        """Note the counts; write them only now and then."""

        def count() -> dict[str, Any]:
            counts = tally.counts()
            return counts | {"failures": counts["failures"] + self._unopened}

        self._count = count
        self._write_if_due()

    def _write_if_due(self) -> None:
        if time.monotonic() - self._written > RECORD_EVERY:
            self.end("running")

    def note(self, **values: Any) -> None:
        """Add or replace entries."""
        self._content |= values

    def end(self, state: str) -> None:
        """Write the record with its state: running, finished, stopped or interrupted."""
        self._written = time.monotonic()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._content |= {"state": state, "updated": now, "seconds": self.elapsed}
        self._content["counts"] = self.counts()
        self._directory.write_record(self._content)


def check_version(directory: RunDirectory) -> None:
    """Refuse a run whose catalogue has the columns of another version.

    Raises
    ------
    InputError
        Naming that version.
    """
    record = directory.record()
    if record["schema_version"] != SCHEMA_VERSION:
        raise made_by_another_version(directory)


def made_by_another_version(directory: RunDirectory) -> InputError:
    """Return the error about a run that this version cannot go on with."""
    record = directory.record()
    return InputError(
        f"{directory.path} was made by another version of surveyfit"
        f" ({record['versions']['surveyfit']}, schema {record['schema_version']})",
        "submit the images into a new run with this one",
    )
