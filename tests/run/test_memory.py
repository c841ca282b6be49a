"""Memory said beforehand: the plan, the tile that a limit holds, and refusals."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import record, surveyfit

from surveyfit.errors import InputError
from surveyfit.run import machine
from surveyfit.run.config import Config, Execution
from surveyfit.run.memory import (
    SMALLEST_TILE,
    USABLE,
    check_limit,
    plan,
    with_fitting_tile,
    with_usual_tile,
)
from surveyfit.run.pieces import STAGES, Stage

MIB, GIB = 2**20, 2**30
LOOP = Execution(workers=0)


def loop(limit: int) -> Execution:
    return replace(LOOP, memory_limit=f"{limit}B")


def test_more_pixels_companions_columns_and_digits_need_more() -> None:
    small = Config(tile=512)
    for stage, larger, width in [
        (Stage.CUT, Config(tile=1024), 4096),
        (Stage.CUT, Config(tile=512, halo=200), 4096),
        (Stage.CUT, Config(tile=512, mask="m.fits"), 4096),
        (Stage.NOISE, small, 8192),
        (Stage.FIT, Config(tile=512, dtype="float64"), 4096),
    ]:
        assert plan(larger, width).by_stage[stage] > plan(small, 4096).by_stage[stage]
    assert set(plan(small).by_stage) == set(STAGES)


def test_the_largest_tile_that_a_limit_holds_is_chosen() -> None:
    usual = Config()
    need = {tile: plan(replace(usual, tile=tile)).limit for tile in (1024, 512, SMALLEST_TILE)}
    assert need[1024] > need[512] >= need[SMALLEST_TILE]
    for limit in need.values():
        largest = max(tile for tile in need if need[tile] <= limit)
        assert with_fitting_tile(usual, limit).tile == largest
    assert with_fitting_tile(usual, 2**40) == usual
    assert with_fitting_tile(usual, 1).tile == SMALLEST_TILE


def test_a_limit_leaves_the_room_above_which_dask_pauses_a_worker() -> None:
    need = plan(Config())
    assert need.peak <= USABLE * (need.limit + 1)
    check_limit(Config(), loop(need.limit))
    with pytest.raises(InputError):
        check_limit(Config(), loop(int(need.limit * 0.99)))


def test_what_a_refusal_recommends_is_accepted() -> None:
    config = Config(tile=2048)
    limit = plan(replace(config, tile=512)).limit
    with pytest.raises(InputError) as refused:
        check_limit(config, loop(limit))
    more, tile = re.findall(r"--memory-limit (\d+)MiB, or --tile (\d+)", str(refused.value))[0]
    check_limit(config, loop(int(more) * MIB))
    check_limit(replace(config, tile=int(tile)), loop(limit))


def test_workers_of_this_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed.system

    monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", 9 * GIB)
    assert machine.worker_memory(Execution(workers=4)) == (9 * GIB - machine.DRIVER) // 4
    with pytest.raises(InputError, match=r"give --workers \d") as refused:
        check_limit(Config(), Execution(workers=40))
    fewer = int(re.findall(r"--workers (\d+)", str(refused.value))[0])
    check_limit(Config(), Execution(workers=fewer))


@pytest.mark.parametrize("memory", [2, 4, 9, 64])
def test_no_more_workers_are_started_than_there_is_memory_for(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distributed.system

    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda process: set(range(16)))
    monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", memory * GIB)
    workers = machine.count_workers(Execution())
    assert workers == {2: 1, 4: 2, 9: 5, 64: 16}[memory]
    share = machine.worker_memory(Execution())
    assert share == (memory * GIB - machine.DRIVER) // workers
    given = Execution(memory_limit="2GiB")
    assert machine.count_workers(given) == {2: 1, 4: 1, 9: 4, 64: 16}[memory]


def test_what_a_worker_is_given_at_least_holds_small_tiles() -> None:
    assert plan(Config(tile=SMALLEST_TILE)).limit <= machine.WORKER


def test_nothing_is_refused_where_nobody_has_set_a_limit() -> None:
    check_limit(Config(tile=50_000), LOOP)
    check_limit(Config(tile=50_000), Execution(scheduler="tcp://10.0.0.1:8786"))


def test_too_small_a_limit_is_refused_before_anything_is_written(
    survey: Path, tmp_path: Path
) -> None:
    for more in ([], ["--dry-run"]):
        run = tmp_path / "run"
        answer = surveyfit(
            "submit", survey, "-o", run, "--workers", 0, "--memory-limit", "300MiB", *more
        )
        assert answer.status == 2
        assert answer.err.startswith("error: 300MiB of memory for a worker are too little")
        assert answer.err.count("\n") == 1
        assert not run.exists()


def test_a_limit_that_is_no_size_is_refused(survey: Path, tmp_path: Path) -> None:
    answer = surveyfit("submit", survey, "-o", tmp_path / "run", "--memory-limit", "much")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == "error: --memory-limit much: not a size: write it as 4GiB\n"


def test_the_plan_tells_memory_by_stage(survey: Path, tmp_path: Path) -> None:
    out = surveyfit("submit", survey, "-o", tmp_path / "run", "--dry-run", "--workers", 0).out
    (line,) = (line for line in out.splitlines() if line.startswith("memory of a worker"))
    assert re.findall(r"\d+MiB to ([a-z-]+)", line) == [str(stage) for stage in STAGES]
    assert re.search(r"memory limit of a worker: at least \d+MiB", out)
    assert re.search(r"memory of the driver: up to \d+MiB", out)


def test_a_run_goes_on_with_its_tile_whatever_the_limit(plain_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(plain_run, run)
    recorded = record(run)["configuration"]["tile"]
    tight = loop(plan(Config(tile=512)).limit)
    assert with_usual_tile(Config(), run, tight).tile == recorded == 1024
    assert with_usual_tile(Config(), run, replace(tight, overwrite=True)).tile == 512
    assert with_usual_tile(Config(), tmp_path / "new", tight).tile == 512
