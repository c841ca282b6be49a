"""``surveyfit validate``: artificial sources through the whole path."""

from pathlib import Path
from typing import Any

import click

from surveyfit.cli.execution import execution_options, take_execution
from surveyfit.cli.group import Exit, cli, run_argument
from surveyfit.cli.report import write_page


@cli.command()
@run_argument
@click.option(
    "--inject",
    "sources",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Artificial sources.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Another seed draws other sources.",
)
@execution_options
def validate(run: Path, sources: int, seed: int, **options: Any) -> int:
    """Tell whether the errors of a finished run can be believed.

    Artificial sources are added to its images at empty places and measured in the same way, in
    RUN/validation; of RUN itself only report.html is written anew. Exit status 3 means that the
    answer is no.
    """
    from surveyfit.run.validation.certificate import lines
    from surveyfit.run.validation.validate import validate as certify
    from surveyfit.run.validation.verdict import Answer

    execution = take_execution(options)
    say = (lambda line: None) if execution.quiet else click.echo
    certificate = certify(run, sources, seed, execution, say)
    write_page(run, quiet=execution.quiet)
    click.echo("\n".join(lines(certificate)))
    return Exit.STOPPED if certificate.verdict.answer is Answer.NO else 0
