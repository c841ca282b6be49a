"""What the certificate of a run says, and its pictures; or how to get one."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.report.figures import (
    FLAGGED_COLOUR,
    GOOD_COLOUR,
    INK,
    legend,
    logarithmic,
    new_figure,
    plain_axes,
    to_svg,
)
from surveyfit.run.directory import RunDirectory
from surveyfit.run.validation.certificate import ValidationFiles, failure_words, read_certificate
from surveyfit.run.validation.statistics import Pulls, Recovery
from surveyfit.run.validation.verdict import WELL_ABOVE, Answer, snr_words
from surveyfit.sky.parts import read_columns

INJECT = 1000
"""Artificial sources that are suggested: enough to see errors that are wrong by a tenth."""

PAIRS = {
    "positions": ("x", "y"),
    "fluxes": ("flux_peak", "flux_int"),
    "sizes": ("fit_sigma", "maj_pix"),
}
"""Quantities whose pulls share a picture."""

LARGEST_PULL = 5.0
"""Pulls beyond it are counted in the outermost bins."""

PULL_BIN = 0.5

HALF = 0.5
"""Completeness below which the sources that are found are those that noise has made brighter."""

MARKED = (3, 5, 10, 20, 50, 100)
"""Signal to noise ratios that are written at an axis."""

COLOURS = (GOOD_COLOUR, FLAGGED_COLOUR)


@dataclass(frozen=True)
class JudgedLine:
    """A row of the table on which the answer rests."""

    quantity: str
    snr: str
    pulls: Pulls


@dataclass(frozen=True)
class CertificatePage:
    """The answer of ``surveyfit validate`` as the page tells it.

    Attributes
    ----------
    mood : str
        ``yes``, ``no`` or ``open``: how the line is marked.
    line : str
        One sentence.
    command : str
        What makes a certificate; empty where there is one.
    """

    mood: str
    line: str
    command: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    judged: tuple[JudgedLine, ...] = ()
    figures: dict[str, Markup] = field(default_factory=dict)


def certificate_page(directory: RunDirectory) -> CertificatePage:
    """Read the certificate of a run."""
    command = f"surveyfit validate {shlex.quote(str(directory.path))} --inject {INJECT}"
    files = ValidationFiles.of(directory.path)
    if not directory.is_finished():
        return CertificatePage("open", "Not known: only a finished run can be checked.")
    if not files.certificate.exists():
        return CertificatePage("open", "Not known, nobody has checked yet. This does:", command)
    try:
        certificate = read_certificate(directory.path)
        pulls = _pulls(files.rows)
    except InputError as error:
        return CertificatePage("open", f"Not known: {error}. Make it anew:", command)
    if certificate is None:
        old = "Not known: the run has changed since its errors were checked. Check again:"
        return CertificatePage("open", old, command)
    verdict, rows = certificate.verdict, certificate.recoveries
    return CertificatePage(
        mood="open" if verdict.answer is Answer.CANNOT_TELL else str(verdict.answer),
        line=verdict.line,
        counts=certificate.counts,
        notes=(*failure_words(certificate), *certificate.notes),
        judged=tuple(JudgedLine(p.quantity, snr_words(p.low, p.high), p) for p in verdict.judged),
        figures={
            "Share of the artificial sources that were found": _completeness(rows),
            "Median flux of the good ones, where at least half were found": _bias(rows),
            **pulls,
        },
    )


def _completeness(recoveries: tuple[Recovery, ...]) -> Markup:
    figure = new_figure()
    axes = plain_axes(figure, "true signal to noise", "found / put in")
    _mark(axes)
    rows = [row for row in recoveries if row.injected]
    axes.errorbar(
        _middles(rows),
        [row.completeness for row in rows],
        yerr=[row.completeness_err for row in rows],
        fmt="o-",
        color=GOOD_COLOUR,
    )
    axes.set_ylim(-0.02, 1.05)
    return to_svg(figure, "Completeness against signal to noise")


def _bias(recoveries: tuple[Recovery, ...]) -> Markup:
    figure = new_figure()
    axes = plain_axes(figure, "true signal to noise", "measured / true - 1")
    _mark(axes)
    rows = [row for row in recoveries if row.good and row.completeness >= HALF]
    for name, colour in zip(("flux_peak", "flux_int"), COLOURS, strict=True):
        axes.errorbar(
            _middles(rows),
            [getattr(row, f"{name}_bias") for row in rows],
            yerr=[getattr(row, f"{name}_bias_err") for row in rows],
            fmt="o",
            color=colour,
            label=name,
        )
    axes.axhline(0, color=INK, linewidth=0.8, linestyle="--")
    legend(axes)
    return to_svg(figure, "Bias of the fluxes against signal to noise")


def _mark(axes: Axes) -> None:
    """Make the abscissa logarithmic, with the signal to noise ratios that people think in."""
    logarithmic(axes, "x")
    axes.set_xticks(MARKED, [str(snr) for snr in MARKED])


def _middles(rows: list[Recovery]) -> NDArray[np.float64]:
    """Return the geometric middles of the bins; the last one, without an end, is taken as 1:2."""
    low = np.array([row.low for row in rows])
    high = np.array([row.high for row in rows])
    return np.sqrt(low * np.where(np.isfinite(high), high, 2 * low))


def _pulls(path: Path) -> dict[str, Markup]:
    """Draw the pulls of good artificial sources well above the limit."""
    names = [f"pull_{name}" for pair in PAIRS.values() for name in pair]
    table = read_columns(path, ["snr", *names])
    bright = table["snr"].to_numpy() >= WELL_ABOVE
    drawn = {}
    for what, pair in PAIRS.items():
        pulls = {name: table[f"pull_{name}"].to_numpy()[bright] for name in pair}
        finite = {name: values[np.isfinite(values)] for name, values in pulls.items()}
        if any(len(values) for values in finite.values()):
            words = f"Pulls of {what} at S/N above {WELL_ABOVE:g}: (fitted - true) / error"
            drawn[words] = _draw_pulls(finite, words)
    return drawn


def _draw_pulls(pulls: dict[str, NDArray[np.float64]], words: str) -> Markup:
    figure = new_figure()
    axes = plain_axes(figure, "(fitted - true) / error", "share of sources, per unit")
    edges = np.arange(-LARGEST_PULL, LARGEST_PULL + PULL_BIN, PULL_BIN)
    for (name, values), colour in zip(pulls.items(), COLOURS, strict=True):
        shown = np.clip(values, -LARGEST_PULL, LARGEST_PULL)
        axes.hist(
            shown,
            bins=edges.tolist(),
            density=True,
            histtype="step",
            color=colour,
            linewidth=1.5,
            label=name,
        )
    pull = np.linspace(-LARGEST_PULL, LARGEST_PULL, 101)
    normal = np.exp(-(pull**2) / 2) / np.sqrt(2 * np.pi)
    axes.plot(pull, normal, "--", color=INK, linewidth=1.2, label="right errors")
    legend(axes)
    return to_svg(figure, words)
