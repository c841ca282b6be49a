"""Looking at what was fitted: ``surveyfit inspect`` and ``surveyfit residual``."""

from functools import partial
from pathlib import Path

import click

from surveyfit.cli.group import Exit, cli, run_argument


@cli.command()
@run_argument
@click.argument("sources", metavar="ID...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PNG file to write [default: the source_id, .png, in this folder].",
)
def inspect(run: Path, sources: tuple[str, ...], output: Path | None) -> None:
    """Draw sources of RUN, each in a PNG file, and tell what the catalogue says of them.

    ID is a source_id, or a name such as 'SFIT J001228.70+001234.5' (the SFIT may be left out).
    """
    from surveyfit.report.inspect import inspect as draw

    for words, path in draw(run, sources, output):
        click.echo(words)
        click.echo(f"picture: {path}\n")


@cli.command()
@run_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the images [default: RUN/residual].",
)
@click.option(
    "--image", "images", multiple=True, help="Only this image, as the catalogue names it."
)
def residual(run: Path, output: Path | None, images: tuple[str, ...]) -> int:
    """Write what is left of the images of RUN when background and fitted sources are taken off.

    A model and a residual FITS image each, with the world coordinates of the input.
    """
    from surveyfit.report.residual import write_residuals

    complain = partial(click.echo, err=True)
    failures = write_residuals(run, output, images, click.echo, complain)
    return Exit.STOPPED if failures else 0
