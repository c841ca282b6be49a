"""How far a run is, from what is on disk; works with no cluster alive."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from surveyfit.run.directory import RunDirectory

STALE_AFTER = 120.0
"""Seconds without an update after which a run that says it is running is taken to be dead."""


@dataclass(frozen=True)
class Status:
    """State of a run in words and numbers."""

    state: str
    counts: dict[str, Any]
    seconds: float
    failures: int
    dashboard: str
    others: int

    @property
    def rate(self) -> float:
        """Catalogue rows a second."""
        return self.counts.get("rows", 0) / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the tiles that have ended; None where there is nothing to go by."""
        ended, total = self.counts.get("tiles_ended", 0), self.counts.get("tiles", 0)
        if self.state != "running" or not ended:
            return None
        return self.seconds * (total - ended) / ended

    def lines(self) -> list[str]:
        """Return what ``surveyfit status`` prints."""
        c = self.counts
        lines = [f"state      {self.state}, {self.seconds:.0f} s"]
        if c:
            lines += [
                f"images     {c['images_ended']} of {c['images']} ended",
                f"tiles      {c['tiles_ended']} of {c['tiles']} ended",
                f"sources    {c['rows']} ({c['good']} good), {self.rate:.0f} a second",
            ]
        lines.append(f"failures   {self.failures}" + (" (failures.json)" if self.failures else ""))
        if self.others:
            lines.append(f"not sky    {self.others} (masks, noise planes, duplicates: run.json)")
        if self.seconds_left is not None:
            lines.append(f"time left  about {self.seconds_left:.0f} s")
        if self.state == "running" and self.dashboard:
            lines.append(f"dashboard  {self.dashboard}")
        if self.state not in ("running", "finished"):
            lines.append("continue   submit again with the same images, options and -o")
        return lines


def read_status(directory: RunDirectory) -> Status:
    """Read the status of a run."""
    record = directory.record()
    state = record["state"]
    age = (datetime.now(UTC) - datetime.fromisoformat(record["updated"])).total_seconds()
    if state == "running" and age > STALE_AFTER:
        state = f"no sign of life for {age:.0f} s (killed, or a very slow task)"
    return Status(
        state=state,
        counts=record.get("counts", {}),
        seconds=record["seconds"],
        failures=record.get("failures", 0),
        dashboard=record["dashboard"],
        others=len(record.get("not_measured", [])),
    )
