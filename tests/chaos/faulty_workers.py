"""Workers in which one piece goes wrong, each time it is tried."""

import os
from pathlib import Path
from typing import NamedTuple


class Incident(NamedTuple):
    """One time that it went wrong: when, in which process, with which tasks given to it."""

    seconds: float
    pid: int
    tasks: tuple[str, ...]


def environment(fault: str, piece: str, log: Path) -> dict[str, str]:
    """Return the environment of a submit in whose workers a piece (stage, image, tile) fails."""
    place = str(Path(__file__).parent / "faults")
    path = os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH", "")]))
    about = {"FAULT": fault, "FAULT_PIECE": piece, "FAULT_LOG": str(log)}
    return {**os.environ, "PYTHONPATH": path, **about}


def incidents(log: Path) -> list[Incident]:
    """Read what has gone wrong."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [Incident(float(when), int(pid), tuple(tasks)) for when, pid, *tasks in lines]
