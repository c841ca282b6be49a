"""P7: a tile that kills or holds whoever works on it costs itself, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from command_line import failures, record, surveyfit
from faulty_workers import environment, incidents
from submission import Submission
from tiled_survey import Survey

# On a busy machine everything takes ten times as long; nothing here is judged by that.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

IMAGE, TILE = "sky_0002.fits", "y000000_x000150"
POISON = f"cut-tile {IMAGE} {TILE}"


def words(survey: Survey) -> tuple[object, ...]:
    """Return what submits the image with that tile, and no other."""
    return (survey.folder / IMAGE, *survey.words[1:])


def expected_without_the_tile(survey: Survey) -> list[int]:
    """Return the ids of the right catalogue, those of the poisonous tile left out."""
    table = Table.read(survey.folder.parent / "right" / "catalog.fits")
    table = table[table["image"] == IMAGE]
    poisonous = table["tile"] == TILE
    assert np.count_nonzero(poisonous) > 3
    return sorted(table["source_id"][~poisonous])


def ids(run: Path) -> list[int]:
    return sorted(Table.read(run / "catalog.fits")["source_id"])


def test_a_tile_that_kills_is_convicted_alone(tiled: Survey, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "deaths.txt"
    fault = environment("die", POISON, log)
    with Submission(run, *words(tiled), "--workers", 2, environment=fault) as submission:
        assert submission.wait() == 3, submission.text
        assert submission.left_alive() == []
    (failure,) = failures(run)
    assert (failure["name"], failure["tile"], failure["stage"]) == (IMAGE, TILE, "cut-tile")
    assert "kills the worker" in failure["reason"]
    deaths = incidents(log)
    assert all(len(death.tasks) == 1 for death in deaths[-2:]), "it was not alone"
    # Three beside others make it suspect, two alone guilty.
    assert len(deaths) <= 5
    assert ids(run) == expected_without_the_tile(tiled)
    # Cured, submitted again: only what was missing is done.
    assert surveyfit("submit", *words(tiled), "-o", run, "--workers", 0).status == 0
    assert record(run)["counts"]["pieces_worked"] == 2


@pytest.mark.chaos_long
@pytest.mark.parametrize("fault", ["hang", "stand still"])
def test_a_tile_that_never_ends_is_given_up(tiled: Survey, tmp_path: Path, fault: str) -> None:
    run, log = tmp_path / "run", tmp_path / "hangs.txt"
    # Longer than a compile on a busy machine.
    options = (*words(tiled), "--workers", 2, "--hang", 60)
    with Submission(run, *options, environment=environment(fault, POISON, log)) as submission:
        assert submission.wait() == 3, submission.text
        assert submission.left_alive() == []
    (failure,) = failures(run)
    assert (failure["name"], failure["tile"]) == (IMAGE, TILE)
    assert "--hang" in failure["reason"]
    assert ids(run) == expected_without_the_tile(tiled)
