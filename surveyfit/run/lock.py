"""One submit at a time on a run: an exclusive lock with a heartbeat.

``RUN/lock`` is there while a submit works and says who does. Two things guard it, since neither is
enough on every disk:

- ``flock`` on the file, which the kernel gives up when its holder dies, however it dies. On one
  machine, and on shared disks that pass it on (NFS, CephFS, GPFS, most Lustre), it decides.
- a heartbeat, the file's modification time, for shared disks that do not. A lock of another machine
  is taken over when it has not moved for `SILENCE` while somebody watched. Only changes
  seen are compared, never clocks.

Whoever holds the lock looks at every beat whether it is still his: the file may be removed by hand,
or taken over while he was asleep.
"""

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from surveyfit.errors import InputError, StoppedError
from surveyfit.run.holder import Holder, holder_of, kernel, read_holder
from surveyfit.sky.atomic import noticing_full_disk

BEAT = 1.0
"""Seconds between signs of life: a second submit sees one, and refuses, within five."""

SILENCE = 60.0
"""Seconds without one after which a lock of another machine is taken to be dead; a network disk
may well stand still for half a minute."""

LOOK_AGAIN = 0.25
"""Seconds between looks at a lock of another machine."""

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What ``flock`` says on a disk that has none."""


class LockLostError(StoppedError):
    """The lock is gone, or another submit's."""


class Lock:
    """A lock that is held; made by `held`."""

    def __init__(self, path: Path, descriptor: int, holder: Holder) -> None:
        self._path = path
        self._descriptor = descriptor
        self._holder = holder
        self._lost = threading.Event()
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lock", daemon=True)
        self._heart.start()

    def _beat(self) -> None:
        while not self._released.wait(BEAT):
            try:
                if not self._is_mine():
                    self._lost.set()
                    return
                os.utime(self._descriptor)
            except OSError:
                # A network disk that does not answer: whose the lock is shows when it does.
                continue

    def _is_mine(self) -> bool:
        return (
            _is_at(self._descriptor, self._path) and read_holder(self._descriptor) == self._holder
        )

    def check(self) -> None:
        """Stop work that another submit may be doing too.

        Raises
        ------
        LockLostError
            If the lock was removed or taken over; noticed within a beat.
        """
        if self._lost.is_set():
            raise LockLostError(
                f"{self._path} was removed, or taken over while this process stood still"
            )

    def release(self) -> None:
        """Remove the lock, unless it is another's by now."""
        self._released.set()
        self._heart.join()
        try:
            if self._is_mine():
                self._path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


@contextmanager
def held(path: Path, say: Callable[[str], None]) -> Iterator[Lock]:
    """Hold the lock of a run while the block works.

    Parameters
    ----------
    path : Path
        The lock file; its folder is made if need be, and removed again if nothing else is in it.
    say : callable
        Told why it takes long, where a lock of another machine shows no life.

    Raises
    ------
    InputError
        If another submit works on the run, with who it is. At once, or after at most a few beats
        where that is on another machine.
    """
    made = not path.parent.exists()
    with noticing_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _acquire(path, say)
    try:
        yield lock
    finally:
        lock.release()
        if made and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _acquire(path: Path, say: Callable[[str], None]) -> Lock:
    """Take the lock if nobody alive holds it."""
    watch = _Watch(path, say)
    while True:
        # Opened anew at every look, which is what makes a network disk ask its server.
        descriptor = _open(path)
        try:
            if _is_free(path, descriptor, watch):
                return _taken(path, descriptor, watch)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(LOOK_AGAIN)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError as error:
        raise InputError(
            f"{path} is {holder_of(path) or 'of another user'}, and no permission to write to it",
            "wait for him, or choose another -o/--output",
        ) from error


def _is_free(path: Path, descriptor: int, watch: "_Watch") -> bool:
    """Whether the lock can be taken; False to look again."""
    given = _flock(descriptor)
    if not _is_at(descriptor, path):
        return False  # removed by its holder since it was opened
    holder = read_holder(descriptor)
    if given and (holder is None or holder.kernel == kernel()):
        return True
    if given is False and holder is not None and holder.kernel == kernel():
        raise _in_use(path)
    if not watch.is_over(descriptor):
        return False
    if given is False:
        raise _in_use(path)  # its server has not given up yet on a machine that is gone
    return True


def _taken(path: Path, descriptor: int, watch: "_Watch") -> Lock:
    """Write into the lock whose it is now."""
    me = Holder.me()
    text = json.dumps(asdict(me)).encode()
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))
    if watch.is_on:
        # Two machines that do not see each other's flock may have seen the silence end at once.
        time.sleep(2 * BEAT)
        if not _is_at(descriptor, path) or read_holder(descriptor) != me:
            raise _in_use(path)
    return Lock(path, descriptor, me)


def _flock(descriptor: int) -> bool | None:
    """Whether the kernel gives the lock; None if it has none on this disk."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return True


class _Watch:
    """Watches a lock of another machine for signs of life."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._began = time.monotonic()
        self._first_beat: int | None = None
        self._told = False

    @property
    def is_on(self) -> bool:
        """Whether there was anything to watch."""
        return self._first_beat is not None

    def is_over(self, descriptor: int) -> bool:
        """Whether the lock has been still for `SILENCE`.

        Raises
        ------
        InputError
            At a sign of life.
        """
        beat = os.fstat(descriptor).st_mtime_ns
        if self._first_beat is None:
            self._began, self._first_beat = time.monotonic(), beat
        if beat != self._first_beat:
            raise _in_use(self._path)
        still = time.monotonic() - self._began
        if still > 3 * BEAT and not self._told:
            self._told = True
            who = holder_of(self._path) or "an unknown submit"
            self._say(
                f"{self._path} is of {who}; it shows no sign of life and is taken over after"
                f" {SILENCE:.0f} s without one"
            )
        return still > SILENCE


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a path still names the file that was opened under it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _in_use(path: Path) -> InputError:
    """Say who holds a lock; he may just have taken it, hence a moment for him to write."""
    time.sleep(LOOK_AGAIN)
    who = holder_of(path) or "another submit"
    return InputError(
        f"{path.parent} is in use by {who}",
        "wait for it or stop it, or choose another -o/--output; 'surveyfit status' shows its state",
    )
