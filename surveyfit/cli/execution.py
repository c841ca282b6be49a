"""Options that tell how and where a run is executed: those of `submit` and of `validate`."""

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from surveyfit.run.config import Execution

_FILE = click.Path(exists=True, dir_okay=False)

_OPTIONS = (
    click.option("--scheduler", help="Address or file of a Dask scheduler; default: this machine."),
    click.option("--workers", type=click.IntRange(0), help="Worker processes; 0: a plain loop."),
    click.option(
        "--memory-limit", help="Memory of a worker, such as 4GiB; smaller tiles fit in less."
    ),
    click.option(
        "--tls-ca", type=_FILE, help="Authority of an encrypted scheduler's certificates."
    ),
    click.option("--tls-cert", type=_FILE, help="Our certificate for an encrypted scheduler."),
    click.option("--tls-key", type=_FILE, help="The key of our certificate."),
    click.option("--wait", type=float, help="Seconds without any worker before it stops [300]."),
    click.option(
        "--hang", type=float, help="Seconds without any result before it gives up [1800]."
    ),
    click.option("--performance-report", help="HTML file for Dask's performance report."),
    click.option(
        "--metrics",
        type=click.IntRange(1, 65535),
        metavar="PORT",
        help="Tell Prometheus the counts at http://127.0.0.1:PORT/metrics.",
    ),
    click.option("--quiet", is_flag=True, help="Print failures and the summary only."),
    click.option("--verbose", is_flag=True, help="Print tracebacks of what fails."),
)


def execution_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, in their order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_execution(options: dict[str, Any]) -> "Execution":
    """Take out of a command's options those that are fields of `Execution`.

    Raises
    ------
    InputError
        For options that contradict each other.
    """
    from surveyfit.run.config import Execution

    given = {f.name: options.pop(f.name) for f in fields(Execution) if f.name in options}
    return Execution(**{name: value for name, value in given.items() if value is not None})
