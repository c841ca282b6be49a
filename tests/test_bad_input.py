"""Whatever is wrong with the input: one clear line, an exit status, and nothing else is spoilt."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from command_line import PROGRAM, Answer, failures, surveyfit

from surveyfit.sky.simulate import simulate

GOOD = "good.fits"
RNG = np.random.default_rng(5)
NOISE = RNG.normal(100, 3, (100, 100)).astype("f4")
CELESTIAL = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image with a few sources: small, so that measuring it costs next to nothing."""
    folder = tmp_path_factory.mktemp("good")
    simulate(folder, images=1, size=150, sources=8, seed=3)
    return (folder / "sky_0001.fits").rename(folder / GOOD)


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """Return a folder of images that holds the good one."""
    (tmp_path / "images").mkdir()
    shutil.copy(good, tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture(scope="module")
def good_rows(good: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return the number of catalogue rows of the good image."""
    run = tmp_path_factory.mktemp("alone") / "run"
    assert surveyfit("submit", good, "-o", run, "--workers", 0).status == 0
    return len(Table.read(run / "catalog.fits"))


def write(path: Path, data: np.ndarray | None, **cards: object) -> None:
    fits.PrimaryHDU(data, fits.Header(cards)).writeto(path)


def promising(path: Path, good: Path) -> None:
    old, new = (f"NAXIS2  = {n:20d}".encode() for n in (150, 150_000))
    assert old in good.read_bytes()
    path.write_bytes(good.read_bytes().replace(old, new, 1))


def table(path: Path, good: Path) -> None:
    fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.zeros(3))]).writeto(path)


BAD_FILES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "text": (lambda path, good: path.write_text("not FITS\n"), "is not a FITS file"),
    "empty": (lambda path, good: path.write_bytes(b""), r"is empty \(0 bytes\)"),
    "truncated": (lambda path, good: path.write_bytes(good.read_bytes()[:40_000]), "is truncated"),
    "header cut": (lambda path, good: path.write_bytes(good.read_bytes()[:900]), "no END"),
    "promises more pixels": (promising, "promises 90000000 bytes"),
    "table": (table, "holds only tables"),
    "no data": (lambda path, good: write(path, None), "holds no pixels"),
    "one-dimensional": (lambda path, good: write(path, np.arange(100.0)), "holds no image"),
    "strip of one row": (lambda path, good: write(path, NOISE[:1]), "holds no image"),
    "cube": (lambda path, good: write(path, np.stack([NOISE] * 2)), "--plane 0 to 1"),
    "all NaN": (lambda path, good: write(path, NOISE * np.nan), "no usable pixel"),
    "all BLANK": (
        lambda path, good: write(path, np.full((99, 99), -1, "i2"), BLANK=-1),
        "no usable pixel",
    ),
    "zero": (lambda path, good: write(path, NOISE * 0), "no usable pixel"),
    "constant": (lambda path, good: write(path, NOISE * 0 + 7), "constant"),
    "saturated": (lambda path, good: write(path, NOISE, SATURATE=1.0), "saturat"),
    "beyond float32": (lambda path, good: write(path, NOISE * np.float64(1e300)), "beyond 1e"),
    "link to nothing": (lambda path, good: path.symlink_to("nowhere.fits"), "No such file"),
    "link to itself": (lambda path, good: path.symlink_to(path.name), "symbolic links"),
    "pipe": (lambda path, good: os.mkfifo(path), "is a pipe"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_fails_alone_and_spoils_nothing_else(
    kind: str, good: Path, folder: Path, good_rows: int, tmp_path: Path
) -> None:
    make, words = BAD_FILES[kind]
    make(folder / "bad.fits", good)
    run = tmp_path / "run"
    answer = surveyfit("submit", folder, "-o", run, "--workers", 0)
    assert answer.status == 3
    assert_one_failure(answer, run, "bad.fits", words)
    assert len(Table.read(run / "catalog.fits")) == good_rows


@pytest.mark.parametrize("kind", BAD_FILES)
def test_nothing_but_a_bad_file_is_status_4(kind: str, good: Path, tmp_path: Path) -> None:
    make, words = BAD_FILES[kind]
    make(tmp_path / "bad.fits", good)
    run = tmp_path / "run"
    answer = surveyfit("submit", tmp_path / "bad.fits", "-o", run, "--workers", 0)
    assert answer.status == 4
    assert_one_failure(answer, run, "bad.fits", words)
    assert len(Table.read(run / "catalog.fits")) == 0


def assert_one_failure(answer: Answer, run: Path, name: str, words: str) -> None:
    """One line on the terminal, one row in failures.json, both naming the file; no traceback."""
    assert len(answer.failed) == 1
    assert answer.failed[0].startswith(f"FAILED {name}: ")
    assert re.search(words, answer.failed[0])
    assert "Traceback" not in answer.out
    assert answer.err == ""
    rows = failures(run)
    assert [row["name"] for row in rows] == [name]
    assert rows[0]["reason"]
    assert rows[0]["remedy"]


def test_a_traceback_is_for_those_who_ask(tmp_path: Path) -> None:
    (tmp_path / "bad.fits").write_bytes(b"")
    answer = surveyfit("submit", tmp_path, "-o", tmp_path / "run", "--workers", 0, "--verbose")
    assert answer.status == 4
    assert "Traceback" in answer.out


ODD_IMAGES: dict[str, Callable[[fits.HDUList], None]] = {
    "times 1e25": lambda hdus: scale(hdus, 1e25),
    "times 1e-30": lambda hdus: scale(hdus, 1e-30),
    "projection of no name": lambda hdus: hdus[0].header.update(CTYPE1="FOO--BAR", CTYPE2="BAZ"),
    "singular CD": lambda hdus: hdus[0].header.update(
        CELESTIAL, CD1_1=1e-4, CD1_2=1e-4, CD2_1=1e-4, CD2_2=1e-4
    ),
    "pixels of 50 degrees": lambda hdus: hdus[0].header.update(CELESTIAL, CDELT1=50, CDELT2=50),
    "unsigned bytes": lambda hdus: to_bytes(hdus),
}


def scale(hdus: fits.HDUList, factor: float) -> None:
    hdus[0].data = (hdus[0].data.astype("f8") * factor).astype("f4")


def to_bytes(hdus: fits.HDUList) -> None:
    # The sky of 400 with its noise of 20 stays well within a byte; bright stars are clipped.
    hdus[0].data = np.clip(hdus[0].data / 4, 0, 255).astype("u1")


@pytest.mark.parametrize("kind", ODD_IMAGES)
def test_an_odd_image_is_measured_like_any(
    kind: str, good: Path, good_rows: int, tmp_path: Path
) -> None:
    with fits.open(good) as hdus:
        ODD_IMAGES[kind](hdus)
        hdus.writeto(tmp_path / "odd.fits")
    answer = surveyfit("submit", tmp_path / "odd.fits", "-o", tmp_path / "run", "--workers", 0)
    assert (answer.status, answer.err) == (0, "")
    assert failures(tmp_path / "run") == []
    # A detection at the threshold may come or go when values are rounded to bytes.
    assert abs(len(Table.read(tmp_path / "run" / "catalog.fits")) - good_rows) <= 1


@pytest.mark.parametrize("shape", [(2, 2), (10, 10), (2, 1000)])
def test_an_image_smaller_than_a_cutout_is_no_failure(
    shape: tuple[int, int], tmp_path: Path
) -> None:
    write(tmp_path / "small.fits", np.random.default_rng(2).normal(0, 1, shape))
    answer = surveyfit("submit", tmp_path / "small.fits", "-o", tmp_path / "run", "--workers", 0)
    assert (answer.status, answer.err) == (0, "")


def test_random_bytes_for_pixels_do_not_end_the_program(good: Path, tmp_path: Path) -> None:
    """Sums of values near the largest float crash sep, and with it the program (this seed does)."""
    content = bytearray(good.read_bytes())
    content[5760:90_000] = np.random.default_rng(1).bytes(90_000 - 5760)
    (tmp_path / "random.fits").write_bytes(content)
    done = subprocess.run(
        [PROGRAM, "submit", tmp_path / "random.fits", "-o", tmp_path / "run", "--workers", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name",
    ["with space.fits", "[x] (1) {dir} %s.fits", "Größe π.fits", "two\nlines.fits", "\x1b[31m.fits",
     os.fsdecode(b"caf\xe9.fits")],
)  # fmt: skip
def test_any_file_name_is_measured_and_written_on_one_line(
    name: str, good: Path, good_rows: int, tmp_path: Path
) -> None:
    shutil.copy(good, tmp_path / name)
    (tmp_path / f"bad {name}").write_bytes(b"")
    answer = surveyfit("submit", tmp_path, "-o", tmp_path / "run", "--workers", 0)
    assert answer.status == 3
    assert len(answer.failed) == 1
    assert answer.failed[0].endswith("leave it out")
    assert "\x1b" not in answer.out
    assert len(Table.read(tmp_path / "run" / "catalog.fits")) == good_rows


def test_a_file_given_twice_counts_once(good: Path, good_rows: int, tmp_path: Path) -> None:
    (tmp_path / "link.fits").symlink_to(good)
    run = tmp_path / "run"
    answer = surveyfit("submit", good, good.parent, tmp_path, "-o", run, "--workers", 0)
    assert answer.status == 0
    assert len(Table.read(run / "catalog.fits")) == good_rows


def test_a_folder_that_contains_its_run_and_itself(
    folder: Path, good_rows: int, tmp_path: Path
) -> None:
    (folder / "again").symlink_to(folder)
    words = ("submit", folder, "-o", folder / "run", "--workers", 0)
    first, second = surveyfit(*words), surveyfit(*words)
    assert (first.status, second.status) == (0, 0)
    assert "nothing to do" in second.out
    assert len(Table.read(folder / "run" / "catalog.fits")) == good_rows


def test_an_image_without_its_noise_image_fails_alone(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / GOOD, folder / "lonely.fits")
    with fits.open(folder / "lonely.fits", mode="update") as hdus:
        hdus[0].header["OBJECT"] = "not the same bytes"
    (tmp_path / "noise").mkdir()
    write(tmp_path / "noise" / "good_rms.fits", np.full((150, 150), 20, "f4"))
    run, pattern = tmp_path / "run", f"{tmp_path}/noise/{{stem}}_rms.fits"
    answer = surveyfit("submit", folder, "-o", run, "--workers", 0, "--noise", pattern)
    assert answer.status == 3
    assert_one_failure(answer, run, "lonely.fits", "does not exist: .*lonely_rms.fits")
    assert set(Table.read(run / "catalog.fits")["image"]) == {GOOD}


def run_without_privileges(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command bound by permissions, also where the tests are run by root."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if os.geteuid() == 0 and shutil.which(drop[0]) is None:
        pytest.skip("root, and no setpriv to drop its privileges")
    command = [*(drop if os.geteuid() == 0 else []), PROGRAM, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_file_that_may_not_be_read_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "locked.fits").write_bytes(b"SIMPLE")
    (tmp_path / "locked.fits").chmod(0)
    run = tmp_path / "run"
    done = run_without_privileges("submit", tmp_path / "locked.fits", "-o", run, "--workers", 0)
    answer = Answer(done.returncode, done.stdout, done.stderr)
    assert answer.status == 4
    assert_one_failure(answer, run, "locked.fits", "Permission denied")


def test_an_output_that_may_not_be_written_is_wrong_use(good: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    done = run_without_privileges("submit", good, "-o", locked / "run", "--workers", 0)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: {locked}: no permission to write: write somewhere else, or change its permissions"
    ]
