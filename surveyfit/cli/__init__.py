"""The command line: words to a `Config`, one call, a summary."""

import shlex
import signal
import sys
from typing import NoReturn

import click

from surveyfit.cli import (  # noqa: F401  (they add their commands)
    look,
    report,
    simulate,
    submit,
    tables,
    validate,
    watch,
)
from surveyfit.cli.group import Exit, cli
from surveyfit.errors import InputError, StoppedError

__all__ = ["cli", "main"]


def main() -> None:
    """Run a command; errors are one line and an exit status, a traceback only with --verbose.

    A request to terminate (SIGTERM) is taken like Ctrl-C: work is put away, workers are stopped.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = cli.main(standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "surveyfit"
        _fail(f"{command}: {error.format_message()} (see {command} --help)")
    except InputError as error:
        if "--verbose" in sys.argv:
            raise
        _fail(str(error))
    except StoppedError as error:
        again = shlex.join(["surveyfit", *(w for w in sys.argv[1:] if w != "--overwrite")])
        _fail(f"{error}; what is finished is kept, this goes on with it: {again}", Exit.STOPPED)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; a run goes on when it is submitted again", err=True)
        sys.exit(Exit.INTERRUPTED)
    except Exception as error:
        if "--verbose" in sys.argv:
            raise
        words = " ".join(f"{type(error).__name__}: {error}".split())
        _fail(f"unexpected {words}: run it with --verbose and report that", Exit.UNEXPECTED)
    sys.exit(status or 0)


def _fail(line: str, status: int = Exit.WRONG_USE) -> NoReturn:
    click.echo(f"error: {line}", err=True)
    sys.exit(status)
