"""The run directory: its record, its receipts, its failures, and where everything lies."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from surveyfit.errors import InputError
from surveyfit.run.config import Config
from surveyfit.run.pieces import STAGES, Failure, Outcome, Piece, Stage, halves, overlapping
from surveyfit.run.sealed import MEND, DamagedError, read_sealed, write_json, write_sealed
from surveyfit.sky.atomic import file_digest, noticing_full_disk, remove, remove_temporary
from surveyfit.sky.find import file_state
from surveyfit.sky.image import Image
from surveyfit.sky.store import RunStores

RECORD = "run.json"
MARK = "surveyfit run"
"""Value of ``kind`` in run.json: nothing without it is ever resumed or deleted."""

LOCK = "lock"
"""A file that is there while a submit works; see `surveyfit.run.lock`."""


Receipt = dict[str, Any]
"""stage, key, configuration, name, path, image, contents, companions, tiles, seconds, process, the
stage's result, and files: the SHA-256 of every file that the piece has written, by path below the
run."""


def is_run(path: Path) -> bool:
    """Whether a folder is a run directory, be its record damaged."""
    directory = RunDirectory(path)
    try:
        return directory.record().get("kind") == MARK
    except (FileNotFoundError, NotADirectoryError):
        return False
    except DamagedError:
        return directory.receipts.is_dir() and directory.catalog.is_dir()


class RunDirectory:
    """Paths and records of one run; holds no state of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_path = path / RECORD
        self.receipts = path / "receipts"
        self.catalog = path / "catalog.parquet"
        self.catalog_fits = path / "catalog.fits"
        self.images = path / "images.parquet"
        self.failures_path = path / "failures.json"
        self.receipt_list = path / "receipts.json"
        self.lock_path = path / LOCK
        self.stores = RunStores.of(path)

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Return an existing run.

        Raises
        ------
        InputError
            If the folder is no run directory.
        """
        if not is_run(path):
            raise InputError(
                f"{path}: not a run directory (no {RECORD} of surveyfit in it)",
                "give the folder that 'surveyfit submit -o' wrote",
            )
        return cls(path)

    def check_outside(self, target: Path) -> None:
        """Refuse to write an export among the run's own files, one of which it might replace.

        Raises
        ------
        InputError
            If the target lies in the run directory.
        """
        if self.path.resolve() in target.resolve().parents:
            raise InputError(f"{target} lies in the run itself", "write it somewhere else")

    def prepare(self, overwrite: bool) -> None:
        """Make the folder; with ``overwrite`` delete an earlier run first, all but its record.

        What lies in it is made after the record, without which a folder is not taken for a run.
        """
        if overwrite and is_run(self.path):
            self._clear()
        self.path.mkdir(parents=True, exist_ok=True)
        for folder in (self.path, self.receipts, self.catalog, self.stores.noise):
            remove_temporary(folder)

    def fill(self) -> None:
        """Make what lies in the folder."""
        with noticing_full_disk(self.path):
            for folder in (self.receipts, self.catalog):
                folder.mkdir(exist_ok=True)
        self.stores.create()

    def end_marker(self) -> dict[str, Any]:
        """Return what the record of a finished run promises beside what each receipt does.

        ``files``: the SHA-256 of files that no receipt names; one of them lists the receipts, since
        a lost one would not be missed. ``receipts``: their number by stage.
        """
        names = {stage: [path.name for path in self.receipt_paths(stage)] for stage in STAGES}
        write_sealed(self.receipt_list, {"receipts": [n for stage in STAGES for n in names[stage]]})
        results = (self.catalog_fits, self.images, self.failures_path, self.receipt_list)
        paths = [path for path in (*results, self.stores.metadata) if path.exists()]
        return {
            "files": self.named({path: file_digest(path) for path in paths}),
            "receipts": {stage: len(names[stage]) for stage in STAGES},
        }

    def is_finished(self) -> bool:
        """Whether an earlier submit came to its end and its results are there."""
        try:
            record = self.record()
        except (FileNotFoundError, DamagedError):
            return False
        results = record.get("files", {})
        return record["state"] == "finished" and all((self.path / f).exists() for f in results)

    def named(self, digests: Mapping[Path, str]) -> dict[str, str]:
        """Name files by their path below the run, as a receipt does."""
        return {path.relative_to(self.path).as_posix(): d for path, d in digests.items()}

    def _clear(self) -> None:
        """Delete what a run has made, what vouches for it first; a kill leaves a run to resume."""
        if self.receipts.exists():
            shutil.rmtree(self.receipts)
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path not in (self.record_path, self.lock_path):
                path.unlink()

    def record(self) -> dict[str, Any]:
        """Read run.json.

        Raises
        ------
        DamagedError
            If it is not as it was written.
        """
        return read_sealed(self.record_path)

    def write_record(self, content: Mapping[str, Any]) -> None:
        """Write run.json."""
        write_sealed(self.record_path, {"kind": MARK, **content})

    def write_failures(self, failures: Sequence[Failure]) -> None:
        """Write failures.json, a row for every file, image or tile that failed."""
        write_json(self.failures_path, [f.to_dict() for f in failures])

    def part_path(self, piece: Piece) -> Path:
        """Return where the catalogue part of a tile lies."""
        return self.catalog / f"{piece.path_stem}.parquet"

    def part_of(self, receipt: Path) -> Path:
        """Return the part that the receipt of a fit vouches for."""
        stem = receipt.stem.removeprefix(f"{Stage.FIT}-")
        return self.catalog / f"{stem}.parquet"

    def receipt_of(self, part: Path) -> Path:
        """Return the receipt that vouches for a part; the inverse of `part_of`."""
        return self.receipts / f"{Stage.FIT}-{part.stem}.json"

    def receipt_path(self, piece: Piece) -> Path:
        """Return where the receipt of a piece lies."""
        return self.receipts / f"{piece.stage}-{piece.path_stem}.json"

    def write_receipt(self, outcome: Outcome, digests: Mapping[Path, str], config: Config) -> None:
        """Commit a piece: written after its data, so that what has a receipt is complete.

        Parameters
        ----------
        outcome : Outcome
        digests : mapping of Path to str
            SHA-256 of every file that the piece has written.
        config : Config
        """
        piece = outcome.piece
        write_sealed(
            self.receipt_path(piece),
            {
                "stage": piece.stage,
                "key": piece.key,
                "configuration": config.key(),
                "name": piece.name,
                "path": piece.path,
                "image": piece.image.key if piece.image is not None else "",
                "contents": contents_of(piece.image) if piece.image is not None else [],
                "companions": piece.image.companions_digest if piece.image is not None else "",
                "tiles": [tile.label for tile in piece.tiles],
                "seconds": outcome.seconds,
                "process": {"host": socket.gethostname(), "pid": os.getpid()},
                "result": outcome.result,
                "files": self.named(digests),
            },
        )

    def withdraw_receipt(self, piece: Piece) -> None:
        """Vouch no more for what is about to be written again."""
        remove(self.receipt_path(piece))

    def withdraw_overlapping(self, piece: Piece, config: Config) -> None:
        """Vouch no more for other batches with tiles of this one, which has been fitted anew."""
        own, tiles = self.receipt_path(piece), {tile.label for tile in piece.tiles}
        for path in map(self.receipt_path, overlapping(piece, config)):
            if path == own or not path.exists():
                continue
            try:
                shared = not tiles.isdisjoint(self.read_receipt(path)["tiles"])
            except DamagedError:
                shared = True  # it vouches for nothing
            if shared:
                remove(path)

    def resume(self, piece: Piece, config: Config, say: Callable[[str], None]) -> Outcome | None:
        """Return the outcome of a piece that was committed earlier, whole or in halves, or None.

        Parameters
        ----------
        piece : Piece
        config : Config
        say : callable
            Told about a receipt that is damaged, whose piece is done again.
        """
        receipt = self._valid_receipt(piece, say)
        if receipt is not None:
            return Outcome(piece, receipt["result"], receipt["seconds"], resumed=True)
        if piece.stage is not Stage.FIT or len(piece.tiles) == 1:
            return None
        outcomes = []
        for half in halves(piece, config):
            outcome = self.resume(half, config, say)
            if outcome is None:
                return None
            outcomes.append(outcome)
        result = {name: sum(o.result[name] for o in outcomes) for name in ("rows", "good")}
        return Outcome(piece, result, sum(o.seconds for o in outcomes), resumed=True)

    def _valid_receipt(self, piece: Piece, say: Callable[[str], None]) -> Receipt | None:
        path = self.receipt_path(piece)
        try:
            receipt = self.read_receipt(path)
        except FileNotFoundError:
            return None
        except DamagedError:
            say(f"{path} is damaged: {piece.stage} of {piece.name} {piece.label} is done again")
            return None
        if receipt["key"] != piece.key or _have_changed(receipt["result"].get("companions", {})):
            return None
        return receipt

    def check_files(self, piece: Piece) -> dict[str, Any]:
        """Read all files that a piece has written, before another one builds on them.

        Returns
        -------
        dict
            The result of the piece.

        Raises
        ------
        DamagedError
            If one is missing, not as it was committed, or of another measurement than the piece.
        OSError
            If one cannot be read now.
        """
        path = self.receipt_path(piece)
        try:
            receipt = self.read_receipt(path)
        except FileNotFoundError as error:
            raise DamagedError(f"{path} is missing", MEND) from error
        if receipt["key"] != piece.key:
            raise DamagedError(f"{path} is of another measurement", "submit again")
        for path, fault in self.faults(receipt["files"]):
            raise DamagedError(f"{path} is {fault}", MEND)
        result: dict[str, Any] = receipt["result"]
        return result

    def faults(self, digests: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
        """Yield the files that are not as their digests say, each with what is wrong in words.

        Raises
        ------
        OSError
            If one is there and cannot be read: that says nothing about what it holds.
        """
        for name, digest in digests.items():
            path = self.path / name
            try:
                if file_digest(path) != digest:
                    yield path, "damaged"
            except (FileNotFoundError, NotADirectoryError):
                yield path, "missing"

    def receipt_paths(self, stage: str) -> list[Path]:
        """Return the files of a stage's receipts, by image and tile."""
        return sorted(self.receipts.glob(f"{stage}-*.json"))

    def read_receipt(self, path: Path) -> Receipt:
        """Read one receipt.

        Raises
        ------
        FileNotFoundError
            If there is none.
        DamagedError
            If it is not as it was written.
        """
        return read_sealed(path)

    def read_receipts(self, stage: str) -> Iterator[tuple[Path, Receipt]]:
        """Yield the committed receipts of a stage and their files, by image and tile.

        One that a living submit withdraws in the meantime is passed over.
        """
        for path in self.receipt_paths(stage):
            with suppress(FileNotFoundError):
                yield path, self.read_receipt(path)


def contents_of(image: Image) -> list[Any]:
    """Return what an image holds, wherever its file lies and whatever it is called."""
    return [image.digest, image.hdu, list(image.plane)]


def _have_changed(files: Mapping[str, list[int]]) -> bool:
    """Whether companion images of an opened file were written again since."""
    return any(list(file_state(path)) != state for path, state in files.items())
