"""``report.html``: complete for every kind of run, harmless whatever the headers say."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from command_line import surveyfit
from read_page import Page

from surveyfit.report import page_sources
from surveyfit.report.page import SECTIONS, write_report
from surveyfit.report.page_run import read_facts
from surveyfit.run.directory import RunDirectory
from surveyfit.run.validation.certificate import Certificate, ValidationFiles, request_of
from surveyfit.run.validation.match import CERTIFICATE_COLUMNS, FOUND, QUANTITIES
from surveyfit.run.validation.statistics import pulls_by_snr, recoveries
from surveyfit.run.validation.verdict import judge
from surveyfit.schema import FLAG_WORDS, GOOD
from surveyfit.sky.described import described
from surveyfit.sky.parts import write_parquet

HOSTILE = "<script>alert(1)<!--.fits"
HOSTILE_EXTENSION = '"><img src=x onerror=alert(2)>'
HOSTILE_FILTER = "</text></svg><script>alert(3)"


def copy_of(run: Path, folder: Path) -> RunDirectory:
    shutil.copytree(run, folder / "copy")
    return RunDirectory(folder / "copy")


@pytest.fixture(scope="module")
def file(plain_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(plain_run, tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture
def page(file: Path) -> Page:
    return Page(file)


def test_a_page_tells_the_counts_of_the_catalogue(page: Page, plain_run: Path) -> None:
    rows = Table.read(plain_run / "catalog.fits")
    good = int(np.sum((rows["flags"] & GOOD) == 0))
    assert page.sections == list(SECTIONS)
    assert f"{len(rows)} sources, {good / len(rows):.0%} of them good, from 2 images" in page.text
    assert f"{good} of {len(rows)} sources are good" in page.text
    assert "nothing failed" in page.text
    for flag, words in FLAG_WORDS.items():
        assert (words in page.text) == bool(np.any(rows["flags"] & flag)), flag
    for image in np.unique(rows["image"].astype(str)):
        assert f"{image} {np.sum(rows['image'].astype(str) == image)} " in page.text


def test_a_page_shows_sources_of_the_catalogue(page: Page, plain_run: Path) -> None:
    rows = Table.read(plain_run / "catalog.fits")
    shown = [words.split()[-1] for words in page.words if "surveyfit inspect" in words]
    assert len(shown) >= 8, "typical, brightest and worst ones at least"
    assert set(map(int, shown)) <= set(rows["source_id"])
    good = rows[(rows["flags"] & GOOD) == 0]
    assert str(good["source_id"][np.argmax(good["snr"])]) in shown
    pictures = [a for tag, a in page.tags if tag == "image"]
    assert sum(a["href"].startswith("data:image/png") for a in pictures if "href" in a) == len(
        shown
    )


def test_a_page_needs_nothing_but_itself(page: Page) -> None:
    assert page.outside == []
    assert page.handlers == []
    assert not page.names & {"script", "link", "iframe", "object", "embed"}
    (policy,) = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    assert "default-src 'none'" in policy
    pictures = [a for tag, a in page.tags if tag == "svg"]
    assert all(a["role"] == "img" and a["aria-label"] for a in pictures)


def test_a_page_is_made_again_to_the_last_byte(file: Path, plain_run: Path, tmp_path: Path) -> None:
    assert write_report(plain_run, tmp_path / "again.html").read_bytes() == file.read_bytes()


@pytest.fixture(scope="module")
def hostile_run(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure an image whose name and header try to become part of the page; one file fails."""
    folder = tmp_path_factory.mktemp("hostile")
    with fits.open(survey / "sky_0001.fits") as original:
        header = original[0].header
        header["FILTER"] = HOSTILE_FILTER
        del header["BUNIT"]
        sky = fits.ImageHDU(original[0].data[:120, :120], header, name=HOSTILE_EXTENSION)
        fits.HDUList([fits.PrimaryHDU(), sky, fits.ImageHDU(sky.data, header, name="B")]).writeto(
            folder / HOSTILE
        )
    (folder / f"broken {HOSTILE}").write_bytes(b"SIMPLE")
    run = folder / "run"
    assert surveyfit("submit", folder, "-o", run, "--workers", 0, "--quiet").status == 3
    return run


def test_a_page_shows_hostile_headers_as_text(hostile_run: Path) -> None:
    page = Page(hostile_run / "report.html")
    assert page.outside == []
    assert page.handlers == []
    assert not page.names & {"script", "img"}
    assert page.sections == list(SECTIONS)
    for text in (HOSTILE, HOSTILE_EXTENSION, HOSTILE_FILTER):
        assert text.upper() in page.text.upper(), "astropy writes EXTNAME in capitals"


def test_a_page_names_what_failed_and_what_to_do(hostile_run: Path) -> None:
    page = Page(hostile_run / "report.html")
    (failure,) = json.loads((hostile_run / "failures.json").read_text())
    assert "Finished, with failures." in page.text
    assert all(" ".join(failure[k].split()) in page.text for k in ("name", "reason", "remedy"))


def test_a_run_without_sources_has_a_whole_page(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(size=(100, 100)).astype(np.float32)
    fits.writeto(tmp_path / "empty.fits", noise)
    run = tmp_path / "run"
    answer = surveyfit("submit", tmp_path / "empty.fits", "-o", run, "--workers", 0)
    assert answer.status == 0
    page = Page(run / "report.html")
    assert page.sections == list(SECTIONS)
    assert "0 sources, from 1 image; nothing failed" in page.text


def test_an_unfinished_run_has_a_whole_page(plain_run: Path, tmp_path: Path) -> None:
    """As after a kill: the last word says running, results of the end are not there yet."""
    directory = copy_of(plain_run, tmp_path)
    left = ("kind", "sha256", "files", "receipts", "catalogue_rows", "not_measured", "failures")
    record = {k: v for k, v in directory.record().items() if k not in left}
    directory.write_record(record | {"state": "running"})
    for path in (directory.images, directory.failures_path, directory.catalog_fits):
        path.unlink()
    page = Page(write_report(directory.path))
    assert page.sections == list(SECTIONS)
    assert "Not finished." in page.text
    assert "submit again" in page.text


@pytest.mark.parametrize(("scale", "mood"), [(1.0, "yes"), (2.0, "no")])
def test_a_page_tells_the_certificate(
    scale: float, mood: str, plain_run: Path, tmp_path: Path
) -> None:
    """Of made-up artificial sources with errors that are right, or too small by a factor of 2."""
    directory = copy_of(plain_run, tmp_path)
    rng, n = np.random.default_rng(5), 400
    columns = {c.name: np.zeros(n) for c in CERTIFICATE_COLUMNS if c.base == "float64"}
    columns |= {c.name: np.zeros(n, int) for c in CERTIFICATE_COLUMNS if c.base.startswith("int")}
    columns |= {c.name: np.full(n, "a") for c in CERTIFICATE_COLUMNS if c.base == "str"}
    columns |= {f"pull_{name}": scale * rng.normal(size=n) for name in QUANTITIES}
    columns |= {f"true_{name}": np.ones(n) for name in QUANTITIES}
    columns |= {"snr": np.geomspace(4, 200, n), "outcome": np.full(n, FOUND)}
    counts = dict.fromkeys(("missed", "ambiguous", "not_good", "spurious", "lost", "failures"), 0)
    files = ValidationFiles.of(directory.path)
    files.folder.mkdir()
    write_parquet(described(CERTIFICATE_COLUMNS, columns, None), files.rows)
    verdict = judge(columns)
    Certificate(
        request=request_of(directory, n, 1),
        verdict=verdict,
        counts=counts | {"injected": n, "good": n, "images": 2},
        recoveries=tuple(recoveries(columns)),
        pulls=tuple(pulls_by_snr(columns)),
        images=("a",),
        notes=(),
    ).write(files.certificate)
    page = Page(write_report(directory.path))
    assert " ".join(verdict.line.split()) in page.text
    assert [a["class"] for _, a in page.tags if "verdict" in a.get("class", "")] == [
        f"verdict {mood}"
    ]
    labels = " ".join(a.get("aria-label", "") for tag, a in page.tags if tag == "svg")
    assert "Completeness" in labels
    assert "Pulls of fluxes" in labels


def test_what_is_drawn_of_many_sources_is_the_same_share_in_any_order(
    plain_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_sources, "DRAWN", 20)
    directory = RunDirectory(plain_run)
    images = read_facts(directory).images
    backwards = [replace(image, parts=image.parts[::-1]) for image in images[::-1]]
    one, other = (page_sources.read_sources(directory, order) for order in (images, backwards))
    ids = np.sort(Table.read(plain_run / "catalog.fits")["source_id"])
    assert one.rows["source_id"].tolist() == ids[:20].tolist()
    assert one.rows["source_id"].tolist() == other.rows["source_id"].tolist()
    assert one.flags == other.flags
    assert one.brightest["source_id"].tolist() == other.brightest["source_id"].tolist()


def test_a_run_without_its_page_is_a_success_and_a_finished_one_keeps_its_page(
    hostile_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: Path) -> Path:
        raise RuntimeError("no font")

    image, run = hostile_run.parent / HOSTILE, tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("surveyfit.report.page.write_report", fail)
        answer = surveyfit("submit", image, "-o", run, "--workers", 0)
    assert (answer.status, answer.err.count("\n")) == (0, 1)
    assert "RuntimeError: no font" in answer.err
    assert surveyfit("report", run).out == f"Report: {run / 'report.html'}\n"
    before = (run / "report.html").stat()
    assert surveyfit("submit", image, "-o", run, "--workers", 0).status == 0
    assert (run / "report.html").stat().st_mtime_ns == before.st_mtime_ns
    assert surveyfit("verify", run).status == 0


def test_a_page_in_a_missing_folder_is_refused_in_one_line(plain_run: Path, tmp_path: Path) -> None:
    answer = surveyfit("report", plain_run, "-o", tmp_path / "new" / "page.html")
    assert (answer.status, answer.err.count("\n")) == (2, 1)
    assert f"{tmp_path / 'new'} is not a folder" in answer.err


def test_a_page_is_of_a_run(tmp_path: Path) -> None:
    answer = surveyfit("report", tmp_path)
    assert answer.status == 2
    assert "not a run directory" in answer.err
