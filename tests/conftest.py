"""What several rooms' tests share: one thread, a private compilation cache, a small survey."""

import os

# Read when XLA starts: results are compared bit by bit with those of one-thread workers.
os.environ["NPROC"] = "1"

from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled code is shared by all tests and their worker processes, and by nobody else."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated images of 300 x 300 pixels with 40 sources each, and their truth."""
    from surveyfit.sky.simulate import simulate

    folder = tmp_path_factory.mktemp("survey")
    simulate(folder, images=2, size=300, sources=40, seed=11)
    return folder


@pytest.fixture(scope="session")
def plain_run(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure the survey in a plain loop: the reference for every other way to run."""
    from surveyfit.run.config import Config, Execution
    from surveyfit.run.pipeline import submit

    run = tmp_path_factory.mktemp("runs") / "plain"
    status = submit([str(survey)], run, Config(), Execution(workers=0, quiet=True))
    assert status == 0
    return run
