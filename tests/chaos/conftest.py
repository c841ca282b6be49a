"""The surveys of the chaos tests, each measured once."""

import pytest
from tiled_survey import Survey, measured


@pytest.fixture(scope="session")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """Four images of four tiles."""
    return measured(tmp_path_factory.mktemp("tiled"), images=4, size=300, tile=150)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """Twelve images of nine tiles, for the long forms."""
    return measured(tmp_path_factory.mktemp("large"), images=12, size=384, tile=128)
