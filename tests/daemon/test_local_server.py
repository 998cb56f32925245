"""The owner at its socket: what is asked wrongly is refused with the field, and nobody ends it or holds it up."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from procession import Runtime
from procession.daemon.local_server import CONNECTIONS_MAX, LocalServer
from procession.daemon.local_socket import listen
from procession.daemon.operations import Operations
from procession.daemon.snapshot import Snapshots
from procession.errors import NotAccepted
from tests.daemon.http.served import served

LINE_BYTES_MAX = 10_000
_ACT = {"do": "act", "act": "retry", "process": "parcel", "key": "p", "by": "ann", "why": "again", "wait_s": 0}
_NAMED = {"name": "carriers", "by": "ann", "why": "they rest"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"do": "publish", "events": [1]}, "`events[0]` is a number, and must be a text"),
    ({"do": "publish", "events": "{}"}, "`events` is a text, and must be a list of texts"),
    ({"do": "publish", "events": {"0": "{}"}}, "`events` is an object"),
    ({"do": "publish"}, "without `events`"),
    ({"do": "publish", "events": ["{"]}, "no JSON"),
    ({"do": "pause", **_NAMED, "name": ["carriers"]}, "`name` is a list"),
    ({"do": "resume", **_NAMED, "by": None}, "`by` is null"),
    ({"do": "resume", **_NAMED, "why": True}, "`why` is true or false, and must be a text"),
    ({**_ACT, "key": 7}, "`key` is a number"),
    ({**_ACT, "force": 1}, "`force` is a number, and must be true or false"),
    ({**_ACT, "wait_s": "x"}, "`wait_s` is a text, and must be a number"),
    ({**_ACT, "wait_s": True}, "`wait_s` is true or false"),
    ({**_ACT, "wait_s": 1e9}, "out of bounds"),
    ({**_ACT, "command": 7}, "`command` is a number, and must be a text or null"),
    (
        {"do": "task", "act": "claim", "task": "t", "by": "ann", "fields": []},
        "`fields` is a list, and must be an object",
    ),
    ({"do": "archive", "older_than_s": 1e300, "by": "a", "why": "b", "process": None, "limit": None}, "out of bounds"),
    ({"do": "archive", "older_than_s": 1, "by": "a", "why": "b", "process": None, "limit": 10**18}, "out of bounds"),
    (
        {"do": "archive", "older_than_s": 1, "by": "a", "why": "b", "process": None, "limit": 1.5},
        "a whole number or null",
    ),
    ({"do": "token", "act": "added", "token": {}, "id": "", "role": "", "by": ""}, "`token` is an object"),
    ({"do": ["publish"]}, "can't be asked"),
    ({"do": "x" * 5_000}, "can't be asked"),
]


@contextlib.asynccontextmanager
async def listening(line_s_max: float = 5) -> AsyncIterator[tuple[Runtime, str]]:
    """An owner at its socket."""
    async with served() as http:
        with tempfile.TemporaryDirectory(prefix="procession-") as folder:  # a socket's path must be short
            address = str(Path(folder) / "journal.db.sock")
            found = listen(address)
            runtime = http.runtime
            operations = Operations(runtime, runtime.registry, Snapshots(runtime, "journal.db"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(LocalServer(operations, LINE_BYTES_MAX, line_s_max).serve, found.listener)
                yield runtime, address
                nursery.cancel_scope.cancel()


async def answer_to(address: str, line: bytes) -> dict[str, Any]:
    with trio.fail_after(15):
        async with await trio.open_unix_socket(address) as stream:
            await stream.send_all(line)
            received = b""
            while not received.endswith(b"\n"):
                received += await stream.receive_some(65_536)
    found: dict[str, Any] = json.loads(received)
    return found


async def counted(address: str) -> dict[str, Any]:
    return await answer_to(address, b'{"protocol": 1, "do": "counts"}\n')


async def test_a_question_that_does_not_fit_names_its_field_and_nothing_is_done() -> None:
    async with listening() as (runtime, address):
        for asked, said in WRONG:
            answer = await answer_to(address, json.dumps({"protocol": 1, **asked}).encode() + b"\n")
            assert said in answer["error"], asked
            assert answer["exit_code"] == 2, asked
            assert len(answer["error"]) < 400
        assert await runtime.events() == []
        assert (await counted(address))["done"]["events"] == 0


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"\xff\xfe\n",
        b"\x00\n",
        b"[" * 5_000 + b"\n",
        b'{"protocol": NaN}\n',
        b"7\n",
        b'{"protocol": "1"}\n',
        b"x" * 2 * LINE_BYTES_MAX,
    ],
)
async def test_a_line_that_is_no_question_is_refused_and_the_next_one_is_answered(line: bytes) -> None:
    async with listening() as (_, address):
        assert "error" in await answer_to(address, line)
        assert "done" in await counted(address)


async def test_what_is_not_accepted_for_the_journal_is_held_blames_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    async def held(self: Runtime, events: object) -> None:
        raise NotAccepted("the journal is held (no space left on device)")

    async with listening() as (_, address):
        monkeypatch.setattr(Runtime, "publish", held)
        answer = await answer_to(address, b'{"protocol": 1, "do": "publish", "events": []}\n')
    assert (answer["kind"], answer["exit_code"], answer["at"]) == ("NotAccepted", 5, None)
    assert "publish again" in answer["error"]


async def test_a_fault_of_the_owner_in_one_answer_ends_that_answer_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(self: Operations, asked: object) -> object:
        raise AttributeError("of ours")

    async with listening() as (_, address):
        monkeypatch.setattr(Operations, "do", broken)
        assert (await counted(address))["kind"] == "AttributeError"
        monkeypatch.undo()
        assert "done" in await counted(address)
    assert [record.getMessage() for record in caplog.records] == ["what was asked at the local socket failed"]


async def test_an_answer_that_can_not_be_written_ends_that_answer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("procession"), "propagate", False)  # pytest-xdist can't report it

    async def unwritable(self: Operations, asked: object) -> object:
        return {"half a character": "\ud800"}

    async def untellable(self: Operations, asked: object) -> object:
        raise AttributeError("\ud800")

    async with listening() as (_, address):
        for do in (unwritable, untellable):
            with monkeypatch.context() as patch:
                patch.setattr(Operations, "do", do)
                assert "error" in await counted(address)
            assert "done" in await counted(address)


async def test_those_who_say_nothing_hold_every_place_for_a_while_and_then_none(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with listening(line_s_max=0.3) as (_, address), contextlib.AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(await trio.open_unix_socket(address)) for _ in range(CONNECTIONS_MAX)]
        await silent[0].send_all(b'{"protocol": 1, "do": "cou')
        assert "others are connected" in (await counted(address))["error"]
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.3)
        for one in silent:
            assert b"in 0.3 s" in await one.receive_some(65_536)
            assert await one.receive_some(65_536) == b""
        assert "done" in await counted(address)
