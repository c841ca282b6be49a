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
