"""Who holds the lock of a run: what the lock file says."""

import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

_LONGEST = 4096
"""Bytes that a lock file cannot exceed."""


@dataclass(frozen=True)
class Holder:
    """Who works on a run.

    Attributes
    ----------
    host : str
    pid : int
    since : str
        ISO 8601, in UTC, by the clock of that host.
    kernel : str
        Identifies the running kernel, within which ``flock`` is known to be seen.
    token : str
        Different for every submit.
    """

    host: str
    pid: int
    since: str
    kernel: str
    token: str

    @classmethod
    def me(cls) -> "Holder":
        """Describe this process."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), os.getpid(), since, kernel(), uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def kernel() -> str:
    """Identify the running kernel by its boot; by the host's name where the system tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def holder_of(path: Path) -> Holder | None:
    """Return who a lock file says holds it; None if there is none or it does not say."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return read_holder(descriptor)
    finally:
        os.close(descriptor)


def read_holder(descriptor: int) -> Holder | None:
    """Return what an open lock file says; None while it says nothing."""
    try:
        return Holder(**json.loads(os.pread(descriptor, _LONGEST, 0)))
    except (ValueError, TypeError):
        return None  # not written yet, or being overwritten
