"""A submit in processes of its own, as a person would start it, watch it and lose it."""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil
from processes import workers

PATIENCE = 240.0
"""Seconds until a test gives up: ten times what is needed on two cores that do nothing else."""

LOOK_EVERY = 0.02

DYING = 2.0
"""Seconds that Python's resource tracker may take to see that its parent has ended."""


class Submission:
    """``surveyfit submit`` in a process group of its own; whatever it leaves alive ends with it."""

    def __init__(
        self, run: Path, *words: object, environment: Mapping[str, str] | None = None
    ) -> None:
        self.run = run
        self._output = run.with_suffix(".txt")
        command = [sys.executable, "-m", "surveyfit", "submit", *map(str, words), "-o", str(run)]
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self.driver = psutil.Process(self.process.pid)
        self._seen: set[psutil.Process] = {self.driver}

    def __enter__(self) -> "Submission":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.family():
            if process.is_running():
                process.kill()
        self.process.wait(PATIENCE)

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def family(self) -> set[psutil.Process]:
        """Return the driver and all processes below it, those seen before among them."""
        if self.process.poll() is None:
            self._seen.update(self.driver.children(recursive=True))
        return set(self._seen)

    def workers(self) -> list[psutil.Process]:
        """Return its worker processes."""
        self.family()
        return workers(self.driver)

    def receipts(self, stage: str = "") -> int:
        """Count the pieces that are committed."""
        return len(list((self.run / "receipts").glob(f"{stage}*.json")))

    def wait_for_receipts(self, number: int, stage: str = "") -> None:
        """Wait until so many pieces are committed."""
        until = time.monotonic() + PATIENCE
        while self.receipts(stage) < number:
            assert self.process.poll() is None, f"ended too early:\n{self.text}"
            assert time.monotonic() < until, f"no {number} receipts:\n{self.text}"
            time.sleep(LOOK_EVERY)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end and return the exit status."""
        self.family()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"still at work after {seconds:g} s:\n{self.text}") from error

    def left_alive(self, seconds: float = DYING) -> list[str]:
        """Return the commands of what is alive of the family after so many more seconds."""
        others = self.family() - {self.driver}
        _, alive = psutil.wait_procs(others, timeout=seconds)
        return [" ".join(process.cmdline()) for process in alive]
