"""``surveyfit validate`` as a user meets it: what it says, what it leaves, what it refuses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Answer, surveyfit

from surveyfit.errors import InputError
from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.validation.certificate import lines, read_certificate
from surveyfit.run.validation.images import check_unchanged, measured_images
from surveyfit.sky.atomic import file_digest

SOURCES = 30


def contents(run: Path) -> dict[str, str]:
    """Digest every file of a run but those that `validate` writes."""
    files = (path for path in run.rglob("*") if path.is_file())
    own = (p for p in files if p.relative_to(run).parts[0] not in ("validation", "report.html"))
    return {str(path.relative_to(run)): file_digest(path) for path in own}


@pytest.fixture(scope="module")
def validated(
    plain_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Answer, dict[str, str]]:
    """Validate a copy of the run: where it is, what was said, and what it held before."""
    run = tmp_path_factory.mktemp("validated") / "run"
    shutil.copytree(plain_run, run)
    before = contents(run)
    return run, surveyfit("validate", run, "--inject", SOURCES, "--workers", 0), before


def test_it_puts_sources_in_and_finds_them_again(validated: tuple[Path, Answer, object]) -> None:
    run, answer, _ = validated
    assert answer.status == 0, answer.err
    rows = pd.read_parquet(run / "validation" / "certificate.parquet")
    assert len(rows) == SOURCES
    bright = rows[rows["snr"] > 10]
    assert (bright["outcome"] == "good").mean() > 0.8
    assert rows["path"].nunique() == 2  # both images take their share
    good = bright[bright["outcome"] == "good"]
    # About 19 sources: the median of their pulls is within 0.3 of its truth, three times that.
    for name in ("x", "y", "flux_peak", "flux_int", "fit_sigma"):
        assert abs(np.median(good[f"pull_{name}"])) < 0.9, name
    # What is put in as S/N is what a catalogue has as snr, but for the noise.
    assert np.median(good["measured_snr"] / good["snr"]) == pytest.approx(1, abs=0.1)


def test_the_page_of_the_run_tells_the_answer(validated: tuple[Path, Answer, object]) -> None:
    run, _, _ = validated
    assert "Cannot tell" in (run / "report.html").read_text()


def test_it_says_in_one_line_whether_to_believe(validated: tuple[Path, Answer, object]) -> None:
    run, answer, _ = validated
    last = answer.out.splitlines()[-1]
    assert last.startswith("Can the errors of this run be believed? Cannot tell:")
    certificate = read_certificate(run)
    assert certificate is not None
    assert last == list(lines(certificate))[-1]
    assert max(map(len, list(lines(certificate))[:-1])) <= 100
    assert certificate.counts["injected"] == SOURCES
    content = json.loads((run / "validation" / "certificate.json").read_text())
    assert content["request"]["seed"] == 1
    assert content["request"]["versions"]["surveyfit"]


def test_the_run_stays_as_it_was(validated: tuple[Path, Answer, dict[str, str]]) -> None:
    run, _, before = validated
    assert contents(run) == before
    assert surveyfit("verify", run).status == 0
    assert surveyfit("verify", run / "validation" / "run").status == 0


def test_again_it_does_nothing_and_another_seed_draws_others(
    validated: tuple[Path, Answer, object],
) -> None:
    run, first, _ = validated
    folder = run / "validation"
    drawn = file_digest(folder / "injected.parquet")
    again = surveyfit("validate", run, "--inject", SOURCES, "--workers", 0)
    assert "given already, nothing to do" in again.out
    assert again.out.splitlines()[-1] == first.out.splitlines()[-1]
    (folder / "certificate.json").unlink()
    anew = surveyfit("validate", run, "--inject", SOURCES, "--workers", 0)
    assert "finished already, nothing to do" in anew.out  # what was measured is kept
    assert file_digest(folder / "injected.parquet") == drawn
    other = surveyfit("validate", run, "--inject", SOURCES, "--workers", 0, "--seed", 2)
    assert other.status == 0
    assert file_digest(folder / "injected.parquet") != drawn
    assert len(pd.read_parquet(folder / "certificate.parquet")) == SOURCES


def test_a_certificate_of_another_state_of_the_run_is_not_read(
    validated: tuple[Path, Answer, object], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(validated[0], run)
    directory = RunDirectory(run)
    record = directory.record()
    record.pop("sha256", None)
    directory.write_record(record | {"updated": "later"})
    assert read_certificate(run) is None


def test_what_cannot_be_validated_is_refused_in_one_line(plain_run: Path, tmp_path: Path) -> None:
    nowhere = surveyfit("validate", tmp_path)
    assert (nowhere.status, nowhere.err.count("\n")) == (2, 1)
    assert "not a run directory" in nowhere.err
    run = tmp_path / "run"
    shutil.copytree(plain_run, run)
    directory = RunDirectory(run)
    record = directory.record()
    record.pop("sha256", None)
    for change, words in (
        ({"state": "stopped"}, "is not finished: submit again, then validate"),
        ({"configuration_key": "0"}, "was made by another version of surveyfit"),
    ):
        directory.write_record(record | change)
        answer = surveyfit("validate", run, "--workers", 0)
        assert (answer.status, answer.err.count("\n")) == (2, 1)
        assert words in answer.err
    assert not (run / "validation").exists()


def test_images_that_have_gone_or_changed_are_named(plain_run: Path, tmp_path: Path) -> None:
    image, *_ = measured_images(RunDirectory(plain_run))
    check_unchanged(image, Config())
    gone = replace(image, path=str(tmp_path / "sky.fits"))
    with pytest.raises(InputError, match=r"sky\.fits is gone since the run"):
        check_unchanged(gone, Config())
    with pytest.raises(InputError, match="has changed since the run: submit again first"):
        check_unchanged(replace(image, digest="0"), Config())
