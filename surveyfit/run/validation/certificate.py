"""The certificate of a run, on disk and in words: ``RUN/validation/certificate.json``."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from surveyfit.run.directory import RunDirectory
from surveyfit.run.sealed import read_sealed, write_sealed
from surveyfit.run.validation.match import QUANTITIES
from surveyfit.run.validation.statistics import Pulls, Recovery
from surveyfit.run.validation.verdict import Answer, Verdict, snr_words

FOLDER = "validation"
"""What lies below a run of its validation; the run itself knows nothing of it."""


@dataclass(frozen=True)
class ValidationFiles:
    """Where the validation of a run lies."""

    folder: Path

    @classmethod
    def of(cls, run: Path) -> "ValidationFiles":
        """Return the paths below a run."""
        return cls(run / FOLDER)

    @property
    def lock(self) -> Path:
        """Held while a validation works."""
        return self.folder / "lock"

    @property
    def injected(self) -> Path:
        """The artificial sources as they were drawn."""
        return self.folder / "injected.parquet"

    @property
    def run(self) -> Path:
        """The run directory of the images with the artificial sources in them."""
        return self.folder / "run"

    @property
    def rows(self) -> Path:
        """Truth and measurement of every artificial source."""
        return self.folder / "certificate.parquet"

    @property
    def certificate(self) -> Path:
        """Tables and verdict."""
        return self.folder / "certificate.json"


@dataclass(frozen=True)
class Certificate:
    """What a validation has found.

    Attributes
    ----------
    request : dict
        What it is about: see `request_of`.
    verdict : Verdict
    counts : dict of str to int
        injected, missed, ambiguous, not_good, good, spurious, lost, images, failures.
    recoveries : tuple of Recovery
    pulls : tuple of Pulls
        By S/N bin, then by quantity.
    images : tuple of str
        Names of those that held artificial sources.
    notes : tuple of str
    """

    request: dict[str, Any]
    verdict: Verdict
    counts: dict[str, int]
    recoveries: tuple[Recovery, ...]
    pulls: tuple[Pulls, ...]
    images: tuple[str, ...]
    notes: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all; numbers that are not finite become null."""
        write_sealed(path, _without_nan(asdict(self)))


def request_of(directory: RunDirectory, sources: int, seed: int) -> dict[str, Any]:
    """Return what decides a certificate: the run as it is now, the number of sources, the seed.

    A submit that changes anything in a run, were it another mask, writes anew when it ended.
    """
    record = directory.record()
    return {
        "sources": sources,
        "seed": seed,
        "configuration_key": record["configuration_key"],
        "inputs": record["inputs"],
        "run_ended": record["updated"],
        "versions": record["versions"],
    }


def read_certificate(run: Path) -> Certificate | None:
    """Read the certificate of a run; None if it has none, or has changed since it was given.

    Raises
    ------
    DamagedError
        If it is not as it was written.
    """
    try:
        content = read_sealed(ValidationFiles.of(run).certificate)
    except FileNotFoundError:
        return None
    content.pop("sha256", None)
    request = content["request"]
    if request != request_of(RunDirectory.open(run), request["sources"], request["seed"]):
        return None
    verdict = content["verdict"]
    return Certificate(
        request=request,
        verdict=Verdict(
            answer=Answer(verdict["answer"]),
            line=verdict["line"],
            judged=tuple(_from_json(Pulls, row) for row in verdict["judged"]),
            faults=tuple(verdict["faults"]),
        ),
        counts=content["counts"],
        recoveries=tuple(_from_json(Recovery, row) for row in content["recoveries"]),
        pulls=tuple(_from_json(Pulls, row) for row in content["pulls"]),
        images=tuple(content["images"]),
        notes=tuple(content["notes"]),
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _from_json(kind: type[Any], row: dict[str, Any]) -> Any:
    """Build a record whose numbers were null where they were NaN, or infinite for ``high``."""
    missing = {f.name: np.inf if f.name == "high" else np.nan for f in fields(kind)}
    return kind(**{name: missing[name] if value is None else value for name, value in row.items()})


def lines(certificate: Certificate) -> Iterator[str]:
    """Yield the certificate as text: tables of up to 100 columns, the verdict at the end."""
    counts = certificate.counts
    yield (
        f"{counts['injected']} artificial sources in {counts['images']} images: "
        f"{counts['good']} good, {counts['not_good']} flagged, {counts['missed']} missed, "
        f"{counts['ambiguous']} ambiguous"
    )
    yield f"{counts['spurious']} other new detections, {counts['lost']} sources of the run lost"
    yield from failure_words(certificate)
    yield from certificate.notes
    yield ""
    yield "S/N          put in  found  good  complete      peak flux        total flux"
    for row in certificate.recoveries:
        yield (
            f"{snr_words(row.low, row.high):12s} {row.injected:6d} {row.found:6d} {row.good:5d} "
            f" {_with_error(row.completeness, row.completeness_err, '5.2f', '.2f')}"
            f"  {_with_error(row.flux_peak_bias, row.flux_peak_bias_err, '+.3f', '.3f')}"
            f"  {_with_error(row.flux_int_bias, row.flux_int_bias_err, '+.3f', '.3f')}"
        )
    yield ""
    yield "(fitted - true) / error: median, spread; right are 0 and 1"
    yield f"{'S/N':12s}" + "".join(f"{name:>12s}" for name in QUANTITIES)
    for low, high in dict.fromkeys((p.low, p.high) for p in certificate.pulls):
        cells = (p for p in certificate.pulls if (p.low, p.high) == (low, high))
        yield f"{snr_words(low, high):12s}" + "".join(map(_cell, cells))
    yield ""
    if certificate.verdict.judged:
        yield "judged        S/N            n    median        spread        within 1, 2 errors"
    for p in certificate.verdict.judged:
        yield (
            f"{p.quantity:12s}  {snr_words(p.low, p.high):12s} {p.n:4d}  {p.median:+.2f} "
            f"±{p.median_err:.2f}  {p.spread:5.2f} ±{p.spread_err:.2f}   {p.within_1:.2f}, "
            f"{p.within_2:.3f}"
        )
    yield ""
    yield f"Can the errors of this run be believed? {certificate.verdict.line}"


def failure_words(certificate: Certificate) -> Iterator[str]:
    """Yield a line if pieces of work failed: artificial sources in them count as missed."""
    if failures := certificate.counts["failures"]:
        yield (
            f"{failures} failed, see validation/run/failures.json; their artificial sources may"
            " count as missed. The same command retries them"
        )


def _with_error(value: float, error: float, form: str, error_form: str) -> str:
    words = f"{value:{form}} ±{error:{error_form}}"
    return words if np.isfinite(value) else f"{'-':>{len(words)}s}"


def _cell(p: Pulls) -> str:
    return f"{p.median:+7.2f}{p.spread:5.2f}" if p.n else f"{'-':>12s}"
