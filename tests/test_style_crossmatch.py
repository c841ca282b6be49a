"""A script made for Aegean's or PyBDSF's catalogue does the same with ours in its style."""

from pathlib import Path

import pytest
from style_crossmatch import compare

from surveyfit.run.config import Config, Execution
from surveyfit.run.pipeline import submit

DATA = Path(__file__).parents[2] / "shared" / "data"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the development images are not here"),
]


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("styled") / "run"
    image = DATA / f"{request.param}.fits"
    submit([str(image)], path, Config(), Execution(workers=0, quiet=True))
    return path


IMAGES = ["aegean_1904-66_nan", "scorpio_atca_extended"]


@pytest.mark.parametrize("run", IMAGES, indirect=True)
@pytest.mark.parametrize("style", ["aegean", "pybdsf"])
def test_a_crossmatch_finds_the_same_partners(run: Path, style: str) -> None:
    found = compare(run, DATA, style)
    # Measured: 36 of 36 and 33 of 33; in the crowded nebulae of the other image 22 of 23, 17 of 17.
    assert found.both >= 15
    assert found.same >= found.both - 1
    # Measured 0.92 to 1.01: they differ in how they take neighbours apart.
    assert found.total == pytest.approx(1.0, abs=0.1)
    assert found.major == pytest.approx(1.0, abs=0.1)
