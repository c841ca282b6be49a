"""One submit at a time: who comes second is told, who died is succeeded, who lost it learns of it.

A lock of another machine is played by a file whose kernel is another and by a thread that touches
it: what a machine sees of a shared disk that does not pass ``flock`` on.
"""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest
from command_line import surveyfit

from surveyfit.errors import InputError
from surveyfit.run import lock
from surveyfit.run.holder import Holder, holder_of
from surveyfit.run.lock import BEAT, LockLostError, held

REFUSAL_WITHIN = 5.0
"""Seconds; promise P5."""

HOLD = """
import sys, time
from pathlib import Path
from surveyfit.run.lock import held
with held(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


def silent(line: str) -> None:
    """Take a line and print nothing."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "lock"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lock of another machine be dead after two seconds."""
    monkeypatch.setattr(lock, "SILENCE", 2.0)


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold the lock in another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def other_machine(path: Path, **changes: str) -> Holder:
    """Write the lock of a submit on another machine."""
    path.parent.mkdir()
    holder = replace(Holder.me(), host="faraway", pid=17, kernel="another", **changes)
    path.write_text(json.dumps(asdict(holder)))
    return holder


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """Give signs of life, by a clock that is a year behind, until the block ends."""
    stop = threading.Event()

    def beat() -> None:
        seconds = time.time() - 3e7
        while not stop.wait(BEAT):
            seconds += BEAT
            os.utime(path, (seconds, seconds))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_lock_is_there_while_the_block_works_and_nothing_stays(path: Path) -> None:
    with held(path, silent):
        assert holder_of(path) is not None
    assert not path.parent.exists()


def test_a_folder_that_was_there_stays(path: Path) -> None:
    path.parent.mkdir()
    with held(path, silent):
        pass
    assert list(path.parent.iterdir()) == []


def test_the_second_is_refused_at_once_and_told_by_whom(path: Path) -> None:
    with other_process(path) as first:
        began = time.monotonic()
        refused = pytest.raises(InputError, match=rf"in use by process {first.pid} on .*, since 20")
        with refused, held(path, silent):
            raise AssertionError("held twice")
        assert time.monotonic() - began < REFUSAL_WITHIN
        assert (holder_of(path) or Holder.me()).pid == first.pid


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_who_was_killed_is_succeeded_at_once(path: Path, death: signal.Signals) -> None:
    with other_process(path) as first:
        first.send_signal(death)
        first.wait()
        assert path.exists()
        began = time.monotonic()
        with held(path, silent) as mine:
            assert (holder_of(path) or Holder.me()).pid == os.getpid()
            mine.check()
        assert time.monotonic() - began < 2 * BEAT


def test_a_stopped_process_still_holds_it(path: Path) -> None:
    with other_process(path) as first:
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(InputError, match="in use"), held(path, silent):
            raise AssertionError("held twice")


def _try(path: Path, start: Barrier, end: Event, answers: "Queue[str]") -> None:
    """Take the lock at the same moment as others; tell how that went."""
    start.wait()
    try:
        with held(path, silent):
            answers.put("held")
            end.wait()
    except InputError:
        answers.put("refused")


@pytest.mark.parametrize("dead", [False, True])
def test_of_several_at_the_same_moment_one_wins(path: Path, dead: bool) -> None:
    """Also where all of them find the lock of a process that was killed."""
    if dead:
        with other_process(path) as first:
            first.kill()
            first.wait()
    context = multiprocessing.get_context("spawn")
    start, end, answers = context.Barrier(6), context.Event(), context.Queue()
    processes = [context.Process(target=_try, args=(path, start, end, answers)) for _ in range(6)]
    for process in processes:
        process.start()
    assert sorted(answers.get(timeout=60) for _ in processes) == ["held", *["refused"] * 5]
    end.set()
    for process in processes:
        process.join()


def test_another_machine_that_gives_signs_of_life_is_not_disturbed(path: Path) -> None:
    other_machine(path)
    began = time.monotonic()
    refused = pytest.raises(InputError, match="in use by process 17 on faraway")
    with beating(path), refused, held(path, silent):
        raise AssertionError("held twice")
    assert time.monotonic() - began < REFUSAL_WITHIN


def test_another_machine_that_is_silent_is_waited_for_then_succeeded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "SILENCE", 4 * BEAT)
    other_machine(path)
    said: list[str] = []
    began = time.monotonic()
    with held(path, said.append) as mine:
        assert time.monotonic() - began > lock.SILENCE
        mine.check()
    assert re.search("process 17 on faraway.*no sign of life", " ".join(said))


@pytest.mark.usefixtures("quick")
def test_a_disk_without_flock_is_guarded_by_signs_of_life(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_flock", lambda descriptor: None)
    with held(path, silent), pytest.raises(InputError, match="in use"), held(path, silent):
        raise AssertionError("held twice")
    other_machine(path)
    with held(path, silent) as mine:
        mine.check()


@pytest.mark.usefixtures("quick")
def test_a_lock_that_says_nothing_is_succeeded(path: Path) -> None:
    """What a kill leaves between making the file and writing it, or a full disk."""
    path.parent.mkdir()
    path.write_text("")
    with held(path, silent) as mine:
        mine.check()


@pytest.mark.parametrize("replaced", [False, True])
def test_who_loses_it_learns_of_it(path: Path, replaced: bool) -> None:
    with held(path, silent) as mine:
        mine.check()
        path.unlink()
        if replaced:
            path.write_text(json.dumps(asdict(Holder.me())))
        time.sleep(2 * BEAT)
        with pytest.raises(LockLostError, match="was removed, or taken over"):
            mine.check()
    assert path.exists() == replaced


def test_who_is_overwritten_learns_of_it_and_leaves_the_other_his_lock(path: Path) -> None:
    """What another machine does that took this one for dead."""
    with held(path, silent) as mine:
        path.write_text(json.dumps(asdict(replace(Holder.me(), host="faraway"))))
        time.sleep(2 * BEAT)
        with pytest.raises(LockLostError):
            mine.check()
    assert path.exists()


def test_a_second_submit_is_refused_and_the_first_stops_if_its_lock_is_removed(
    survey: Path, tmp_path: Path
) -> None:
    """Promise P5 with real processes; what was stopped is finished by the next submit."""
    run = tmp_path / "run"
    words = ["submit", str(survey), "-o", str(run), "--workers", "0", "--tile", "128"]
    with subprocess.Popen(
        [sys.executable, "-m", "surveyfit", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        while not (run / "run.json").exists():
            assert first.poll() is None
            time.sleep(0.05)
        before = (run / "run.json").read_bytes()
        second = surveyfit(*words, "--overwrite")
        assert second.status == 2
        assert f"in use by process {first.pid} on " in second.err
        assert len(second.err.splitlines()) == 1
        assert json.loads((run / "run.json").read_text())["started"] in before.decode()
        (run / "lock").unlink()
        _, error = first.communicate()
    assert first.returncode == 3
    assert "lock was removed, or taken over" in error
    assert "surveyfit submit" in error
    assert surveyfit(*words).status == 0
    assert not (run / "lock").exists()
