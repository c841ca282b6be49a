"""What the user sees while a run goes: a live bar on a terminal, plain lines elsewhere."""

import time
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

from surveyfit.run.pieces import Failure
from surveyfit.run.tally import ImageTally, Tally

LINE_EVERY = 30.0
"""Seconds between progress lines where there is no terminal."""


class Reporter:
    """Prints lines and keeps the bar; ``quiet`` leaves only failures and the summary."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self._console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self._quiet = quiet
        self._verbose = verbose
        self._bar: Progress | None = None
        self._last_line = time.monotonic()
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
            self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line that --quiet leaves out."""
        if not self._quiet:
            self._console.print(line)

    def conclude(self, line: str) -> None:
        """Print a line of the summary."""
        self._console.print(line)

    def failed(self, failure: Failure) -> None:
        """Print why something failed; the traceback only with --verbose."""
        self._console.print(f"FAILED {failure}")
        if self._verbose and failure.traceback:
            self._console.print(failure.traceback.rstrip())

    def image_ended(self, tally: ImageTally) -> None:
        """Print the line of an image that has ended."""
        if tally.measured:
            noun = "source" if tally.rows == 1 else "sources"
            counts = f"{tally.rows} {noun} ({tally.good} good)"
            self.say(f"{tally.image.name}: {counts}, {tally.seconds:.1f} s")

    def update(self, tally: Tally) -> None:
        """Move the bar, or print a progress line now and then."""
        if self._bar is not None:
            if not self._bar.tasks:
                self._bar.add_task("tiles", total=tally.n_tiles)
            self._bar.update(
                self._bar.tasks[0].id,
                completed=tally.tiles_ended,
                description=f"{tally.rows} sources, tiles",
            )
        elif time.monotonic() - self._last_line > LINE_EVERY:
            self._last_line = time.monotonic()
            self.say(f"{tally.tiles_ended} of {tally.n_tiles} tiles, {tally.rows} sources")
