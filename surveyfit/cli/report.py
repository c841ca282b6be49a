"""``surveyfit report``: the page of a run."""

from pathlib import Path

import click

from surveyfit.cli.group import cli, run_argument


@cli.command()
@run_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write [default: RUN/report.html].",
)
def report(run: Path, output: Path | None) -> None:
    """Write one HTML page about a run: maps, counts, flags, errors, sources, failures."""
    from surveyfit.report.page import write_report

    click.echo(f"Report: {write_report(run, output)}")


def write_page(run: Path, *, quiet: bool) -> None:
    """Write the page of a run at the end of another command, which is a success without it too."""
    try:
        from surveyfit.report.page import write_report

        page = write_report(run)
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        click.echo(f"no report.html ({words}); again with: surveyfit report {run}", err=True)
    else:
        if not quiet:
            click.echo(f"Report: {page}")
