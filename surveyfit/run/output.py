"""Whether an output folder may be used: new, or a run of the same configuration."""

from pathlib import Path

from surveyfit.errors import InputError
from surveyfit.run.config import Config
from surveyfit.run.directory import LOCK, RECORD, RunDirectory, is_run
from surveyfit.run.sealed import DamagedError
from surveyfit.schema import SCHEMA_VERSION
from surveyfit.sky.atomic import check_writable

OTHER_OR_AGAIN = "choose another -o/--output, or --overwrite to start again"


def check_usable(directory: RunDirectory, config: Config, overwrite: bool) -> None:
    """Refuse an output folder that is something else or holds another configuration.

    Raises
    ------
    InputError
        Naming the folder and the difference.
    """
    path = directory.path
    check_writable(path)
    if is_run(path):
        if not overwrite:
            _check_same(directory, config)
    elif path.exists() and any(map(_is_foreign, path.iterdir())):
        raise InputError(
            f"{path}: this folder holds something else than a run",
            "choose another -o/--output; nothing was written",
        )


def _is_foreign(path: Path) -> bool:
    """Whether something in a folder is not what a submit leaves that died before its record."""
    return path.name != LOCK and not path.name.startswith(f".{RECORD}.")


def _check_same(directory: RunDirectory, config: Config) -> None:
    try:
        record = directory.record()
    except DamagedError:
        _check_receipts_same(directory, config)
        return
    if record.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{directory.path}: its catalogue has columns of another version of surveyfit",
            OTHER_OR_AGAIN,
        )
    old, new = record["configuration"], config.to_dict()
    changed = [k for k in new if old.get(k) != new[k]]
    if changed:
        differences = ", ".join(f"{k} was {old.get(k)!r}, now {new[k]!r}" for k in changed)
        raise InputError(
            f"{directory.path}: made with another configuration ({differences})",
            OTHER_OR_AGAIN,
        )


def _check_receipts_same(directory: RunDirectory, config: Config) -> None:
    """Refuse another configuration than that of the receipts, where the record is damaged."""
    for path in directory.receipts.glob("*.json"):
        try:
            same = directory.read_receipt(path)["configuration"] == config.key()
        except DamagedError:
            continue
        if not same:
            raise InputError(
                f"{directory.path}: made with another configuration ({RECORD} is damaged)",
                OTHER_OR_AGAIN,
            )
        return
