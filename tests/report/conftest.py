"""A run of one small image that tests may copy, with the image, and spoil."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an image of 160 x 160 pixels in ``sky`` and its ``run``."""
    from surveyfit.run.config import Config, Execution
    from surveyfit.run.pipeline import submit
    from surveyfit.sky.simulate import simulate

    folder = tmp_path_factory.mktemp("small")
    simulate(folder / "sky", images=1, size=160, sources=8, seed=5)
    execution = Execution(workers=0, quiet=True)
    assert submit([str(folder / "sky")], folder / "run", Config(), execution) == 0
    return folder
