"""The command line as a user meets it: words in; exit status, terminal and files out."""

import io
import json
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from surveyfit import cli

PROGRAM = str(Path(sys.executable).with_name("surveyfit"))
"""The installed command, for what only another process can show."""


class Answer(NamedTuple):
    """What a command leaves on the terminal and to the shell."""

    status: int
    out: str
    err: str

    @property
    def failed(self) -> list[str]:
        """The lines of what failed."""
        return [line for line in self.out.splitlines() if line.startswith("FAILED")]


def surveyfit(*words: object) -> Answer:
    """Run a command in this process, where the compiled fit is shared by all tests."""
    out, err = io.StringIO(), io.StringIO()
    status: Any = None
    terminate = signal.getsignal(signal.SIGTERM)
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch.object(sys, "argv", ["surveyfit", *map(str, words)]),
    ):
        try:
            cli.main()
        except SystemExit as end:
            status = end.code
        finally:
            signal.signal(signal.SIGTERM, terminate)
    return Answer(status, out.getvalue(), err.getvalue())


def failures(run: Path) -> list[dict[str, str]]:
    """Read failures.json of a run."""
    rows: list[dict[str, str]] = json.loads((run / "failures.json").read_text())
    return rows


def record(run: Path) -> dict[str, Any]:
    """Read run.json of a run."""
    content: dict[str, Any] = json.loads((run / "run.json").read_text())
    return content
