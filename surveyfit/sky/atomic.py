"""Files that appear whole or not at all, also when the machine dies in the middle."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from surveyfit.errors import InputError


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made, before any work is done.

    A folder that does not exist yet is judged by its nearest parent that does.

    Raises
    ------
    InputError
        If that is a file, or a folder into which the user may not write.
    """
    place = next(p for p in (folder, *folder.absolute().parents) if os.path.lexists(p))
    if not os.path.isdir(place):
        raise InputError(f"{place} is not a folder", "write somewhere else")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(
            f"{place}: no permission to write", "write somewhere else, or change its permissions"
        )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a hidden temporary path that becomes `path` when the block ends well.

    The file is on the disk (fsync) before it gets its name, and the name before this returns.
    When the block fails the temporary file is removed and an older `path` stays as it was.

    Parameters
    ----------
    path : Path
        The file to write or replace; its folder must exist.

    Yields
    ------
    Path
        Where to write: in the same folder, since a rename is atomic only within a file system.
        The name is unique, because a task that Dask repeats may run twice at the same time.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _fsync(path.parent)


def _fsync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
