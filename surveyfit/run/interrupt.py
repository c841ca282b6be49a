"""Ctrl-C and SIGTERM, put off until the work in hand is done."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

NOTICE = b"stopping after the piece in hand; interrupt again to stop at once\n"


@contextmanager
def interrupt_later() -> Iterator[Callable[[], None]]:
    """Note a first request to stop, and give a function that raises it where that is safe.

    Raised in the middle of a compilation, KeyboardInterrupt may be lost (JAX's callback of the
    garbage collector swallows it) or crash XLA. A second request is raised at once.

    Yields
    ------
    callable
        Raises KeyboardInterrupt if a stop was asked for since.
    """
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        os.write(2, NOTICE)  # print() must not be called in a signal handler

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    # Only the main thread may set handlers; SIGINT is ignored in the background of a script.
    wanted = STOP_SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {s: signal.getsignal(s) for s in wanted if signal.getsignal(s) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, note)
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
