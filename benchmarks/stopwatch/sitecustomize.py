"""Where a worker's time goes: read by Python at its start when this folder is on PYTHONPATH.

In the workers of a submit, and nowhere else, the functions of `WATCHED` are timed. What one of
them spends in another is the other's. After every piece a worker writes its sums, in seconds, to
``$STOPWATCH_FOLDER/PID.json``.
"""

import functools
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

EXECUTE = "surveyfit.run.tasks:execute"

WATCHED = {
    EXECUTE: "rest of the pieces",
    "surveyfit.run.tasks:scan_file": "opening",
    "surveyfit.run.tasks:measure_grid": "background",
    "surveyfit.run.tasks:detect": "detection",
    "surveyfit.run.tasks:cut": "cutting",
    "surveyfit.sky.reader:ImageReader.__enter__": "reading",
    "surveyfit.sky.reader:ImageReader.read": "reading",
    "surveyfit.run.tasks:read_cutouts": "storing",
    "surveyfit.run.tasks:write_cutouts": "storing",
    "surveyfit.run.tasks:read_grid": "storing",
    "surveyfit.run.tasks:write_grid": "storing",
    "surveyfit.fit.batch:fit_batch": "fitting",
    "surveyfit.run.tasks:measure_batch": "columns",
    "surveyfit.run.tasks:write_part": "writing",
    "surveyfit.run.directory:RunDirectory.write_receipt": "writing",
}
"""Share of the time by ``module:name``, as the name is looked up when it is called."""

COMPILING = "compiling"
COMPILING_EVENTS = (
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)

seconds: defaultdict[str, float] = defaultdict(float)
_inner: list[float] = []
"""Of every watched function that is being called: seconds that belong to others."""

_compiles: list[tuple[float, float]] = []
"""Beginning and length of compilations, none inside another."""

CLOCKS_AGREE = 1e-3
"""Seconds by which two beginnings may seem exchanged."""


def resolve(name: str) -> tuple[Any, str]:
    """Return what holds a watched function, and its name there; AttributeError if it is gone."""
    module, _, path = name.partition(":")
    holder, _, attribute = path.rpartition(".")
    owner = import_module(module)
    owner = getattr(owner, holder) if holder else owner
    getattr(owner, attribute)
    return owner, attribute


def _timed(share: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        _inner.append(0.0)
        try:
            return function(*arguments, **options)
        finally:
            took = time.perf_counter() - began
            seconds[share] += took - _inner.pop()
            if _inner:
                _inner[-1] += took

    return timed


def _written(execute: Callable[..., Any], path: Path) -> Callable[..., Any]:
    @functools.wraps(execute)
    def written(*arguments: Any) -> Any:
        outcome = execute(*arguments)
        path.write_text(json.dumps(seconds))
        return outcome

    return written


def _compiled(event: str, took: float, **about: Any) -> None:
    """Count tracing and compiling, told of when it has ended; the inner one is told of first."""
    if event not in COMPILING_EVENTS:
        return
    began = time.perf_counter() - took
    inner = 0.0
    while _compiles and _compiles[-1][0] > began - CLOCKS_AGREE:
        inner += _compiles.pop()[1]
    _compiles.append((began, took))
    seconds[COMPILING] += took - inner
    if _inner:
        _inner[-1] += took - inner


def watch(folder: Path) -> None:
    """Time the watched functions of this process from now on."""
    import jax

    for name, share in WATCHED.items():
        owner, attribute = resolve(name)
        setattr(owner, attribute, _timed(share, getattr(owner, attribute)))
    owner, attribute = resolve(EXECUTE)
    setattr(owner, attribute, _written(getattr(owner, attribute), folder / f"{os.getpid()}.json"))
    jax.monitoring.register_event_duration_secs_listener(_compiled)


if "STOPWATCH_FOLDER" in os.environ and any("spawn_main" in word for word in sys.orig_argv):
    watch(Path(os.environ["STOPWATCH_FOLDER"]))
