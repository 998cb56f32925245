"""However an address is written, whatever goes before it: no request comes past the policy. On the real server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
import trio

from procession.daemon.http.app import ROUTES
from procession.daemon.http.routes import Route
from procession.http_settings import HttpSettings
from tests.daemon.http.guarded import PLENTY, tokens_in
from tests.daemon.http.served import Served, raw, served

PROTECTED = [route for route in ROUTES if route.policy != "anyone"]
ACTS = [route for route in ROUTES if route.policy not in ("anyone", "reader")]
WHY = b'{"why": "x"}'

MUTATIONS = [
    "/{path}",
    "{path}/",
    "{path}//",
    "{path}/.",
    "/.{path}",
    "/./{bare}",
    "/x/..{path}",
    "/livez/..{path}",
    "/livez/../../{bare}",
    "/livez/%2e%2e{path}",
    "/livez%2f..{path}",
    "/livez;{path}",
    "/livez/..;{path}",
    "/livez?{path}",
    "/livez#{path}",
    "/livez%00{path}",
    "/livez%0d%0aX:{path}",
    "/livez\\..{path}",
    "{path};",
    "{path};/livez",
    "{path};x=/livez",
    "{path}?/livez",
    "{path}#/livez",
    "{path}%00",
    "{path}%20",
    "{path}%09",
    "{path}.json",
    "{path}%2f",
    "{path}%3f/livez",
    "{path}%23",
    "/%2f{bare}",
    "//localhost{path}",
    "http://localhost{path}",
    "https://localhost{path}",
    "http://shop.example{path}",
    "{upper}",
    "{title}",
    "{coded}",
    "{doubly}",
    "{slash}",
    "{wide}",
    "{bare}",
    "*",
]
"""Targets as no client writes them."""
WEBSOCKET = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + "A" * 22 + "=="
)
HEADERS = [
    "X-HTTP-Method-Override: GET",
    "X-Original-URL: /livez",
    "X-Rewrite-URL: /livez",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Prefix: /livez",
    "Forwarded: for=127.0.0.1;host=localhost",
    "Content-Length: 0\r\nTransfer-Encoding: chunked",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    WEBSOCKET,
    "Host: localhost",
    "Authorization: Bearer null",
    "Authorization: Bearer ",
    "Authorization :Bearer x",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "Post"]


def address_of(route: Route) -> str:
    named = {"{name}": "carriers", "{process}": "parcel", "{type}": "shelf.put", "{key}": "p1"}
    return re.sub(r"\{\w+\}", lambda part: named.get(part[0], "x"), route.path)


def targets_of(path: str) -> list[str]:
    """One address, in all the ways that it may be written."""
    ways = {
        "path": path,
        "bare": path[1:],
        "upper": path.upper(),
        "title": path.title(),
        "coded": "/" + "".join(f"%{ord(letter):02x}" for letter in path[1:]),
        "doubly": path.replace("v", "%2576"),
        "slash": path.replace("/", "%2f"),
        "wide": path.replace("/", "%c0%af"),
    }
    return [way.format(**ways) for way in MUTATIONS]


def asked(method: str, target: str, token: str | None = None, header: str = "") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Content-Type: application/json", "Connection: close"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [header] if header else []
    return "\r\n".join([*lines, f"Content-Length: {len(WHY)}", "", ""]).encode() + WHY


async def let_through(http: Served, requests: Sequence[bytes]) -> list[bytes]:
    """The requests that were answered as if they might: not refused, and not by `/livez`, which anyone may ask."""
    found = []
    for request in requests:
        answer = await raw(http, request)
        status = answer.partition(b" ")[2][:3]
        if status[:1] in (b"1", b"2", b"3", b"5") and b'{"status":"live"}' not in answer:
            found.append(request + b" -> " + answer)
    return found


@pytest.mark.slow
async def test_no_act_is_reached_by_another_way(tmp_path: Path) -> None:
    path, texts = tokens_in(tmp_path)
    async with served(http=HttpSettings(tokens=str(path), **PLENTY), grace_s=0) as http:
        target = "/v1/gateways/carriers/pause"
        assert await let_through(http, [asked("POST", written) for written in targets_of(target)]) == []
        assert http.runtime.position == 0
        assert len(await let_through(http, [asked("POST", target, texts["operator"])])) == 1


async def tried(tmp_path: Path, routes: Sequence[Route]) -> None:
    """Nobody comes through without a token, and a reader does not act, however it is written."""
    path, texts = tokens_in(tmp_path)
    async with served(http=HttpSettings(tokens=str(path), **PLENTY), grace_s=0) as http:
        strange = [asked(route.method, target) for route in routes for target in targets_of(address_of(route))]
        strange += [asked(method, address_of(route)) for route in routes for method in METHODS]
        strange += [asked(route.method, address_of(route), header=header) for route in routes for header in HEADERS]
        weak = [
            asked(route.method, target, texts["reader"])
            for route in routes
            if route in ACTS
            for target in targets_of(address_of(route))
        ]
        assert await let_through(http, strange) == []
        assert await let_through(http, weak) == []
        assert http.runtime.position == 0
        acted = asked("POST", "/v1/gateways/carriers/pause", texts["operator"])
        assert len(await let_through(http, [acted])) == 1, "with the right token it is done"


@pytest.mark.slow
@pytest.mark.parametrize("route", PROTECTED, ids=lambda route: f"{route.method} {route.path}")
async def test_no_route_is_reached_by_another_way(tmp_path: Path, route: Route) -> None:
    await tried(tmp_path, [route])


@pytest.mark.slow
async def test_http_2_goes_through_the_same_door(tmp_path: Path) -> None:
    path, texts = tokens_in(tmp_path)
    async with served(http=HttpSettings(tokens=str(path))) as http:
        assert await statuses_by_http_2(http, {}) == ["401"]
        assert await statuses_by_http_2(http, {"authorization": f"Bearer {texts['reader']}"}) == ["200"]
        assert await statuses_by_http_2(http, {":authority": "shop.example"}) == ["421"]


async def statuses_by_http_2(http: Served, headers: dict[str, str]) -> list[str]:
    """What HTTP/2 without TLS is answered, which a client may begin with at once."""
    host, port = http.address.removeprefix("http://").rsplit(":", 1)
    connection = h2.connection.H2Connection(h2.config.H2Configuration())
    connection.initiate_connection()
    base = {":method": "GET", ":path": "/v1/flows", ":scheme": "http", ":authority": "localhost"}
    connection.send_headers(1, list({**base, **headers}.items()), end_stream=True)
    statuses: list[str] = []
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(connection.data_to_send())
        while not statuses:
            events = connection.receive_data(await stream.receive_some())
            responses = [event for event in events if isinstance(event, h2.events.ResponseReceived)]
            statuses += [dict(event.headers)[b":status"].decode() for event in responses]
            await stream.send_all(connection.data_to_send())
    return statuses
