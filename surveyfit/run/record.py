"""run.json: what was asked for, with what it runs, how far it is, how it ended."""

import platform
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
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
        self._content: dict[str, Any] = {
            "state": "running",
            "schema_version": SCHEMA_VERSION,
            "command": " ".join(sys.argv),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "configuration": config.to_dict(),
            "configuration_key": config.key(),
            "execution": asdict(execution),
            "versions": {name: version(name) for name in PACKAGES},
            "machine": {"python": platform.python_version(), "system": platform.platform()},
            "dashboard": dashboard,
        }
        self.end("running")

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._began, 3)

    def update(self, tally: Tally) -> None:
        """Note the counts; write them only now and then."""
        self._content["counts"] = {
            "images": len(tally.images),
            "images_ended": sum(t.ended for t in tally.images.values()),
            "tiles": tally.n_tiles,
            "tiles_ended": tally.tiles_ended,
            "rows": tally.rows,
            "good": sum(t.good for t in tally.images.values()),
            "pieces_worked": tally.worked,
            "pieces_resumed": tally.resumed,
            **tally.pace.to_dict(),
        }
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
        self._directory.write_record(self._content)
