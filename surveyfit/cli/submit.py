"""``surveyfit submit``: its options are the fields of `Config`."""

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from surveyfit.cli.execution import execution_options, take_execution
from surveyfit.cli.group import Exit, cli
from surveyfit.cli.report import write_page

_BEAM = click.Tuple([float, float, float])


class _NumberOrFit(click.ParamType):
    """A number, or the word that asks for the value to be fitted."""

    name = "number|fit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        try:
            return "fit" if value == "fit" else float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'fit'.", param, ctx)


_TYPES: dict[str, Any] = {
    "plane": int,
    "cell": int,
    "tile": int,
    "halo": int,
    "hdu": str,
    "noise": str,
    "background": str,
    "mask": str,
    "inject": str,
    "noise_type": click.Choice(["rms", "variance", "weight"]),
    "dtype": click.Choice(["float32", "float64"]),
    "mask_bits": str,
    "beam": _BEAM,
    "gamma": _NumberOrFit(),
}
"""Types of the options that are no plain numbers."""


def _measurement_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add an option for every field of `Config`, in their order."""
    from surveyfit.run.config import Config

    for field in reversed(fields(Config)):
        default = field.default if field.default not in (None, ()) else None
        words = field.metadata["meaning"]
        if default is not None:
            words += f" [default: {default}]"
        command = click.option(
            f"--{field.name.replace('_', '-')}",
            field.name,
            type=_TYPES.get(field.name, float),
            metavar="BITS" if field.name == "mask_bits" else None,
            help=words[0].upper() + words[1:] + ("." if default is None else ""),
        )(command)
    return command


@cli.command()
@click.argument("images", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("surveyfit-run"),
    show_default=True,
    help="Run directory.",
)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with these options.")
@click.option("--dry-run", is_flag=True, help="Print the plan; nothing but headers is read.")
@click.option("--overwrite", is_flag=True, help="Delete an earlier run in the same place.")
@click.option("--strict", is_flag=True, help="Stop at the first failure.")
@execution_options
@_measurement_options
def submit(
    images: tuple[str, ...],
    output: Path,
    config: Path | None,
    dry_run: bool,
    **options: Any,
) -> int:
    """Measure IMAGES (files, folders, globs, or a text file of paths) into a catalogue.

    Running it again resumes; nothing is done twice.
    """
    from surveyfit.run.config import Config, load_config
    from surveyfit.run.memory import with_usual_tile

    execution = take_execution(options)
    values = load_config(config) if config is not None else {}
    values |= {k: v for k, v in options.items() if v is not None}
    if isinstance(values.get("mask_bits"), str):
        values["mask_bits"] = [word.strip() for word in values["mask_bits"].split(",")]
    for name in ("noise", "background", "mask", "inject"):
        pattern = values.get(name)
        if isinstance(pattern, str) and not pattern.startswith("{dir"):
            # Workers may stand in another folder than the user.
            values[name] = os.path.abspath(pattern)
    settings = Config.from_dict(values)
    if "tile" not in values:
        settings = with_usual_tile(settings, output, execution)
    if dry_run:
        from surveyfit.run.dry_run import dry_run as plan

        lines, refused = plan(images, output, settings, execution)
        click.echo("\n".join(lines))
        return Exit.STOPPED if refused else 0
    from surveyfit.run.directory import RECORD
    from surveyfit.run.pipeline import submit as run
    from surveyfit.sky.find import file_state

    before = file_state(output / RECORD)
    status = run(images, output, settings, execution)
    if file_state(output / RECORD) != before:
        write_page(output, quiet=execution.quiet)
    return status
