"""Events as they come: resumed by position, bounded for each client, ended with the server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio

from procession.http_settings import HttpSettings
from tests.daemon.http.served import ParcelSent, Served, faults_of, served

PATH = "/v1/events/stream"


@attrs.define(eq=False)
class Events:
    """What a stream holds, event by event, with its id."""

    stream: trio.SocketStream
    _rest: bytes = b""
    _ended: bool = False

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> tuple[str, dict[str, Any]]:
        id = b""
        while True:
            line = await self._line()
            field, _, value = line.partition(b": ")
            if field == b"data":
                return id.decode(), json.loads(value)
            id = value if field == b"id" else id

    async def heading(self) -> None:
        """Read until the stream has begun."""
        while await self._line() != b": from here on":
            pass

    async def _line(self) -> bytes:
        while b"\n" not in self._rest:
            block = await self.stream.receive_some()
            if not block:
                assert self._ended, "it was cut off, not ended"
                raise StopAsyncIteration
            self._rest += block
        line, self._rest = self._rest.split(b"\n", 1)
        self._ended = self._ended or line == b"0\r"
        return line.strip()


@contextlib.asynccontextmanager
async def connected(
    http: Served, query: str = "", last: str = "", behind: str = ""
) -> AsyncIterator[trio.SocketStream]:
    """A connection that has asked for the stream."""
    host, port = http.address.removeprefix("http://").rsplit(":", 1)
    stream = await trio.open_tcp_stream(host, int(port))
    async with stream:
        await stream.send_all(f"GET {PATH}{query} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n{behind}".encode())
        yield stream


@contextlib.asynccontextmanager
async def listening(http: Served, query: str = "", last: str = "") -> AsyncIterator[Events]:
    """The events of the stream."""
    async with connected(http, query, last and f"Last-Event-ID: {last}\r\n") as stream:
        events = Events(stream)
        await events.heading()
        yield events


async def parcels(events: Events, number: int) -> list[str]:
    """The parcels of the next events."""
    return [(await anext(events))[1]["data"]["parcel"] for _ in range(number)]


async def test_events_from_now_on_come_as_they_become_durable() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("before"))
        await http.runtime.drain()
        async with listening(http) as events:
            position = await http.runtime.publish(ParcelSent("p1"))
            id, event = await anext(events)
            assert (id, event["position"], event["type"]) == (str(position), position, "parcel.sent")
            assert event["data"] == {"parcel": "p1", "grams": 0, "note": ""}


async def test_a_client_that_was_cut_off_goes_on_where_it_was() -> None:
    async with served() as http:
        await http.runtime.publish([ParcelSent(f"p{number}") for number in range(250)])
        async with listening(http, "?after=0&type=parcel.sent") as events:
            first = [await anext(events) for _ in range(120)]
        async with listening(http, "?after=0&type=parcel.sent", first[-1][0]) as events:
            found = [event["data"]["parcel"] for _, event in first] + await parcels(events, 130)
        assert found == [f"p{number}" for number in range(250)]


async def test_only_the_types_that_were_asked_for_come() -> None:
    async with served() as http, listening(http, "?type=parcel.carried") as events:
        await http.runtime.publish([ParcelSent("p1"), ParcelSent("p2")])
        assert sorted(await parcels(events, 2)) == ["p1", "p2"]


@pytest.mark.parametrize("id", ["x", "-1", "", "1" * 19])
async def test_an_id_that_is_no_position_is_refused(id: str) -> None:
    async with served() as http:
        response = await http.client.get(PATH, headers={"Last-Event-ID": id})
        assert (response.status_code, faults_of(response)) == (400, ["Last-Event-ID"])


async def test_more_streams_than_there_may_be_are_refused_and_take_no_requests() -> None:
    async with served(http=HttpSettings(streams_max=1, requests_max=1)) as http:
        async with listening(http):
            response = await http.client.get(PATH)
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert (await http.client.get("/livez")).status_code == 200
        while (await http.client.head(PATH)).status_code == 503:
            await trio.lowlevel.checkpoint()
        async with listening(http):
            pass


async def test_streams_end_cleanly_with_the_server() -> None:
    async with served(grace_s=60) as http, listening(http) as events:
        with trio.fail_after(15):
            http.closing.set()
            assert [event async for event in events] == []
            await http.closed.wait()


async def test_a_request_that_came_behind_one_that_ends_with_the_server_does_not_hold_the_end_up() -> None:
    behind = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with served(grace_s=60) as http, connected(http, behind=behind) as stream:
        events = Events(stream)
        await events.heading()
        with trio.fail_after(15):
            http.closing.set()
            assert [event async for event in events] == []
            await http.closed.wait()


async def test_one_that_never_reads_disturbs_nobody_and_does_not_hold_the_end_up() -> None:
    async with (
        served(grace_s=0.3) as http,
        connected(http, "?after=0"),
        listening(http, "?type=parcel.sent") as events,
    ):
        for batch in range(8):  # more than the buffers of a connection hold
            await http.runtime.publish([ParcelSent(f"p{batch}/{n}", 1, "x" * 8_000) for n in range(100)])
            assert len(await parcels(events, 100)) == 100
        with trio.fail_after(15):
            http.closing.set()
            await http.closed.wait()


async def test_one_that_does_not_read_is_closed_after_a_while() -> None:
    async with served(http=HttpSettings(send_s=0.2, streams_max=1)) as http, connected(http, "?after=0"):
        for batch in range(8):
            await http.runtime.publish([ParcelSent(f"p{batch}/{n}", 1, "x" * 8_000) for n in range(100)])
        with trio.fail_after(15):
            while (await http.client.head(PATH)).status_code == 503:
                await trio.lowlevel.checkpoint()
