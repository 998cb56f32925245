"""What a service manager is told, where it does not listen as it should."""

from __future__ import annotations

import contextlib
import logging
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from procession.daemon.service_notify import ServiceManager


@pytest.fixture
def full() -> Iterator[str]:
    """The address of a manager that has more to read already than its socket holds."""
    with (
        tempfile.TemporaryDirectory(prefix="procession-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
    ):
        address = str(Path(folder) / "notify.sock")
        manager.bind(address)
        other.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"STATUS=busy", address)
        yield address


async def test_a_manager_that_does_not_read_fails_nobody_and_holds_nobody_up(
    full: str, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    manager = ServiceManager(full, 0.3)
    with caplog.at_level(logging.WARNING, "procession.daemon"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.keep_told, lambda: "well")
            await trio.testing.wait_all_tasks_blocked()
            await manager.tell(STOPPING="1")
            nursery.cancel_scope.cancel()
    manager.close()
    assert trio.current_time() <= 1
    assert "the service manager did not take STOPPING" in caplog.text


async def test_a_manager_that_started_anew_hears_the_next_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    address = "notify.sock"  # a socket's path must be short
    manager = ServiceManager(address, None)
    for word in ("one", "two"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(address)
            await manager.tell(STATUS=word)
            assert listener.recv(100) == f"STATUS={word}".encode()
        Path(address).unlink()
    manager.close()
