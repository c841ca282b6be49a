"""The run directory: its record, its receipts, its failures, and where everything lies."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from surveyfit.errors import InputError
from surveyfit.run.config import Config
from surveyfit.run.pieces import Failure, Outcome, Piece
from surveyfit.sky.atomic import check_writable, replacing
from surveyfit.sky.store import RunStores

RECORD = "run.json"
MARK = "surveyfit run"
"""Value of ``kind`` in run.json: nothing without it is ever resumed or deleted."""


Receipt = dict[str, Any]
"""stage, key, name, path, image, tile, seconds, and the stage's own result."""


def write_json(path: Path, content: object) -> None:
    """Write a JSON file that is there whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=False) + "\n")


def is_run(path: Path) -> bool:
    """Whether a folder is a run directory."""
    try:
        return json.loads((path / RECORD).read_text()).get("kind") == MARK
    except (OSError, ValueError, AttributeError):
        return False


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

    def check_usable(self, config: Config, overwrite: bool) -> None:
        """Refuse an output folder that is something else or holds another configuration.

        Raises
        ------
        InputError
            Naming the folder and the difference.
        """
        path = self.path
        check_writable(path)
        if path.exists() and any(path.iterdir()) and not is_run(path):
            raise InputError(
                f"{path}: this folder holds something else than a run",
                "choose another -o/--output; nothing was written",
            )
        if is_run(path) and not overwrite:
            _check_same(self, config)

    def prepare(self, config: Config, overwrite: bool) -> None:
        """Make the folders; with ``overwrite`` delete an earlier run first, all but its record.

        The stores are made after the record, without which a folder is not taken for a run.
        """
        self.check_usable(config, overwrite)
        if overwrite and is_run(self.path):
            self._clear()
        for folder in (self.path, self.receipts, self.catalog):
            folder.mkdir(parents=True, exist_ok=True)

    def _clear(self) -> None:
        """Delete what a run has made, what vouches for it first; a kill leaves a run to resume."""
        if self.receipts.exists():
            shutil.rmtree(self.receipts)
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != self.record_path:
                path.unlink()

    def record(self) -> dict[str, Any]:
        """Read run.json."""
        content: dict[str, Any] = json.loads(self.record_path.read_text())
        return content

    def write_record(self, content: Mapping[str, Any]) -> None:
        """Write run.json."""
        write_json(self.record_path, {"kind": MARK, **content})

    def write_failures(self, failures: Sequence[Failure]) -> None:
        """Write failures.json, a row for every file, image or tile that failed."""
        write_json(self.failures_path, [f.to_dict() for f in failures])

    def part_path(self, piece: Piece) -> Path:
        """Return where the catalogue part of a tile lies."""
        return self.catalog / f"{piece.path_stem}.parquet"

    def receipt_path(self, piece: Piece) -> Path:
        """Return where the receipt of a piece lies."""
        return self.receipts / f"{piece.stage}-{piece.path_stem}.json"

    def write_receipt(self, outcome: Outcome) -> None:
        """Commit a piece: written after its data, so that what has a receipt is complete."""
        piece = outcome.piece
        write_json(
            self.receipt_path(piece),
            {
                "stage": piece.stage,
                "key": piece.key,
                "name": piece.name,
                "path": piece.path,
                "image": piece.image.key if piece.image is not None else "",
                "tiles": [tile.label for tile in piece.tiles],
                "seconds": outcome.seconds,
                "result": outcome.result,
            },
        )

    def resume(self, piece: Piece) -> Outcome | None:
        """Return the outcome of a piece that was committed earlier, or None."""
        try:
            receipt = self.read_receipt(self.receipt_path(piece))
        except FileNotFoundError:
            return None
        if receipt["key"] != piece.key:
            return None
        return Outcome(piece, receipt["result"], receipt["seconds"], resumed=True)

    def receipt_paths(self, stage: str) -> list[Path]:
        """Return the files of a stage's receipts, by image and tile."""
        return sorted(self.receipts.glob(f"{stage}-*.json"))

    def read_receipt(self, path: Path) -> Receipt:
        """Read one receipt."""
        receipt: Receipt = json.loads(path.read_text())
        return receipt

    def read_receipts(self, stage: str) -> Iterator[Receipt]:
        """Yield the committed receipts of a stage, by image and tile."""
        return map(self.read_receipt, self.receipt_paths(stage))


def _check_same(directory: RunDirectory, config: Config) -> None:
    old, new = directory.record()["configuration"], config.to_dict()
    changed = [k for k in new if old.get(k) != new[k]]
    if changed:
        differences = ", ".join(f"{k} was {old.get(k)!r}, now {new[k]!r}" for k in changed)
        raise InputError(
            f"{directory.path}: made with another configuration ({differences})",
            "choose another -o/--output, or --overwrite to start again",
        )
