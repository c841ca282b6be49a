"""The catalogue and its columns: ``surveyfit catalog``, ``columns`` and ``flags``."""

from pathlib import Path

import click

from surveyfit.cli.group import cli, run_argument
from surveyfit.schema import COLUMNS, FLAG_WORDS, GOOD


@cli.command()
@run_argument
@click.option(
    "-t",
    "--target",
    type=click.Path(path_type=Path),
    help="File to write: .fits .vot .csv .ecsv .parquet .reg (DS9).",
)
@click.option(
    "--style",
    type=click.Choice(["aegean", "pybdsf", "sextractor"]),
    help="Write the columns of that program (docs/styles.md); sextractor also .txt and .cat.",
)
@click.option(
    "--hats",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to write for LSDB; needs pip install 'surveyfit[hats]'.",
)
def catalog(run: Path, target: Path | None, style: str | None, hats: Path | None) -> None:
    """Export the catalogue of a run to a file (-t), or to a folder for LSDB (--hats).

    The format of a file follows its extension.
    """
    if (target is None) == (hats is None):
        raise click.UsageError("give either -t FILE or --hats DIR")
    if hats is not None:
        if style is not None:
            raise click.UsageError("--style goes with -t FILE, not with --hats")
        from surveyfit.run.hats import export_hats

        rows, left_out = export_hats(run, hats)
        click.echo(f"{rows} rows in {hats}, {left_out} left out (no position on the sky)")
        return
    assert target is not None
    if style is not None:
        from surveyfit.run.styled import export_styled

        rows, left_out = export_styled(run, target, style)
        click.echo(f"{rows} rows in {target}, {left_out} left out (docs/styles.md)")
        return
    from surveyfit.run.catalogue import export_catalogue

    rows = export_catalogue(run, target)
    click.echo(f"{rows} rows in {target}")


@cli.command()
def columns() -> None:
    """List the catalogue columns: unit, UCD, meaning."""
    group = ""
    for column in COLUMNS:
        if column.group != group:
            group = column.group
            click.echo(f"\n{group}")
        unit = column.unit or "-"
        click.echo(f"  {column.name:20s} {unit:8s} {column.ucd:38s} {column.meaning}")


@cli.command()
def flags() -> None:
    """List the flag bits in words."""
    for flag, words in FLAG_WORDS.items():
        spoils = "not good" if flag & GOOD else "good"
        click.echo(f"{int(flag):7d}  {str(flag.name).lower():20s} {spoils:9s} {words}")
    click.echo(f"\ngood rows: flags & {GOOD} == 0 (surveyfit.schema.GOOD)")
