"""The whole job: from the words of the user to a finished run directory."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Protocol

from surveyfit.errors import DiskFullError
from surveyfit.run.catalogue import write_catalogue
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.follow_up import FollowUp
from surveyfit.run.lock import LockLostError, held
from surveyfit.run.log import LOG
from surveyfit.run.loop import ONE_THREAD, Loop
from surveyfit.run.memory import check_limit
from surveyfit.run.metrics import serve
from surveyfit.run.opening import Opened, open_pieces, sort_out
from surveyfit.run.output import check_usable
from surveyfit.run.pieces import Failure, Outcome, Piece, noise_piece
from surveyfit.run.progress import Reporter
from surveyfit.run.record import Record
from surveyfit.run.tally import Tally
from surveyfit.run.tasks import companions, execute
from surveyfit.run.worklist import Worklist
from surveyfit.sky.atomic import noticing_full_disk
from surveyfit.sky.find import Found, find_images

OK, SOME_FAILED, NOTHING_MEASURED = 0, 3, 4
"""Exit statuses of a run that reached its end."""


class Executor(Protocol):
    """Works a list of pieces off; a `Loop` or a `Cluster`."""

    dashboard: str

    def run(self, worklist: Worklist) -> Iterator[Outcome]:
        """Yield outcomes until the list is empty."""
        ...


class _WorkLeftError(Exception):
    """A piece that no earlier run has committed."""


def submit(arguments: Sequence[str], output: Path, config: Config, execution: Execution) -> int:
    """Measure images into a run directory and return the exit status.

    Raises
    ------
    InputError
        For wrong use, before anything is written.
    """
    directory = RunDirectory(output)
    check_usable(directory, config, execution.overwrite)
    check_limit(config, execution)
    companions(config).validate()
    found = find_images(arguments)
    with (
        Reporter(execution.quiet, execution.verbose) as reporter,
        serve(execution.metrics) as metrics,
        held(directory.lock_path, reporter.conclude) as lock,
    ):
        if not execution.overwrite and _is_complete(found, directory, config):
            reporter.conclude(f"{output}: finished already, nothing to do")
            return OK
        with _executor(directory, config, execution, reporter) as executor:
            check_usable(directory, config, execution.overwrite)  # another submit may have begun
            directory.prepare(execution.overwrite)
            record = Record(directory, config, execution, executor.dashboard)
            directory.fill()
            with noticing_full_disk(directory.path):
                reporter.log_to(directory.path / LOG)
            reporter.note(record.heading)
            metrics.follow(record.counts)
            if executor.dashboard:
                reporter.say(f"Dashboard: {executor.dashboard}")

            def work(pieces: Iterable[Piece], strict: bool) -> Iterator[Outcome]:
                """Do what no earlier submit has done, as long as the run is this one's."""
                resume = partial(directory.resume, config=config, say=reporter.say)
                worklist = Worklist(pieces, FollowUp(config), resume, lock.check, strict=strict)
                yield from executor.run(worklist)
                lock.check()

            try:
                return _work(work, found, directory, config, execution, record, reporter)
            except LockLostError:
                raise  # the record is another submit's
            except BaseException as error:
                with suppress(DiskFullError):  # then nobody can be told but the person waiting
                    record.end("stopped" if isinstance(error, Exception) else "interrupted")
                raise


@contextmanager
def _executor(
    directory: RunDirectory, config: Config, execution: Execution, reporter: Reporter
) -> Iterator[Executor]:
    if execution.workers == 0:
        os.environ |= ONE_THREAD
        yield Loop(lambda piece: execute(piece, str(directory.path), config))
        return
    from surveyfit.run.joining import connect

    with connect(directory.path, config, execution, reporter.say) as cluster:
        yield cluster


def _is_complete(found: list[Found], directory: RunDirectory, config: Config) -> bool:
    """Whether an earlier run has committed every piece and written its catalogue."""
    if not directory.is_finished():
        return False

    def refuse(piece: Piece) -> Outcome:
        raise _WorkLeftError

    def committed(pieces: Iterable[Piece]) -> Iterator[Outcome]:
        resume = partial(directory.resume, config=config, say=lambda line: None)
        return Loop(refuse).run(Worklist(pieces, FollowUp(config), resume))

    try:
        opened = sort_out(found, committed(open_pieces(found, config)))
        for _ in committed([noise_piece(image, config) for image in opened.images]):
            pass
    except _WorkLeftError:
        return False
    return _fingerprint(opened) == directory.record().get("inputs")


def _fingerprint(opened: Opened) -> str:
    """Hash of the contents of all files that could be read."""
    return hashlib.sha256(" ".join(sorted(opened.digests)).encode()).hexdigest()


def _work(
    work: Callable[[Iterable[Piece], bool], Iterator[Outcome]],
    found: list[Found],
    directory: RunDirectory,
    config: Config,
    execution: Execution,
    record: Record,
    reporter: Reporter,
) -> int:
    outcomes = work(open_pieces(found, config), False)
    opened = sort_out(found, record.opening(outcomes, len(found)))
    record.note(inputs=_fingerprint(opened), opened_seconds=record.elapsed)
    for other in opened.others:
        reporter.say(f"{other.name}: {other.kind}, not measured as sky ({other.note})")
    for failure in opened.failures:
        reporter.failed(failure)
    check_limit(config, execution, max((i.shape[1] for i in opened.images), default=0))
    tally = Tally(opened.images, config)
    if not (execution.strict and opened.failures):
        pieces = [noise_piece(image, config) for image in opened.images]
        _measure(work(pieces, execution.strict), tally, record, reporter)
    failures = opened.failures + tally.failures
    state = "stopped" if execution.strict and failures else "finished"
    _finish(state, opened, tally, failures, directory, record, reporter)
    if not tally.rows and not any(t.measured for t in tally.images.values()):
        return NOTHING_MEASURED
    return SOME_FAILED if failures else OK


def _measure(
    outcomes: Iterable[Outcome],
    tally: Tally,
    record: Record,
    reporter: Reporter,
) -> None:
    for outcome in outcomes:
        ended = tally.add(outcome)
        if not outcome.resumed:
            for note in outcome.result.get("notes", ()):
                reporter.say(f"{outcome.piece.name} {outcome.piece.label}: {note}")
        if outcome.failure is not None:
            reporter.failed(outcome.failure)
        if ended is not None:
            reporter.image_ended(ended)
        reporter.update(tally)
        record.update(tally)


def _finish(
    state: str,
    opened: Opened,
    tally: Tally,
    failures: list[Failure],
    directory: RunDirectory,
    record: Record,
    reporter: Reporter,
) -> None:
    """Write catalogue and records, and tell the user what there is."""
    record.update(tally)
    record.note(measured_seconds=record.elapsed)
    rows, where = write_catalogue(directory, [t.image for t in tally.images.values()])
    directory.write_failures(failures)
    record.note(
        catalogue_rows=rows,
        not_measured=[asdict(other) for other in opened.others],
        failures=len(failures),
        **(directory.end_marker() if state == "finished" else {}),
    )
    record.end(state)
    good = sum(t.good for t in tally.images.values())
    measured = sum(t.measured for t in tally.images.values())
    reporter.conclude(
        f"{tally.rows} sources ({good} good) from {measured} images in {record.elapsed:.1f} s"
    )
    reporter.conclude(f"Catalogue: {rows} rows in {where}" if rows else "No catalogue rows")
    if failures:
        reporter.conclude(
            f"{len(failures)} failed, see {directory.failures_path}; submitting again retries them"
        )
