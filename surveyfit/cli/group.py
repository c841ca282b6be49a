"""The command ``surveyfit`` itself, and what its commands share."""

from enum import IntEnum
from pathlib import Path

import click

from surveyfit import __version__


class Exit(IntEnum):
    """Exit statuses beside 0, all good."""

    UNEXPECTED = 1
    WRONG_USE = 2
    STOPPED = 3
    NOTHING_MEASURED = 4
    INTERRUPTED = 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
)
@click.version_option(__version__, prog_name="surveyfit")
@click.option("--verbose", is_flag=True, expose_value=False, help="Print tracebacks of errors.")
def cli() -> None:
    """Measure every source in an image survey: robust fits, true error bars, one catalogue."""


run_argument = click.argument("run", type=click.Path(path_type=Path))
