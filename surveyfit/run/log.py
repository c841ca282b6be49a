"""``RUN/log.txt``: what happened and when, for a person to read afterwards."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

LOG = "log.txt"


class Log:
    """Appends lines with their time (UTC) to a file, each as soon as it is known.

    A run that is submitted again goes on in the same file.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = path.open(
            "a", buffering=1, encoding="utf-8", errors="backslashreplace"
        )

    def write(self, words: str) -> str:
        """Write one entry; further lines of it are indented.

        Returns
        -------
        str
            Empty, or why the log ends here: the disk is full, say. A run must not end for that.
        """
        if self._file is None:
            return ""
        time = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        first, *more = words.splitlines() or [""]
        try:
            self._file.write("\n".join([f"{time}  {first}", *(f"    {line}" for line in more), ""]))
        except OSError as error:
            return self._give_up(error)
        return ""

    def _give_up(self, error: OSError) -> str:
        file, self._file = self._file, None
        assert file is not None
        try:
            file.close()
        except OSError as again:
            # Closing tries once more to write what is left.
            error = again
        return f"{self._path}: nothing more is logged ({error.strerror})"

    def close(self) -> None:
        """Close the file; later entries are dropped."""
        if self._file is not None:
            self._file.close()
            self._file = None
