"""Files that appear whole or not at all, also when the machine dies in the middle."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from surveyfit.errors import DiskFullError, InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk and of a quota that is used up."""

TEMPORARY = ".tmp"
"""How the names end of files and folders that are being written."""


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

    Raises
    ------
    DiskFullError
        If there is no room.
    """
    temporary = path.with_name(_temporary_name(path))
    try:
        with noticing_full_disk(path):
            yield temporary
            _fsync(temporary)
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _fsync(path.parent)


@contextmanager
def replacing_folder(path: Path, scratch: Path) -> Iterator[Path]:
    """Give a hidden temporary folder that becomes `path` when the block ends well.

    Of two that replace a folder at the same time, each puts a whole one in its place: what they
    have written is never mixed. The caller sees to it that the files are on the disk (`settle`).

    Parameters
    ----------
    path : Path
        The folder to make or replace; the one in which it lies must exist.
    scratch : Path
        A folder of the same file system, in which the temporary one is made.

    Raises
    ------
    DiskFullError
        If there is no room.
    """
    temporary = scratch / _temporary_name(path)
    try:
        with noticing_full_disk(path):
            temporary.mkdir()
            yield temporary
            _put_in_place(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _fsync(path.parent)


def _put_in_place(new: Path, path: Path) -> None:
    """Rename a folder, with that of the same name out of the way; others may do the same."""
    while True:
        try:
            new.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        old = new.with_name(_temporary_name(path))
        with suppress(FileNotFoundError):  # the other one is just about to replace it
            path.rename(old)
            shutil.rmtree(old)


def _temporary_name(path: Path) -> str:
    return f".{path.name}.{uuid4().hex}{TEMPORARY}"


@contextmanager
def noticing_full_disk(path: Path) -> Iterator[None]:
    """Raise `DiskFullError` about a path where the block fails for want of room."""
    try:
        yield
    except OSError as error:
        if _is_no_room(error):
            raise DiskFullError(str(path)) from error
        raise


def _is_no_room(error: BaseException | None) -> bool:
    """Whether an error, or one it was made of (astropy drops its number), is a full disk's."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        error = error.__cause__ or error.__context__
    return False


def remove_temporary(folder: Path) -> None:
    """Delete what writers that were killed have left in a folder."""
    for path in folder.glob(f".*{TEMPORARY}"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Delete a file, if there is one; also on the disk it is gone when this returns."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    _fsync(path.parent)


def settle(folder: Path) -> dict[Path, str]:
    """Wait until all that is in a folder is on the disk, and return the SHA-256 of every file.

    Needed where a library has written the files: without it a machine that loses its power may
    keep what was written after them, and not them.
    """
    digests = {}
    for root, _, names in sorted(os.walk(folder)):
        for path in (Path(root, name) for name in sorted(names)):
            digests[path] = settle_file(path)
        _fsync(Path(root))
    return digests


def settle_file(path: Path) -> str:
    """Wait until a file's bytes are on the disk and return their SHA-256."""
    _fsync(path)
    return file_digest(path)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
