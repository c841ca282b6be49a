"""What the user sees while a run goes: a live bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from surveyfit.run.log import Log
from surveyfit.run.pieces import Failure
from surveyfit.run.tally import ImageTally, Tally

BAR_EVERY, LINE_EVERY = 0.2, 30.0
"""Seconds between steps of the bar, and between progress lines where there is no terminal."""


class _Terminal(Console):
    """Standard output, whose reader may go: ``surveyfit submit ... | head``."""

    def on_broken_pipe(self) -> None:
        """Fall silent; the run goes on, and its log too. Rich would end the program."""
        self.quiet = True
        # Python would complain about what is still to be flushed when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Reporter:
    """Prints lines, keeps the bar and the log; ``quiet`` prints failures and the summary only.

    Every line goes to the log, whether it is printed or not.
    """

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self._console = _Terminal(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self._log: Log | None = None
        self._quiet = quiet
        self._verbose = verbose
        self._bar: Progress | None = None
        self._tally: Tally | None = None
        self._shown = time.monotonic()
        if self._console.is_terminal and not quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )

    def __enter__(self) -> "Reporter":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            if self._tally is not None:
                self._show(self._tally)
            self._bar.stop()
        if self._log is not None:
            self.note("end" if kind is None else f"end, early: {kind.__name__} {error}".rstrip())
            self._log.close()

    def log_to(self, path: Path) -> None:
        """Keep a log from here on."""
        self._log = Log(path)

    def note(self, words: str) -> None:
        """Write to the log only."""
        if self._log is not None and (trouble := self._log.write(words)):
            self._console.print(trouble)

    def say(self, line: str) -> None:
        """Print a line that --quiet leaves out."""
        self.note(line)
        if not self._quiet:
            self._console.print(line)

    def conclude(self, line: str) -> None:
        """Print a line of the summary, or another that --quiet does not leave out."""
        self.note(line)
        self._console.print(line)

    def failed(self, failure: Failure) -> None:
        """Print why something failed; the traceback only with --verbose."""
        self.conclude(f"FAILED {failure}")
        if self._verbose and failure.traceback:
            self.conclude(failure.traceback.rstrip())

    def image_ended(self, tally: ImageTally) -> None:
        """Print the line of an image that has ended."""
        if tally.measured:
            noun = "source" if tally.rows == 1 else "sources"
            counts = f"{tally.rows} {noun} ({tally.good} good)"
            self.say(f"{tally.image.name}: {counts}, {tally.seconds:.1f} s")

    def update(self, tally: Tally) -> None:
        """Move the bar, or print a progress line; now and then, since adding up takes time."""
        self._tally = tally
        every = BAR_EVERY if self._bar is not None else LINE_EVERY
        if time.monotonic() - self._shown > every:
            self._show(tally)

    def _show(self, tally: Tally) -> None:
        self._shown = time.monotonic()
        if self._bar is None:
            self.say(f"{tally.tiles_ended} of {tally.n_tiles} tiles, {tally.rows} sources")
            return
        if not self._bar.tasks:
            self._bar.add_task("tiles", total=tally.n_tiles)
        self._bar.update(
            self._bar.tasks[0].id,
            completed=tally.tiles_ended,
            description=f"{tally.rows} sources, tiles",
        )
