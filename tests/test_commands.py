"""Every command from end to end, and every wrong use of one: what is read, what is written."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from astropy.io import fits
from astropy.table import Table
from command_line import PROGRAM, record, surveyfit

from surveyfit import __version__
from surveyfit.run.config import Config
from surveyfit.run.directory import MARK
from surveyfit.run.sealed import write_sealed
from surveyfit.schema import COLUMNS, FLAG_WORDS, SCHEMA_VERSION
from surveyfit.sky.export import WRITERS


def files_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_simulate_then_submit_then_look(tmp_path: Path) -> None:
    """The first three commands of the README, on a small survey."""
    sky, run = tmp_path / "sky", tmp_path / "run"
    made = surveyfit("simulate", sky, "--images", 1, "--size", 150, "--sources", 8)
    assert (made.status, made.err) == (0, "")
    assert f"surveyfit submit {sky}" in made.out
    done = surveyfit("submit", sky, "-o", run, "--workers", 0)
    assert (done.status, done.err) == (0, "")
    rows = len(Table.read(run / "catalog.fits"))
    assert rows >= 4, "8 sources with peaks of 5 to 1000 sigmas: most are found"
    assert f"{rows} sources" in done.out
    assert "sky_0001.fits[MASK]: mask, not measured" in done.out
    assert str(run / "catalog.fits") in done.out
    status = surveyfit("status", run)
    assert status.status == 0
    assert "finished" in status.out
    assert f"sources    {rows}, " in status.out
    assert "\x1b" not in done.out + status.out, "control codes where there is no terminal"


def test_submitting_again_has_nothing_to_do(survey: Path, plain_run: Path) -> None:
    answer = surveyfit("submit", survey, "-o", plain_run, "--workers", 0)
    assert (answer.status, answer.out) == (0, f"{plain_run}: finished already, nothing to do\n")


@pytest.mark.parametrize("ending", WRITERS)
def test_catalog_writes_every_format(ending: str, plain_run: Path, tmp_path: Path) -> None:
    target = tmp_path / f"out{ending}"
    answer = surveyfit("catalog", plain_run, "-t", target)
    rows = len(Table.read(plain_run / "catalog.fits"))
    assert (answer.status, answer.out) == (0, f"{rows} rows in {target}\n")
    assert files_below(tmp_path) == {target}
    if ending == ".reg":
        assert target.read_text().count("ellipse(") + target.read_text().count("point(") >= rows
    else:
        kind = {".vot": "votable", ".xml": "votable"}.get(ending)
        assert len(Table.read(target, format=kind)) == rows


def test_columns_and_flags_list_the_schema() -> None:
    columns, flags = surveyfit("columns"), surveyfit("flags")
    assert (columns.status, flags.status) == (0, 0)
    assert all(f"  {column.name} " in columns.out for column in COLUMNS)
    assert all(words in flags.out for words in FLAG_WORDS.values())


def test_doctor_finds_this_machine_well(tmp_path: Path) -> None:
    answer = surveyfit("doctor", "-o", tmp_path / "run")
    assert "JAX runs on" in answer.out
    assert answer.status == (1 if "WRONG" in answer.out else 0)
    assert files_below(tmp_path) == set()


def test_version() -> None:
    answer = surveyfit("--version")
    assert (answer.status, answer.out) == (0, f"surveyfit, version {__version__}\n")


def test_a_dry_run_tells_the_plan_and_writes_nothing(survey: Path, tmp_path: Path) -> None:
    answer = surveyfit("submit", survey, "-o", tmp_path / "run", "--dry-run", "--tile", 200)
    assert answer.status == 0
    assert "sky_0001.fits: 300 x 300, 4 tiles" in answer.out
    assert "2 images, 8 tiles" in answer.out
    assert files_below(tmp_path) == set()


def test_a_dry_run_names_what_would_fail(survey: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.fits").write_bytes(b"")
    answer = surveyfit("submit", survey, tmp_path, "-o", tmp_path / "run", "--dry-run")
    assert answer.status == 3
    assert len(answer.failed) == 1
    assert "bad.fits" in answer.failed[0]


def test_a_list_and_a_glob_name_images_too(survey: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"# the second\n{survey / 'sky_0002.fits'}\n")
    first = survey / "sky_*1.fits"
    answer = surveyfit("submit", first, tmp_path / "list.txt", "-o", tmp_path / "run", "--dry-run")
    assert answer.status == 0
    assert "2 images" in answer.out


@pytest.fixture
def two_images(survey: Path, tmp_path: Path) -> list[Path]:
    """Return an image without noise, which fails, and a good one, in this order."""
    flat = tmp_path / "flat.fits"
    fits.PrimaryHDU(np.full((99, 99), 7, "f4")).writeto(flat)
    return [flat, survey / "sky_0001.fits"]


def test_quiet_leaves_failures_and_the_summary(two_images: list[Path], tmp_path: Path) -> None:
    answer = surveyfit("submit", *two_images, "-o", tmp_path / "run", "--workers", 0, "--quiet")
    assert answer.status == 3
    starts = [line.split()[0] for line in answer.out.splitlines()]
    assert starts[0] == "FAILED"
    assert len(starts) == 4, "the failure, sources, catalogue, where to read about failures"


def test_strict_stops_at_the_first_failure(two_images: list[Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = surveyfit("submit", *two_images, "-o", run, "--workers", 0, "--strict")
    assert answer.status == 4
    assert len(answer.failed) == 1
    assert record(run)["state"] == "stopped"
    assert len(Table.read(run / "catalog.fits")) == 0
    again = surveyfit("submit", *two_images, "-o", run, "--workers", 0)
    assert again.status == 3
    assert len(Table.read(run / "catalog.fits")) > 0


def test_overwrite_replaces_a_run_and_nothing_else(
    survey: Path, plain_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(plain_run, run)
    images = survey / "sky_0001.fits"
    answer = surveyfit("submit", images, "-o", run, "--workers", 0, "--thresh", 20, "--overwrite")
    assert answer.status == 0
    assert set(Table.read(run / "catalog.fits")["image"]) == {"sky_0001.fits"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    refused = surveyfit("submit", images, "-o", tmp_path / "mine", "--overwrite")
    assert refused.status == 2
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_a_run_killed_when_it_had_but_its_record_is_taken_up(
    survey: Path, plain_run: Path, tmp_path: Path
) -> None:
    """What a kill may leave at the start of a run, or while --overwrite deletes an old one."""
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(plain_run / "run.json", run)
    answer = surveyfit("submit", survey, "-o", run, "--workers", 0)
    assert answer.status == 0
    assert catalogue(run) == catalogue(plain_run)


WRONG_USES = {
    "no command": ([], "Missing command"),
    "unknown command": (["sumbit"], "No such command 'sumbit'"),
    "no images": (["submit"], "Missing argument 'IMAGES...'"),
    "an unset variable": (["submit", ""], "an empty path"),
    "missing path": (["submit", "gone.fits"], "gone.fits does not exist"),
    "glob of nothing": (["submit", "sky/*.fit"], "nothing matches sky/*.fit"),
    "empty folder": (["submit", "empty"], "empty holds no FITS file"),
    "list of nothing": (["submit", "list.txt"], "list.txt lists no image"),
    "list of missing": (["submit", "gone.txt"], "gone.txt line 1: none.fits does not exist"),
    "unknown option": (["submit", "sky", "--tresh", "4"], "No such option '--tresh'"),
    "no number": (["submit", "sky", "--thresh", "four"], "'four' is not a valid float"),
    "out of range": (["submit", "sky", "--thresh", "-1"], "--thresh (key thresh) cannot be -1.0"),
    "not finite": (["submit", "sky", "--gamma", "nan"], "--gamma (key gamma) cannot be nan"),
    "negative plane": (["submit", "sky", "--plane", "-1"], "--plane (key plane) cannot be -1"),
    "tiny cell": (["submit", "sky", "--cell", "2"], "give at least 8"),
    "small tile": (["submit", "sky", "--tile", "10"], "give at least 128"),
    "wide filter": (["submit", "sky", "--filter-fwhm", "1e9"], "give at most 32"),
    "empty text": (["submit", "sky", "--hdu", ""], "--hdu (key hdu) cannot be ''"),
    "unknown key": (
        ["submit", "sky", "--config", "typo.toml"],
        "typo.toml: unknown configuration key 'tresh'",
    ),
    "config no TOML": (["submit", "sky", "--config", "gone.txt"], "gone.txt: not TOML"),
    "config missing": (["submit", "sky", "--config", "no.toml"], "no.toml: No such file"),
    "pattern": (["submit", "sky", "--noise", "{foo}.fits"], "unknown field {foo}"),
    "pattern format": (["submit", "sky", "--mask", "{stem!x}.fits"], "{stem} takes no format"),
    "pattern brace": (["submit", "sky", "--background", "{dir"], "expected '}'"),
    "output is a file": (["submit", "sky", "-o", "list.txt"], "list.txt is not a folder"),
    "output in a file": (["submit", "sky", "-o", "list.txt/run"], "list.txt is not a folder"),
    "output is another's": (["submit", "sky", "-o", "sky"], "holds something else than a run"),
    "memory limit": (["submit", "sky", "--memory-limit", "much"], "much: not a size"),
    "two places": (["submit", "sky", "--workers", "2", "--scheduler", "x"], "leave one out"),
    "no report": (
        ["submit", "sky", "--workers", "0", "--performance-report", "a.html"],
        "leave one out",
    ),
    "scheduler file": (["submit", "sky", "--scheduler", "typo.toml"], "typo.toml: no scheduler"),
    "scheduler scheme": (["submit", "sky", "--scheduler", "ftp://x:1"], "ftp://x:1: no scheduler"),
    "status of no run": (["status", "sky"], "sky: not a run directory"),
    "catalog of no run": (["catalog", "sky", "-t", "a.fits"], "sky: not a run directory"),
    "catalog to nowhere": (["catalog", "sky"], "give either -t FILE or --hats DIR"),
    "catalog to two": (["catalog", "sky", "-t", "a.fits", "--hats", "b"], "either -t FILE or"),
    "hats in a style": (["catalog", "sky", "--hats", "b", "--style", "aegean"], "with -t FILE"),
    "simulate among files": (["simulate", "sky"], "sky holds mine.fits"),
    "simulate into a file": (["simulate", "list.txt"], "list.txt is not a folder"),
    "simulate nothing": (["simulate", "new", "--images", "0"], "0 is not in the range"),
}


@pytest.mark.parametrize("use", WRONG_USES)
def test_wrong_use_is_one_line_and_writes_nothing(
    use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("sky", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "sky" / "mine.fits").write_bytes(b"SIMPLE")
    (tmp_path / "list.txt").write_text("# nothing\n")
    (tmp_path / "gone.txt").write_text("none.fits\n")
    (tmp_path / "typo.toml").write_text("tresh = 4\n")
    monkeypatch.chdir(tmp_path)
    before = files_below(tmp_path)
    words, message = WRONG_USES[use]
    answer = surveyfit(*words)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("out.docx", "unknown table format '.docx'"),
        ("out", "unknown table format ''"),
        ("gone/out.fits", "gone is not a folder"),
        ("folder.fits", "folder.fits is a folder"),
    ],
)
def test_catalog_refuses_a_target_it_cannot_write(
    target: str, message: str, plain_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.fits").mkdir()
    answer = surveyfit("catalog", plain_run, "-t", tmp_path / target)
    assert (answer.status, answer.out) == (2, "")
    assert message in answer.err
    assert files_below(tmp_path) == {tmp_path / "folder.fits"}


@pytest.mark.parametrize("style", [(), ("--style", "aegean")])
def test_an_export_does_not_replace_files_of_the_run(
    plain_run: Path, style: tuple[str, ...]
) -> None:
    target = plain_run / "catalog.fits"
    before = target.read_bytes()
    answer = surveyfit("catalog", plain_run, "-t", target, *style)
    assert (answer.status, answer.out) == (2, "")
    assert "lies in the run itself" in answer.err
    assert target.read_bytes() == before


def test_another_configuration_is_refused_by_its_difference(survey: Path, plain_run: Path) -> None:
    before = record(plain_run)
    answer = surveyfit("submit", survey, "-o", plain_run, "--workers", 0, "--thresh", 4)
    assert answer.status == 2
    assert "thresh was 5.0, now 4.0" in answer.err
    assert "--overwrite" in answer.err
    assert record(plain_run) == before


def test_a_run_with_columns_of_another_version_is_refused(survey: Path, tmp_path: Path) -> None:
    content = {"kind": MARK, "schema_version": SCHEMA_VERSION - 1}
    content["configuration"] = Config().to_dict()
    write_sealed(tmp_path / "run.json", content)
    answer = surveyfit("submit", survey, "-o", tmp_path, "--workers", 0)
    assert answer.status == 2
    assert "columns of another version" in answer.err
    assert "--overwrite" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_scheduler_that_does_not_answer_is_wrong_use(survey: Path, tmp_path: Path) -> None:
    """In a process of its own: Dask's client that never connected may lock up one with others."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # not listening: connections are refused
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        words = ["submit", survey, "-o", tmp_path / "run", "--scheduler", address]
        answer = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=120)
    assert (answer.returncode, answer.stdout) == (2, "")
    (line,) = answer.stderr.splitlines()
    assert f"--scheduler {address}: no scheduler answers" in line
    assert files_below(tmp_path) == set()


def test_an_unexpected_error_is_one_line_too(
    plain_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setitem(WRITERS, ".ecsv", explode)
    words = ("catalog", plain_run, "-t", tmp_path / "out.ecsv")
    answer = surveyfit(*words)
    assert answer.status == 1
    assert len(answer.err.splitlines()) == 1
    assert "unexpected RuntimeError: two lines" in answer.err
    assert "--verbose" in answer.err
    with pytest.raises(RuntimeError):
        surveyfit("--verbose", *words)
    assert files_below(tmp_path) == set()


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Collect processes that are killed if a test fails before they end."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        (0, signal.SIGTERM),
        pytest.param(2, signal.SIGINT, marks=pytest.mark.cluster),
    ],
)
def test_an_interrupted_run_ends_in_order_and_is_finished_by_the_next(
    workers: int,
    number: signal.Signals,
    survey: Path,
    plain_run: Path,
    tmp_path: Path,
    started: list[subprocess.Popen[str]],
) -> None:
    run = tmp_path / "run"
    words = ["submit", str(survey), "-o", str(run), "--workers", str(workers)]
    process = subprocess.Popen(
        [PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started.append(process)
    wait_for(lambda: any(run.glob("receipts/open-file-*.json")), 60)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= workers
    # As a terminal does it: Ctrl-C goes to the workers too.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err.splitlines()[-1] == "interrupted; a run goes on when it is submitted again"
    assert record(run)["state"] == "interrupted"
    assert "interrupted" in surveyfit("status", run).out
    wait_for(lambda: not any(is_alive(child) for child in children), 10)
    assert surveyfit(*words[:-1], 0).status == 0
    assert catalogue(run) == catalogue(plain_run)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def catalogue(run: Path) -> dict[str, str]:
    """Rows by id, as text: the same to the last bit."""
    table = Table.read(run / "catalog.fits")
    return {str(row["source_id"]): str(list(row)) for row in table}
