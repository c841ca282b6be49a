"""How far a run is, from what is on disk; works with no cluster alive."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from surveyfit.run.directory import RunDirectory
from surveyfit.run.lock import SILENCE
from surveyfit.run.record import RECORD_EVERY

STALE_AFTER = 2 * RECORD_EVERY + SILENCE
"""Seconds without a sign of life after which a run that says it is running is taken to be dead."""

NOUNS = {
    "open-file": "files opened",
    "measure-noise": "images, noise measured",
    "cut-tile": "tiles cut",
    "fit-batch": "tiles fitted",
}
"""What is counted in each stage."""


@dataclass(frozen=True)
class Status:
    """State of a run in words and numbers.

    Attributes
    ----------
    state : str
    counts : dict
        As in run.json; empty before any piece has ended.
    seconds : float
        Since the last submit.
    age : float
        Seconds since run.json was written.
    failures, others : int
        Failures, and parts of files that are not measured as sky.
    dashboard : str
        Its address, if there is one.
    """

    state: str
    counts: dict[str, Any]
    seconds: float
    age: float
    failures: int
    dashboard: str
    others: int

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the recent pace; None where there is nothing to go by."""
        left = self.counts.get("seconds_left")
        if self.state != "running" or left is None:
            return None
        return max(0.0, float(left) - self.age)

    def lines(self) -> list[str]:
        """Return what ``surveyfit status`` prints."""
        lines = [f"state      {self.state}, {_time(self.seconds)}"]
        lines += [f"{'work' if i == 0 else '':10s} {line}" for i, line in enumerate(self._work())]
        if "rows" in self.counts:
            lines.append(f"sources    {self._sources()}")
        lines.append(f"failures   {self.failures}" + (" (log.txt)" if self.failures else ""))
        if self.others:
            lines.append(f"not sky    {self.others} (masks, noise planes, duplicates: run.json)")
        if self.seconds_left is not None:
            lines.append(f"time left  about {_time(self.seconds_left)}")
        if self.state == "running" and self.dashboard:
            lines.append(f"dashboard  {self.dashboard}")
        if self.state not in ("running", "finished"):
            lines.append("continue   submit again with the same images, options and -o")
        return lines

    def _work(self) -> list[str]:
        stages = self.counts.get("stages", {})
        lines = [f"{s['ended']} of {s['total']} {NOUNS[name]}" for name, s in stages.items()]
        if "images" in self.counts:
            lines.append(f"{self.counts['images_ended']} of {self.counts['images']} images ended")
        return lines

    def _sources(self) -> str:
        rows, good = self.counts["rows"], self.counts["good"]
        words = f"{rows}" + (f", {good / rows:.1%} good" if rows else "")
        if self.state == "running":
            words += f", {self.counts['rows_per_second']:.0f} a second of late"
        elif rows and self.seconds:
            words += f", {self.counts['rows_worked'] / self.seconds:.0f} a second"
        return words


def _time(seconds: float) -> str:
    """Return a time in words.

    >>> _time(43.2), _time(190), _time(9000)
    ('43 s', '3 min 10 s', '2 h 30 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def read_status(directory: RunDirectory) -> Status:
    """Read the status of a run.

    Raises
    ------
    DamagedError
        If run.json is not as it was written.
    """
    record = directory.record()
    state, seconds = record["state"], record["seconds"]
    now = datetime.now(UTC)
    written = datetime.fromisoformat(record["updated"])
    age = (now - written).total_seconds()
    if state == "running":
        seconds += age
        silence = (now - max(written, _last_beat(directory, written))).total_seconds()
        if silence > STALE_AFTER:
            state = f"no sign of life for {_time(silence)}: killed"
            seconds = record["seconds"]
    return Status(
        state=state,
        counts=record.get("counts", {}),
        seconds=seconds,
        age=age,
        failures=record.get("counts", {}).get("failures", 0),
        dashboard=record["dashboard"],
        others=len(record.get("not_measured", [])),
    )


def _last_beat(directory: RunDirectory, otherwise: datetime) -> datetime:
    """When the submit that works on a run has last shown that it lives, by its lock."""
    try:
        return datetime.fromtimestamp(directory.lock_path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return otherwise
