"""From words on a command line to image files."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from surveyfit.errors import InputError

SUFFIXES = (".fits", ".fit", ".fts")
PACKED_SUFFIXES = ("", ".gz", ".fz")
ENDINGS = tuple(suffix + packed for suffix in SUFFIXES for packed in PACKED_SUFFIXES)
ENDINGS_IN_WORDS = f"{', '.join(SUFFIXES)} (also with .gz or .fz)"

RUN_RECORD = "run.json"
"""A folder that holds it is a finished run; its catalogue and residual images are not input."""


class Found(NamedTuple):
    """An image file, and how the catalogue and messages call it."""

    path: Path
    name: str


def file_state(path: str | Path) -> tuple[int, int]:
    """Return size in bytes and time of change in ns, which tell a file that was written again.

    A file that cannot be asked (a link to nothing, one just deleted) has (-1, -1): opening it says
    why, for this file alone.
    """
    try:
        stat = os.stat(path)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def find_images(arguments: Sequence[str]) -> list[Found]:
    """Expand files, folders, globs and text files of paths into image files.

    Folders are searched to any depth; hidden files and folders, and the folders of earlier runs,
    are passed over. A text file holds one file or folder a line, relative to its own folder; ``#``
    starts a comment. A file that is reached twice counts once.

    Parameters
    ----------
    arguments : sequence of str
        What the user gave, in the order in which the images will be listed.

    Returns
    -------
    list of Found
        ``path`` is absolute, since workers may stand elsewhere. ``name`` is the path below the
        folder given, or else the file's name; the absolute path where two files would have the
        same name.

    Raises
    ------
    InputError
        If something named does not exist, cannot be listed, or holds no FITS file.
    """
    by_real_path: dict[str, Found] = {}
    for argument in arguments:
        for found in _expand(argument):
            by_real_path.setdefault(os.path.realpath(found.path), found)
    if not by_real_path:
        raise InputError("no images were given", "name files, folders or globs of FITS images")
    counts = Counter(found.name for found in by_real_path.values())
    return [
        Found(
            Path(os.path.abspath(path)),
            printable(name if counts[name] == 1 else os.path.abspath(path)),
        )
        for path, name in by_real_path.values()
    ]


def printable(name: str) -> str:
    r"""Spell a file name so that every terminal, JSON file and table can hold it.

    Bytes that are no UTF-8 and control characters (an end of line, say) become escapes.

    >>> printable(os.fsdecode(b"caf\xe9.fits"))
    'caf\\xe9.fits'
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_texts(value: Any) -> Any:
    """Spell all texts of what JSON can hold like `printable`."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {key: printable_texts(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable_texts(element) for element in value]
    return value


def has_fits_ending(name: str) -> bool:
    """Whether a file name ends like a FITS file's, upper or lower case."""
    return name.lower().endswith(ENDINGS)


def stem_of(name: str) -> str:
    """Return a file's name without folder and FITS endings: ``a/M31.fits.gz`` gives ``M31``."""
    name = os.path.basename(name)
    ending = max((e for e in ENDINGS if name.lower().endswith(e)), key=len, default="")
    return name[: len(name) - len(ending)]


def _expand(argument: str) -> Iterator[Found]:
    path = Path(argument).expanduser()
    if not argument:
        raise InputError("an empty path was given as IMAGES", "is a shell variable not set?")
    if os.path.lexists(path):
        yield from _from_path(path) if _is_image_or_folder(path) else _from_list(path)
    elif glob.has_magic(argument):
        yield from _from_glob(str(path))
    else:
        raise InputError(f"{argument} does not exist", "check the path; quote a glob")


def _is_image_or_folder(path: Path) -> bool:
    """Whether ``path`` is to be taken itself; otherwise it is a text file that lists others."""
    if os.path.isdir(path) or has_fits_ending(path.name):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(2880)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})", "check the path") from error
    return start.startswith(b"SIMPLE") or b"\0" in start


def _from_path(path: Path) -> Iterator[Found]:
    if not os.path.isdir(path):
        yield Found(path, path.name)
        return
    below = _files_below(path)
    if not below:
        raise InputError(f"{path} holds no FITS file", f"looked for {ENDINGS_IN_WORDS}")
    for file in below:
        yield Found(file, file.relative_to(path).as_posix())


def _files_below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(
            f"folder {error.filename} cannot be listed ({error.strerror})", "check its permissions"
        ) from error

    files = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not os.path.exists(os.path.join(root, name, RUN_RECORD))
        ]
        files += [
            Path(root, name) for name in names if has_fits_ending(name) and not name.startswith(".")
        ]
    return sorted(files)


def _from_glob(pattern: str) -> Iterator[Found]:
    matches = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]
    matches = [match for match in matches if os.path.isdir(match) or has_fits_ending(match.name)]
    if not matches:
        raise InputError(f"nothing matches {pattern}", f"looked for {ENDINGS_IN_WORDS}")
    for match in matches:
        yield from _from_path(match)


def _from_list(path: Path) -> Iterator[Found]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is neither a FITS file nor a text file of paths", "name a FITS image"
        ) from error
    entries = [(i, line.split("#")[0].strip()) for i, line in enumerate(lines, start=1)]
    entries = [(i, entry) for i, entry in entries if entry]
    if not entries:
        raise InputError(f"{path} lists no image", "write one path a line into it")
    for number, entry in entries:
        target = path.parent / Path(entry).expanduser()
        if not os.path.exists(target):
            raise InputError(
                f"{path} line {number}: {entry} does not exist",
                "paths are relative to the folder of the list",
            )
        yield from _from_path(target)
