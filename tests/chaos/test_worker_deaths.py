"""P1: workers may die at any moment, as often as they like; the catalogue stays the same."""

import random
import time
from pathlib import Path

import pytest
from catalogue_digest import read_catalogue
from processes import Killer
from submission import PATIENCE, Submission
from tiled_survey import Survey

# On a busy machine everything takes ten times as long; nothing here is judged by that.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_killed_workers_change_nothing(tiled: Survey, tmp_path: Path) -> None:
    run = tmp_path / "run"
    chance = random.Random(5)
    with Submission(run, *tiled.words, "--workers", 2) as submission:
        for moment in sorted(chance.sample(range(1, tiled.pieces - 1), 3)):
            submission.wait_for_receipts(moment)
            time.sleep(chance.uniform(0, 0.2))
            chance.choice(submission.workers()).kill()
        assert submission.wait() == 0, submission.text
        assert submission.left_alive() == []
    assert read_catalogue(run) == tiled.right


@pytest.mark.chaos_long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("every", [5.0, 30.0])
def test_workers_killed_all_the_time_change_nothing(
    large: Survey, tmp_path: Path, every: float
) -> None:
    run = tmp_path / "run"
    with Submission(run, *large.words, "--workers", 2) as submission:
        killer = Killer(submission.driver, every, seed=7)
        killer.start()
        assert submission.wait(8 * PATIENCE) == 0, submission.text
        assert killer.ended() > 0
    assert read_catalogue(run) == large.right
