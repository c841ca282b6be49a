"""``RUN/report.html``: one page about a run, with its pictures inside, that opens from disk."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.report.certificate_page import certificate_page
from surveyfit.report.distributions import draw_errors, draw_fluxes, draw_snr
from surveyfit.report.gallery import Group, make_gallery
from surveyfit.report.page_run import read_facts
from surveyfit.report.page_sources import Sources
from surveyfit.report.page_sources import read_sources as read_rows
from surveyfit.report.page_words import duration, headline, options, quoted, standing
from surveyfit.report.quantities import plain
from surveyfit.report.sky_map import draw_sky
from surveyfit.run.directory import RunDirectory
from surveyfit.run.record import check_version
from surveyfit.schema import FLAG_WORDS, GOOD
from surveyfit.sky.arrow_table import to_numpy
from surveyfit.sky.atomic import replacing
from surveyfit.sky.export import check_place
from surveyfit.sky.find import printable, printable_texts
from surveyfit.sky.parts import read_columns

REPORT = "report.html"

LISTED = 100
"""Rows of a table, at most; the page says how many are left out."""

AT_ONCE = 20
"""Images that are seen without asking for more."""

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
    check_version(directory)
    check_place(path)
    page = _template().render(_content(directory))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _content(directory: RunDirectory) -> dict[str, Any]:
    facts = read_facts(directory)
    sources = read_rows(directory, facts.images)
    fluxes, kinds_left_out = draw_fluxes(sources, facts.images)
    gallery, gallery_note = _gallery(directory, sources)
    rows = sources.rows
    record = printable_texts(facts.record)
    return {
        "run": printable(str(directory.path)),
        "name": printable(directory.path.resolve().name),
        "facts": facts,
        "record": record,
        "standing": standing(facts),
        "headline": headline(facts),
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
        "configuration": options(record),
        "not_measured": record.get("not_measured", [])[:LISTED],
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


@cache
def _template() -> Template:
    """Compile the template, in which everything but our own pictures is escaped."""
    environment = Environment(
        loader=PackageLoader("surveyfit.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": "{:,}".format,
        "duration": duration,
        "quoted": quoted,
        "plain": plain,
    }
    return environment.get_template("report.html")
