"""The command line: words to a `Config`, one call, a summary."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn

import click

from surveyfit import __version__
from surveyfit.errors import InputError, StoppedError
from surveyfit.schema import COLUMNS, FLAG_WORDS, GOOD

UNEXPECTED, WRONG_USE, STOPPED, INTERRUPTED = 1, 2, 3, 130
WATCH_EVERY = 2.0


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
)
@click.version_option(__version__, prog_name="surveyfit")
@click.option("--verbose", is_flag=True, expose_value=False, help="Print tracebacks of errors.")
def cli() -> None:
    """Measure every source in an image survey: robust fits, true error bars, one catalogue."""


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
        _fail(f"{error}; what is finished is kept, this goes on with it: {again}", STOPPED)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; submitting again continues where this stopped", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if "--verbose" in sys.argv:
            raise
        words = " ".join(f"{type(error).__name__}: {error}".split())
        _fail(f"unexpected {words}: run it with --verbose and report that", UNEXPECTED)
    sys.exit(status or 0)


def _fail(line: str, status: int = WRONG_USE) -> NoReturn:
    click.echo(f"error: {line}", err=True)
    sys.exit(status)


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


_BEAM = click.Tuple([float, float, float])
_FILE = click.Path(exists=True, dir_okay=False)


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
@click.option("--scheduler", help="Address or file of a Dask scheduler; default: this machine.")
@click.option("--workers", type=click.IntRange(0), help="Worker processes; 0: a plain loop.")
@click.option("--memory-limit", help="Memory of a worker, such as 4GiB; smaller tiles fit in less.")
@click.option("--tls-ca", type=_FILE, help="Authority of an encrypted scheduler's certificates.")
@click.option("--tls-cert", type=_FILE, help="Our certificate for an encrypted scheduler.")
@click.option("--tls-key", type=_FILE, help="The key of our certificate.")
@click.option("--wait", type=float, help="Seconds without any worker before it stops [300].")
@click.option("--hang", type=float, help="Seconds without any result before it gives up [1800].")
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with these options.")
@click.option("--performance-report", help="HTML file for Dask's performance report.")
@click.option(
    "--metrics",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Tell Prometheus the counts at http://127.0.0.1:PORT/metrics.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan; nothing but headers is read.")
@click.option("--overwrite", is_flag=True, help="Delete an earlier run in the same place.")
@click.option("--strict", is_flag=True, help="Stop at the first failure.")
@click.option("--quiet", is_flag=True, help="Print failures and the summary only.")
@click.option("--verbose", is_flag=True, help="Print tracebacks of what fails.")
@_measurement_options
def submit(
    images: tuple[str, ...],
    output: Path,
    scheduler: str | None,
    workers: int | None,
    memory_limit: str | None,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    wait: float | None,
    hang: float | None,
    config: Path | None,
    performance_report: str | None,
    metrics: int | None,
    dry_run: bool,
    overwrite: bool,
    strict: bool,
    quiet: bool,
    verbose: bool,
    **measurement: Any,
) -> int:
    """Measure IMAGES (files, folders, globs, or a text file of paths) into a catalogue.

    Running it again resumes; nothing is done twice.
    """
    from surveyfit.run.config import Config, Execution, load_config
    from surveyfit.run.memory import with_usual_tile

    values = load_config(config) if config is not None else {}
    values |= {k: v for k, v in measurement.items() if v is not None}
    if isinstance(values.get("mask_bits"), str):
        values["mask_bits"] = [word.strip() for word in values["mask_bits"].split(",")]
    for name in ("noise", "background", "mask"):
        pattern = values.get(name)
        if isinstance(pattern, str) and not pattern.startswith("{dir"):
            # Workers may stand in another folder than the user.
            values[name] = os.path.abspath(pattern)
    settings = Config.from_dict(values)
    limits: dict[str, Any] = {"wait": wait, "hang": hang}
    execution = Execution(
        workers=workers,
        scheduler=scheduler,
        memory_limit=memory_limit,
        metrics=metrics,
        tls_ca=tls_ca,
        tls_cert=tls_cert,
        tls_key=tls_key,
        performance_report=performance_report,
        strict=strict,
        overwrite=overwrite,
        quiet=quiet,
        verbose=verbose,
    )
    execution = replace(execution, **{k: v for k, v in limits.items() if v is not None})
    if "tile" not in values:
        settings = with_usual_tile(settings, output, execution)
    if dry_run:
        from surveyfit.run.dry_run import dry_run as plan

        lines, refused = plan(images, output, settings, execution)
        click.echo("\n".join(lines))
        return 3 if refused else 0
    from surveyfit.run.pipeline import submit as run

    return run(images, output, settings, execution)


_run_argument = click.argument("run", type=click.Path(path_type=Path))


@cli.command()
@_run_argument
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
@_run_argument
@click.option(
    "-t",
    "--target",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write: .fits .vot .csv .ecsv .parquet .reg (DS9).",
)
def catalog(run: Path, target: Path) -> None:
    """Export the catalogue of a run; the format follows the extension."""
    from surveyfit.run.catalogue import export_catalogue

    rows = export_catalogue(run, target)
    click.echo(f"{rows} rows in {target}")


@cli.command()
@_run_argument
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
    return STOPPED


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
