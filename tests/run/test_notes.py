"""What workers warn of reaches the person at the terminal."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from surveyfit.errors import HalvedWarning
from surveyfit.run import tasks
from surveyfit.run.config import Config, Execution
from surveyfit.run.notes import noted
from surveyfit.run.pipeline import submit


def warn_of_both() -> list[str]:
    with noted() as notes:
        for _ in range(2):
            warnings.warn("half", HalvedWarning, stacklevel=1)
        warnings.warn("other", ResourceWarning, stacklevel=1)
    return notes


@pytest.mark.filterwarnings("default")
def test_ours_are_collected_once_and_others_pass() -> None:
    with pytest.warns(ResourceWarning, match="other"):
        assert warn_of_both() == ["half"]


def test_a_halved_batch_is_told_and_logged(
    survey: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure = tasks.measure_batch

    def on_a_small_device(*arguments: Any) -> Any:
        warnings.warn("8 fits in step instead of 16", HalvedWarning, stacklevel=1)
        return measure(*arguments)

    monkeypatch.setattr(tasks, "measure_batch", on_a_small_device)
    run = tmp_path / "run"
    assert submit([str(survey / "sky_0001.fits")], run, Config(), Execution(workers=0)) == 0
    line = "sky_0001.fits y000000_x000000: 8 fits in step instead of 16"
    assert capsys.readouterr().out.count(line) == 1
    assert (run / "log.txt").read_text().count(line) == 1
