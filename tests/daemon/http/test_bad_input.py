"""Bad input, case by case: each is refused with its status and the field at fault, and nothing of it is done."""

from __future__ import annotations

import contextlib
import json

import pytest
import trio

from procession.http_settings import HttpSettings
from procession.primitives.event import GatewayPaused
from procession.settings import IntakeSettings
from tests.daemon.http.served import Served, cloud_event, served
from tests.daemon.http.test_operating import asked, shop

JSON = "application/json"
STRUCTURED = "application/cloudevents+json"
SENT = json.dumps(cloud_event("basket.sent", "1", {"basket": "b1", "lines": [{"article": "pen", "pieces": 1}]}))
TAKE = '{"data": {"article": "pen", "pieces": 1}}'
PAUSE = '{"by": "ann", "why": "they rest"}'
TAKES, PAUSES, EVENTS = "/v1/commands/stock.take", "/v1/gateways/packers/pause", "/v1/events"
BODIES: list[tuple[str, str, bytes, int, str]] = [
    (EVENTS, STRUCTURED, SENT.replace('"b1"', "NaN").encode(), 400, "no JSON"),
    (EVENTS, STRUCTURED, SENT.replace('"b1"', "-Infinity").encode(), 400, "no JSON"),
    (EVENTS, STRUCTURED, SENT.replace(": 1}", ": 1e999}").encode(), 400, "no JSON"),
    (EVENTS, STRUCTURED, SENT.replace(": 1}", f": {'9' * 40}}}").encode(), 422, "$.lines[0].pieces"),
    (EVENTS, STRUCTURED, SENT.replace('"b1"', '"b\\u0000"').encode(), 422, "NUL"),
    (EVENTS, STRUCTURED, SENT.replace('"b1"', '"\\ud800"').encode(), 400, "no JSON"),
    (EVENTS, STRUCTURED, SENT.replace('"b1"', '"' + "k" * 513 + '"').encode(), 422, "513 bytes"),
    (EVENTS, STRUCTURED, SENT.replace('"b1"', '""').encode(), 422, "is empty"),
    (EVENTS, STRUCTURED, SENT.encode().replace(b"b1", b"\xff\xfe"), 400, "no UTF-8"),
    (EVENTS, STRUCTURED, SENT.encode("utf-16"), 400, "no UTF-8"),
    (EVENTS, STRUCTURED, SENT.encode()[:-3], 400, "no JSON"),
    (EVENTS, STRUCTURED, b"[" * 65, 400, "more than 64 deep"),
    (EVENTS, STRUCTURED, b'{"a":' * 65, 400, "more than 64 deep"),
    (EVENTS, STRUCTURED, b"", 400, "no JSON"),
    (TAKES, JSON, TAKE.replace('"pen"', "7").encode(), 422, "$.article"),
    (TAKES, JSON, TAKE.replace("1}", "1.0}").encode(), 422, "$.pieces"),
    (TAKES, JSON, TAKE.replace("1}", "true}").encode(), 422, "$.pieces"),
    (TAKES, JSON, TAKE.replace("1}", f"{'9' * 20}}}").encode(), 422, "$.pieces"),
    (TAKES, JSON, TAKE.replace('"pen"', '"\\u0000"').encode(), 422, "NUL"),
    (TAKES, JSON, TAKE.replace("{", "[", 1).encode(), 400, "no JSON"),
    (TAKES, JSON, TAKE.replace('{"data"', '{"date"').encode(), 400, "date"),
    (PAUSES, JSON, PAUSE.replace('"ann"', '["ann"]').encode(), 400, "$.by"),
    (PAUSES, JSON, PAUSE.replace('"ann"', '" "').encode(), 400, "$.by"),
    (PAUSES, JSON, PAUSE.replace("ann", "a" * 1_001).encode(), 400, "$.by"),
    (PAUSES, JSON, PAUSE.replace("}", ', "x": 1}').encode(), 400, "x"),
    (PAUSES, JSON, PAUSE.encode() + b"\x00", 400, "no JSON"),
    (PAUSES, "text/plain", PAUSE.encode(), 415, "text/plain"),
]
TARGETS = [
    ("/v1/flows?limit=0", 400, "?limit"),
    ("/v1/flows?limit=1001", 400, "?limit"),
    ("/v1/flows?limit=1e3", 400, "?limit"),
    ("/v1/flows?limit=1&limit=2", 400, "?limit"),
    ("/v1/flows?cursor=" + "9" * 19, 400, "?cursor"),
    ("/v1/flows?cursor=-1", 400, "?cursor"),
    ("/v1/flows?key_prefix=%ff", 400, "UTF-8"),
    ("/v1/flows?status=lost", 400, "?status"),
    ("/v1/flows/basket/%00", 404, "no flow"),
    ("/v1/flows/basket/%ff", 400, "{key}"),
    ("/v1/flows/basket/..", 404, "no flow"),
    ("/v1/flows/basket/%2e%2e%2fetc", 404, "no flow"),
    ("/v1/flows/basket/b1/why", 400, "what"),
    ("/v1/tasks/%00", 404, "no task"),
    ("/v1/projections/x'%20or%201=1", 404, "no projection"),
]


async def whole(http: Served, head: str) -> str:
    """All that the server answers to a request that no client would write like this."""
    host, port = http.address.removeprefix("http://").rsplit(":", 1)
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(head.encode())
        return b"".join([block async for block in stream]).decode()


async def test_a_body_that_is_wrong_is_refused_with_what_is_wrong() -> None:
    async with shop() as http:
        for path, media, body, status, says in BODIES:
            response = await http.client.post(path, content=body, headers={"Content-Type": media})
            assert (response.status_code, says in response.text) == (status, True), (body, response.text)
        assert await http.runtime.events() == []


async def test_an_address_that_is_wrong_is_refused_with_what_is_wrong() -> None:
    async with shop() as http:
        for target, status, says in TARGETS:
            head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            found = await whole(http, head)
            assert (f"HTTP/1.1 {status}" in found, says in found) == (True, True), (target, found)


async def test_of_a_name_that_stands_twice_the_last_counts() -> None:
    async with shop() as http:
        twice = PAUSE.replace("{", '{"by": "eve", ').encode()
        assert (await http.client.post(PAUSES, content=twice, headers={"Content-Type": JSON})).status_code == 200
        (act,) = await http.runtime.events(types=["procession.gateway_paused"])
        assert act.event == GatewayPaused("packers", "ann", "they rest")


async def test_a_bound_is_kept_to_the_last_byte_and_the_last_bracket() -> None:
    event = cloud_event("parcel.sent", "1", {"parcel": "p", "grams": 0, "note": ""})
    note = "n" * (1_024 - len('{"parcel":"p","grams":0,"note":""}'))
    bodies = [
        (b" " * 2_047, 400),
        (b" " * 2_048, 400),
        (b" " * 2_049, 413),
        (b"[" * 8, 400),
        (json.dumps({**event, "data": {"parcel": "p", "grams": 0, "note": f"{note}n"}}).encode(), 413),
        (json.dumps({**event, "data": {"parcel": "p", "grams": 0, "note": note}}).encode(), 200),
    ]
    limits = HttpSettings(body_bytes_max=2_048, json_depth_max=8)
    async with served(http=limits, intake=IntakeSettings(payload_bytes_max=1_024)) as http:
        for body, status in bodies:
            response = await http.client.post(EVENTS, content=body, headers={"Content-Type": STRUCTURED})
            assert response.status_code == status, (body, response.text)
            assert "deep" not in response.text
        response = await http.client.post(EVENTS, content=b"[" * 9, headers={"Content-Type": STRUCTURED})
        assert "more than 8 deep" in response.text


async def test_a_client_that_goes_in_the_middle_of_a_body_leaves_nothing_behind() -> None:
    async with shop() as http:
        head = f"POST {EVENTS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STRUCTURED}\r\nContent-Length: 999\r\n\r\n"
        host, port = http.address.removeprefix("http://").rsplit(":", 1)
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(head.encode() + SENT.encode())
        assert (await asked(http, "commands/stock.take", data={"article": "pen"}))["duplicate"] is False
        assert await http.runtime.events(types=["basket.sent"]) == []


@pytest.mark.slow
async def test_a_client_that_sends_its_headers_byte_by_byte_is_closed() -> None:
    async with shop() as http:
        host, port = http.address.removeprefix("http://").rsplit(":", 1)
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            with trio.fail_after(30):
                await _drip(stream, http)


async def _drip(stream: trio.SocketStream, http: Served) -> None:
    """Send a header without end until the other side has had enough."""
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with contextlib.suppress(trio.BrokenResourceError):  # it may be closed already
                for byte in "GET /livez HTTP/1.1\r\nX-Slow: " + "x" * 200:
                    await stream.send_all(byte.encode())
                    await trio.sleep(0.2)

        nursery.start_soon(send)
        with contextlib.suppress(trio.BrokenResourceError):  # it was closed while a byte was on its way
            assert await stream.receive_some() == b""
        assert (await http.client.get("/livez")).status_code == 200
        nursery.cancel_scope.cancel()
