"""``surveyfit simulate``."""

from pathlib import Path

import click

from surveyfit.cli.group import cli

_AT_LEAST_ONE, _NOT_NEGATIVE = click.IntRange(1), click.IntRange(0)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--images", default=4, type=_AT_LEAST_ONE, show_default=True, help="Number of images."
)
@click.option(
    "--size", default=512, type=_AT_LEAST_ONE, show_default=True, help="Side of an image in pixels."
)
@click.option(
    "--sources", default=150, type=_NOT_NEGATIVE, show_default=True, help="Sources an image."
)
@click.option(
    "--seed", default=1, type=_NOT_NEGATIVE, show_default=True, help="Same seed, same bytes."
)
def simulate(folder: Path, images: int, size: int, sources: int, seed: int) -> None:
    """Write a small survey with known truth: FITS images and truth.csv."""
    from surveyfit.sky.simulate import simulate as write

    paths = write(folder, images=images, size=size, sources=sources, seed=seed)
    click.echo(f"{len(paths)} files in {folder}; next: surveyfit submit {folder} -o surveyfit-run")
