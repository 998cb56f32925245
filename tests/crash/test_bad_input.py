"""What no sound client sends is refused, bounded in time and memory, and disturbs nobody; and the harness can tell."""

from __future__ import annotations

import json
import resource
import socket
from functools import partial
from pathlib import Path

import pytest
import trio

from procession.daemon.local_socket import address_of
from tests.crash.bad_input import run
from tests.crash.lab import lab, stop
from tests.crash.senders import Wire, post

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]
FILES_MAX = 128


@pytest.mark.searches
def test_bad_input_is_refused_and_disturbs_nobody(tmp_path: Path) -> None:
    report = run(tmp_path / "lab", requests=2_000, patience=2)  # here others may be at work
    assert report.breaches == [], report
    assert report.refusals > 100, report
    assert {200, 400, 404, 409, 415, 422, 431} <= set(report.statuses), report


@pytest.mark.parametrize(
    ("fault", "requests", "said"),
    [
        ("keeps_what_was_asked", 1_500, "MB more memory after bad requests"),
        ("reads_all_that_comes", 100, "MB more memory under endless bodies"),
    ],
)
def test_the_harness_finds_memory_that_is_not_bounded(tmp_path: Path, fault: str, requests: int, said: str) -> None:
    report = run(tmp_path / "lab", requests=requests, fault=fault, slow=False)
    assert any(said in breach for breach in report.breaches), report


def test_the_harness_finds_a_socket_that_bears_silent_ones_for_ever(tmp_path: Path) -> None:
    report = run(tmp_path / "lab", requests=100, fault="bears_whoever_says_nothing")
    assert any("clients that send no line were not let go" in breach for breach in report.breaches), report


def test_connections_leave_descriptors_for_the_journal_and_gateways(tmp_path: Path) -> None:
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
    with lab(tmp_path / "lab") as served, served.life(before=few) as process:
        assert served.wait_ready(process), served.said
        idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(FILES_MAX // 2)]
        try:
            trio.run(_counts, str(served.journal))
            for one in idle:
                one.close()
            assert trio.run(_livez, served.port) != 0
            assert stop(process)[0] == 0
        finally:
            for one in idle:
                one.close()
        assert f"this process may open {FILES_MAX} files" in served.said
        assert "Traceback" not in served.said


async def _counts(journal: str) -> None:
    """The owner answers at its socket, from the journal."""
    async with await trio.open_unix_socket(address_of(journal)) as stream:
        with trio.fail_after(30):
            await stream.send_all(json.dumps({"protocol": 1, "do": "counts"}).encode() + b"\n")
            assert b'"done"' in await stream.receive_some(65_536)


async def _livez(port: int) -> int:
    """What is answered, as soon as the daemon has seen that there is room again: until then it cuts connections off."""
    with trio.fail_after(60):
        while True:
            try:
                wire = Wire(await trio.open_tcp_stream("127.0.0.1", port))
                async with wire.stream:
                    return (await post(wire, "/livez", "application/json", b"")).status
            except (OSError, EOFError, trio.BrokenResourceError):
                await trio.sleep(0.05)
