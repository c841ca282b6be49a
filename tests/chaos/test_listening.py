"""P14: during a run nothing listens but on the loopback interface."""

from pathlib import Path

import psutil
import pytest
from submission import Submission
from tiled_survey import Survey

# On a busy machine everything takes ten times as long; nothing here is judged by that.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

LOOPBACK = {"127.0.0.1", "::1"}


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Return the addresses at which anyone may knock: TCP that listens, UDP that is bound."""
    return {
        (socket.laddr.ip, socket.laddr.port)
        for socket in process.net_connections(kind="inet")
        if socket.status == psutil.CONN_LISTEN
        or (not socket.raddr and socket.type.name != "SOCK_STREAM")
    }


def test_only_loopback_sockets(tiled: Survey, tmp_path: Path) -> None:
    with Submission(tmp_path / "run", *tiled.words, "--workers", 2) as submission:
        submission.wait_for_receipts(4)
        sockets = {p: listening(p) for p in submission.family()}
        assert submission.process.poll() is None
    # Scheduler and dashboard in the driver, two workers: each of these three has at least one.
    assert sum(bool(found) for found in sockets.values()) >= 3
    assert {ip for found in sockets.values() for ip, _ in found} <= LOOPBACK
