"""Looking after runs and machines: ``surveyfit status``, ``verify`` and ``doctor``."""

import sys
import time
from contextlib import nullcontext
from pathlib import Path

import click

from surveyfit.cli.group import Exit, cli, run_argument

WATCH_EVERY = 2.0
"""Seconds between two looks of ``status --watch``."""


@cli.command()
@run_argument
@click.option("--watch", is_flag=True, help="Look again every two seconds until the run ends.")
def status(run: Path, watch: bool) -> None:
    """Show counts, rate, failures and time left of a run; works with no cluster alive."""
    from surveyfit.run.directory import RunDirectory
    from surveyfit.run.status import read_status

    directory = RunDirectory.open(run)
    while True:
        now = read_status(directory)
        if watch and sys.stdout.isatty():
            click.clear()
        click.echo("\n".join(now.lines()))
        if not watch or now.state != "running":
            return
        time.sleep(WATCH_EVERY)


@cli.command()
@run_argument
@click.option("--repair", is_flag=True, help="Remove what is damaged; submit then makes it anew.")
def verify(run: Path, repair: bool) -> int:
    """Read again all that a run has committed, and tell what is not as it was written."""
    from surveyfit.run.directory import RunDirectory
    from surveyfit.run.holder import holder_of
    from surveyfit.run.lock import held
    from surveyfit.run.verify import Extent, read_again, remove

    directory = RunDirectory.open(run)
    if not repair and (at_work := holder_of(directory.lock_path)):
        click.echo(f"{run} is being written by {at_work}: a finding may be work in hand", err=True)
    extent = Extent(lambda line: click.echo(line, err=True))
    with held(directory.lock_path, click.echo) if repair else nullcontext():
        findings = []
        for finding in read_again(directory, extent):
            click.echo(str(finding))
            findings.append(finding)
        if repair and findings:
            remove(directory, findings)
    if not findings:
        click.echo(f"{extent}: all as it was written")
        return 0
    remedy = "submit again" if repair else f"'surveyfit verify {run} --repair', then submit again"
    click.echo(f"{extent}, {len(findings)} findings: {remedy}, with the same images and options")
    return Exit.STOPPED


@cli.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("surveyfit-run"),
    help="Where a run would be written.",
)
def doctor(output: Path) -> int:
    """Tell what would run where, and what is wrong."""
    from surveyfit.run.doctor import examine

    findings = list(examine(output))
    for well, words in findings:
        click.echo(f"{'ok   ' if well else 'WRONG'}  {words}")
    return 0 if all(well for well, _ in findings) else 1
