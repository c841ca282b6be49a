"""What a page says of a run as a whole, in words; and how it spells numbers."""

import shlex
from collections.abc import Mapping
from typing import Any

from surveyfit.report.page_run import RunFacts


def standing(facts: RunFacts) -> str:
    """Say how the run stands."""
    state = facts.record["state"]
    if state == "finished":
        return "Finished, with failures" if facts.failures else "Finished"
    words = {"running": "Not finished", "repaired": "Repaired, to be submitted again"}
    return words.get(state, state.capitalize())


def headline(facts: RunFacts) -> str:
    """Sum a run up in a line."""
    good = f", {facts.good / facts.rows:.0%} of them good" if facts.rows else ""
    images = plural(sum(bool(image.parts) for image in facts.images), "image")
    failed = plural(facts.n_failures, "failure") if facts.n_failures else "nothing failed"
    took = f"{duration(facts.record['seconds'])} on {facts.record['machine']['host']}"
    return f"{plural(facts.rows, 'source')}{good}, from {images}; {failed}. {took}."


def plural(number: int, noun: str) -> str:
    """Spell how many there are of something.

    >>> plural(1, "image"), plural(1234, "image")
    ('1 image', '1,234 images')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """Spell a time.

    >>> duration(0.0123), duration(12.34), duration(200), duration(9000)
    ('0.01 s', '12.3 s', '3 min 20 s', '2 h 30 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60} s"
    return f"{minutes // 60} h {minutes % 60} min"


def options(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the configuration that have a value, as they are called."""
    values = record["configuration"].items()
    return {k.replace("_", "-"): v for k, v in values if v not in (None, [], "")}


def quoted(path: object) -> str:
    """Spell a path as a shell takes it."""
    return shlex.quote(str(path))
