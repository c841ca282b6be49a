"""``RUN/report.html``: one page about a run, with its pictures inside, that opens from disk."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.report.certificate_page import certificate_page
from surveyfit.report.distributions import draw_errors, draw_fluxes, draw_snr
from surveyfit.report.gallery import Group, make_gallery
from surveyfit.report.page_run import RunFacts, read_facts
from surveyfit.report.page_sources import Sources
from surveyfit.report.page_sources import read_sources as read_rows
from surveyfit.report.quantities import plain
from surveyfit.report.sky_map import draw_sky
from surveyfit.run.directory import RunDirectory
from surveyfit.schema import FLAG_WORDS, GOOD, SCHEMA_VERSION
from surveyfit.sky.arrow_table import to_numpy
from surveyfit.sky.atomic import check_writable, replacing
from surveyfit.sky.parts import read_columns

REPORT = "report.html"

LISTED = 100
"""Rows of a table, at most; the page says how many are left out."""


SECTIONS = {
    "sky": "Sky",
    "images": "Images",
    "flags": "Flags",
    "fluxes": "Brightness",
    "errors": "Errors",
    "certificate": "Certificate",
    "gallery": "Sources",
    "failures": "Failures",
    "time": "Time",
    "made": "How it was made",
}
"""Headings by their place in the page."""

AT_ONCE = 20
"""Images that are seen without asking for more."""


@dataclass(frozen=True)
class FlagLine:
    """How many sources have a flag."""

    name: str
    words: str
    spoils: bool
    count: int


def write_report(run: Path, target: Path | None = None) -> Path:
    """Write the page of a run, finished or not.

    Parameters
    ----------
    run : Path
    target : Path, optional
        The file; ``report.html`` in the run's folder if not given.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the folder is no run or one of another version, a record or a part of the catalogue is
        damaged, or the file cannot be written.
    """
    directory = RunDirectory.open(run)
    path = target or run / REPORT
    check_writable(path.parent)
    if directory.record()["schema_version"] != SCHEMA_VERSION:
        remedy = "use the version that run.json names"
        raise InputError(f"{run}: made by another version of surveyfit", remedy)
    page = _render(_content(directory))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _content(directory: RunDirectory) -> dict[str, Any]:
    facts = read_facts(directory)
    sources = read_rows(directory, facts.images)
    fluxes, kinds_left_out = draw_fluxes(sources, facts.images)
    gallery, gallery_note = _gallery(directory, sources)
    rows = sources.rows
    return {
        "run": directory.path,
        "name": directory.path.resolve().name,
        "facts": facts,
        "record": facts.record,
        "state": _state(facts),
        "counts": _counts(facts),
        "failed": f"{_plural(n, 'failure')}" if (n := facts.n_failures) else "nothing failed",
        "took": f"{_seconds(facts.record['seconds'])} on {facts.record['machine']['host']}.",
        "sections": SECTIONS,
        "certificate": certificate_page(directory),
        "good_mask": GOOD,
        "spoiling": {flag for flag in FLAG_WORDS if flag & GOOD},
        "total_seconds": sum(seconds for _, seconds in facts.stages.values()) or 1.0,
        "without_place": int(np.count_nonzero(np.isnan(rows["ra"]))),
        "shown": len(rows["flags"]),
        "sky": draw_sky(rows["ra"], rows["dec"], sources.good, _outlines(directory)),
        "images": sorted(facts.images, key=lambda image: (-image.rows, image.name))[:LISTED],
        "flags": _flag_lines(sources),
        "fluxes": fluxes,
        "snr": draw_snr(sources),
        "flag_words": FLAG_WORDS,
        "kinds_left_out": kinds_left_out,
        "errors": draw_errors(sources),
        "gallery": gallery,
        "gallery_note": gallery_note,
        "failures": facts.failures[:LISTED],
        "configuration": _configuration(facts.record),
        "not_measured": facts.record.get("not_measured", [])[:LISTED],
        "at_once": AT_ONCE,
    }


def _outlines(directory: RunDirectory) -> dict[str, NDArray[np.float64]]:
    """Return the corners (4, 2) of the images whose place is known; none before a run's end."""
    if not directory.images.exists():
        return {}
    table = read_columns(directory.images, ["image", "corners"])
    corners = to_numpy(table["corners"]).reshape(-1, 4, 2)
    named = zip(table["image"].to_pylist(), corners, strict=True)
    return {image: outline for image, outline in named if np.isfinite(outline).all()}


def _state(facts: RunFacts) -> str:
    """Say how the run stands."""
    record = facts.record
    state = record["state"]
    if state == "finished":
        return "Finished, with failures" if facts.failures else "Finished"
    words = {"running": "Not finished", "repaired": "Repaired, to be submitted again"}
    return words.get(state, state.capitalize())


def _counts(facts: RunFacts) -> str:
    """Sum a run up in a line."""
    share = f", {facts.good / facts.rows:.0%} of them good" if facts.rows else ""
    measured = sum(bool(image.parts) for image in facts.images)
    return f"{_plural(facts.rows, 'source')}{share}, from {_plural(measured, 'image')}"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _flag_lines(sources: Sources) -> list[FlagLine]:
    """Return the flags that any source has: those first that spoil rows, the commonest first."""
    lines = [
        FlagLine(str(flag.name).lower(), words, bool(flag & GOOD), sources.flags[flag])
        for flag, words in FLAG_WORDS.items()
        if sources.flags[flag]
    ]
    return sorted(lines, key=lambda line: (not line.spoils, -line.count, line.name))


def _gallery(directory: RunDirectory, sources: Sources) -> tuple[list[Group], str]:
    """Return the gallery, or why there is none: a run can be read without its cutouts."""
    try:
        return make_gallery(directory, sources), ""
    except InputError as error:
        return [], str(error)


def _configuration(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that have a value, as they are called."""
    values = record["configuration"].items()
    return {k.replace("_", "-"): v for k, v in values if v not in (None, [], "")}


def _render(content: Mapping[str, Any]) -> str:
    """Fill the template; everything but our own pictures is escaped."""
    environment = Environment(
        loader=PackageLoader("surveyfit.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": "{:,}".format,
        "seconds": _seconds,
        "quoted": _quoted,
        "plain": plain,
    }
    return environment.get_template("report.html").render(content)


def _quoted(path: object) -> str:
    return shlex.quote(str(path))


def _seconds(seconds: float) -> str:
    """Spell a time.

    >>> _seconds(0.0123), _seconds(12.34), _seconds(200)
    ('0.01 s', '12.3 s', '3 min 20 s')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60} s"
    return f"{minutes // 60} h {minutes % 60} min"
