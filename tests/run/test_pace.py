"""Rates and the time that is left, with a clock that the test turns."""

import pytest

from surveyfit.run.pace import WINDOW, Pace
from surveyfit.run.pieces import Failure, Outcome, Piece, Stage
from surveyfit.run.plan import tiles

TILES = tuple(tiles((64, 1024), side=64, halo=0))


class Clock:
    """Seconds that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pace(clock: Clock) -> Pace:
    """One image of 16 tiles."""
    return Pace({Stage.NOISE: 1, Stage.CUT: 16, Stage.FIT: 16}, clock)


def noise(seconds: float, **other: object) -> Outcome:
    return Outcome(Piece(Stage.NOISE, "n"), {}, seconds, **other)  # type: ignore[arg-type]


def cut(tile: int, seconds: float, **other: object) -> Outcome:
    piece = Piece(Stage.CUT, f"c{tile}", tiles=TILES[tile : tile + 1])
    return Outcome(piece, {}, seconds, **other)  # type: ignore[arg-type]


def fit(first: int, last: int, seconds: float, rows: int, **other: object) -> Outcome:
    piece = Piece(Stage.FIT, f"f{first}", tiles=TILES[first:last])
    return Outcome(piece, {"rows": rows}, seconds, **other)  # type: ignore[arg-type]


def failure(stage: Stage) -> Failure:
    return Failure("a.fits", "", stage, "broken", "mend it")


def test_no_time_is_given_before_every_stage_has_been_seen(clock: Clock) -> None:
    run = pace(clock)
    assert run.to_dict()["seconds_left"] is None
    clock.now = 2.0
    run.add(noise(2.0), 16)
    clock.now = 4.0
    run.add(cut(0, 2.0), 16)
    assert run.to_dict()["seconds_left"] is None


def test_one_worker_needs_what_the_rest_takes_and_two_half_of_it(clock: Clock) -> None:
    """Of 16 tiles 8 are cut (1 s each) and fitted (2 s a tile): 8 + 16 s of work are left."""
    for workers in (1, 2):
        run = pace(clock)
        clock.now = 4.0 / workers
        run.add(noise(4.0 / workers), 16)
        for tile in range(8):
            clock.now += 1.0 / workers
            run.add(cut(tile, 1.0), 16)
        clock.now += 16.0 / workers
        run.add(fit(0, 8, 16.0, 800), 16)
        left = run.to_dict()["seconds_left"]
        assert left == pytest.approx(24.0 / workers, rel=0.1)


def test_what_an_earlier_run_did_counts_as_ended_but_not_in_the_rate(clock: Clock) -> None:
    run = pace(clock)
    clock.now = 100.0
    run.add(noise(5.0, resumed=True), 16)
    for tile in range(8):
        run.add(cut(tile, 1.0, resumed=True), 16)
    run.add(fit(0, 8, 16.0, 100_000, resumed=True), 16)
    assert run.to_dict()["rows_per_second"] == 0.0
    assert run.to_dict()["seconds_left"] is None
    clock.now = 110.0
    run.add(fit(8, 12, 10.0, 500), 16)
    now = run.to_dict()
    assert now["rows_per_second"] == pytest.approx(50.0)
    # 8 tiles to cut at 1 s; 4 to fit, at (16 + 10) / 12 s, by the one worker of the last 10 s.
    assert now["seconds_left"] == pytest.approx(8 + 4 * 26 / 12)


def test_the_rate_follows_a_change(clock: Clock) -> None:
    run = pace(clock)
    clock.now = 10.0
    run.add(fit(0, 4, 10.0, 10_000), 16)
    clock.now += 2 * WINDOW
    run.add(fit(4, 8, 10.0, 1200), 16)
    assert run.to_dict()["rows_per_second"] == pytest.approx(1200 / WINDOW)
    clock.now += 2 * WINDOW
    assert run.to_dict()["rows_per_second"] == 0.0


def test_long_pieces_do_not_make_it_jump(clock: Clock) -> None:
    """Pieces of ten minutes: just after one has ended, and just before, one worker is one."""
    run = pace(clock)
    run.add(noise(0.0), 16)
    for tile in range(16):
        run.add(cut(tile, 0.0), 16)
    for i in range(3):
        clock.now += 600.0
        run.add(fit(i, i + 1, 600.0, 60), 16)
    assert run.to_dict()["seconds_left"] == pytest.approx(13 * 600.0)
    clock.now += 599.0
    assert run.to_dict()["seconds_left"] == pytest.approx(13 * 600.0, rel=0.5)


def test_what_cannot_follow_a_failure_is_not_waited_for(clock: Clock) -> None:
    run = pace(clock)
    run.add(noise(1.0, failure=failure(Stage.NOISE)), 16)
    stages = run.to_dict()["stages"]
    assert [s["ended"] for s in stages.values()] == [1, 16, 16]
    run = pace(clock)
    run.add(cut(3, 1.0, failure=failure(Stage.CUT)), 16)
    assert [s["ended"] for s in run.to_dict()["stages"].values()] == [0, 1, 1]
