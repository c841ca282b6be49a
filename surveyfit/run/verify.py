"""Whether a run still is what it promised to be: every file that it has committed is read again.

A receipt carries the digest of its own text and those of all files of its piece. At the end of a
run run.json, which carries its own, gets the digests of the files that no receipt names; one of
them lists the receipts. So nothing can be changed, cut short or lost without being noticed.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surveyfit.run.catalogue import whole_batches
from surveyfit.run.directory import Receipt, RunDirectory
from surveyfit.run.pieces import STAGES, Stage
from surveyfit.run.sealed import DamagedError
from surveyfit.sky.parts import count_rows, repeated_ids

LINE_EVERY = 5.0
"""Seconds between lines about how much has been read."""

REPAIRED = "repaired"
"""State of a run from which something was removed in order to be made anew."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was promised.

    Attributes
    ----------
    path : Path
        The file.
    fault : str
        What is wrong with it.
    receipt : Path or None
        What vouches for it; without it the next submit does the piece again.
    read : bool
        Whether it could be read, or was found missing; else nobody knows what it holds.
    """

    path: Path
    fault: str
    receipt: Path | None = None
    read: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}"


class Extent:
    """How much has been read.

    Parameters
    ----------
    say : callable
        Takes a line about it every `LINE_EVERY` seconds.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = time.monotonic()
        self._files = 0
        self._bytes = 0
        self.faulty: set[Path] = set()

    def __str__(self) -> str:
        return f"{self._files} files, {self._bytes / 1e9:.3f} GB"

    def add(self, path: Path, faults: list[Finding]) -> list[Finding]:
        """Count a file and note what was found in it."""
        self._files += 1
        self._bytes += path.stat().st_size if path.exists() else 0
        self.faulty |= {finding.path for finding in faults}
        if time.monotonic() - self._said > LINE_EVERY:
            self._say(f"{self}, {len(self.faulty)} of them not as they were written")
            self._said = time.monotonic()
        return faults


def read_again(directory: RunDirectory, extent: Extent) -> Iterator[Finding]:
    """Yield whatever is not as it was promised.

    Of a run that has not come to its end all that has a receipt is promised. Of each part of the
    catalogue no more than the column of the identifiers is held in memory.
    """
    record = _read(directory.record_path, directory)
    if isinstance(record, Finding):
        yield Finding(directory.record_path, "damaged; submitting again writes it anew")
        record = {}
    yield from _files(record.get("files", {}), None, directory, extent)
    if record.get("state") == "finished":
        yield from _missing_receipts(directory)
        yield from _stray_parts(directory)
    for stage in STAGES:
        for path in directory.receipt_paths(stage):
            yield from _piece(path, record, directory, extent)
    yield from _repeated(directory, extent)


def remove(directory: RunDirectory, findings: Iterable[Finding]) -> None:
    """Delete what is damaged and what vouches for it, so that submitting again makes it anew.

    What could not be read is left, since it may be sound.
    """
    damaged = [finding for finding in findings if finding.read]
    if not damaged:
        return
    for finding in damaged:
        if finding.receipt is not None:
            finding.receipt.unlink(missing_ok=True)
        if finding.path != directory.record_path:
            finding.path.unlink(missing_ok=True)
    record = _read(directory.record_path, directory)
    if isinstance(record, dict):
        directory.write_record(record | {"state": REPAIRED})


def _read(path: Path, directory: RunDirectory) -> Receipt | Finding:
    """Read a receipt or another sealed file, or return what is wrong with it."""
    try:
        return directory.read_receipt(path)
    except (DamagedError, FileNotFoundError):
        return Finding(path, "damaged", path)
    except OSError as error:
        return _unreadable(path, error)


def _unreadable(path: Path, error: OSError) -> Finding:
    words = f"cannot be read now ({error.strerror}); it is left as it is: verify again later"
    return Finding(path, words, read=False)


def _files(
    digests: Mapping[str, str], receipt: Path | None, directory: RunDirectory, extent: Extent
) -> Iterator[Finding]:
    """Read files and compare them with their digests."""
    for name, digest in digests.items():
        path = directory.path / name
        try:
            faults = [Finding(path, f, receipt) for _, f in directory.faults({name: digest})]
        except OSError as error:
            faults = [_unreadable(path, error)]
        yield from extent.add(path, faults)


def _missing_receipts(directory: RunDirectory) -> Iterator[Finding]:
    promised = _read(directory.receipt_list, directory)
    for name in promised["receipts"] if isinstance(promised, dict) else ():
        path = directory.receipts / name
        if not path.exists():
            yield Finding(path, "missing")


def _stray_parts(directory: RunDirectory) -> Iterator[Finding]:
    """Find what others than surveyfit, which reads by the receipts, take for part of the table."""
    unknown = {path.name for path in directory.catalog.glob("*.parquet")}
    for path in directory.receipt_paths(Stage.FIT):
        receipt = _read(path, directory)
        if isinstance(receipt, dict) or not receipt.read:
            unknown.discard(directory.part_of(path).name)
    for name in sorted(unknown):
        yield Finding(directory.catalog / name, "a part without an intact receipt")


def _piece(
    path: Path, record: Mapping[str, Any], directory: RunDirectory, extent: Extent
) -> Iterator[Finding]:
    """Check a receipt and everything that it vouches for."""
    receipt = _read(path, directory)
    if isinstance(receipt, Finding):
        yield from extent.add(path, [receipt])
        return
    extent.add(path, [])
    if receipt["configuration"] != record.get("configuration_key", receipt["configuration"]):
        yield Finding(path, "of another configuration than run.json", path)
    faults = list(_files(receipt["files"], path, directory, extent))
    yield from faults
    if receipt["stage"] == Stage.FIT and not faults:
        part, rows = directory.catalog / receipt["result"]["part"], receipt["result"]["rows"]
        if (held := count_rows(part)) != rows:
            yield from extent.add(part, [Finding(part, f"holds {held} rows, not {rows}", path)])


def _repeated(directory: RunDirectory, extent: Extent) -> Iterator[Finding]:
    """Find sources that the catalogue lists more than once."""
    receipts = whole_batches(_intact_fits(directory))
    parts = (directory.catalog / receipt["result"]["part"] for receipt in receipts)
    for path, n in repeated_ids([path for path in parts if path not in extent.faulty]):
        words = f"{n} of its sources stand in the catalogue more than once"
        yield Finding(path, words, directory.receipt_of(path))


def _intact_fits(directory: RunDirectory) -> Iterator[Receipt]:
    for path in directory.receipt_paths(Stage.FIT):
        receipt = _read(path, directory)
        if isinstance(receipt, dict):
            yield receipt
