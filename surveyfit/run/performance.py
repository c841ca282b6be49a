"""Dask's performance report, to a file that is known to be writable before the run begins."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client, performance_report

from surveyfit.errors import InputError


def check_report(path: Path) -> None:
    """Refuse a file that cannot be written.

    Raises
    ------
    InputError
        With the reason.
    """
    existed = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise InputError(
            f"--performance-report {path}: {error.strerror}", "name a file that can be written"
        ) from error
    if not existed:
        path.unlink()


@contextmanager
def reported(path: Path, client: Client, notify: Callable[[str], None]) -> Iterator[None]:
    """Write what the cluster did during the block into an HTML file.

    A report that cannot be written is told to ``notify``: the run's own end matters more.
    """
    report = performance_report(str(path.absolute()))
    report.__enter__()
    try:
        yield
    finally:
        try:
            if client.status != "running":
                raise ConnectionError("the scheduler is gone")
            report.__exit__(None, None, None)
        except Exception as error:  # anything that comes of a cluster that is falling apart
            notify(f"no performance report: {type(error).__name__}: {error}")
