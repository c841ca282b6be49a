"""What goes wrong in the workers of a test: read by Python when this folder is on PYTHONPATH.

``FAULT`` names what befalls a worker that begins the piece ``FAULT_PIECE`` (stage, image, tile),
each time. It is noted in ``FAULT_LOG``, a line each time: the time, the worker, and what it had
been given to do.
"""

import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    while True:
        time.sleep(60)


def _stand_still() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


FAULTS = {"die": _die, "hang": _hang, "stand still": _stand_still}


def _log() -> None:
    from distributed import get_worker

    state = get_worker().state
    given = sorted(str(task.key) for task in (*state.executing, *state.ready))
    with open(os.environ["FAULT_LOG"], "a") as log:
        log.write(f"{time.time():.3f} {os.getpid()} {' '.join(given)}\n")


def _faulty(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    def faulty(piece: Any, run: str, config: Any) -> Any:
        if f"{piece.stage} {piece.name} {piece.label}" == os.environ["FAULT_PIECE"]:
            _log()
            FAULTS[os.environ["FAULT"]]()
        return execute(piece, run, config)

    return faulty


if "FAULT" in os.environ and any("spawn_main" in word for word in sys.orig_argv):
    from surveyfit.run import tasks

    tasks.execute = _faulty(tasks.execute)
