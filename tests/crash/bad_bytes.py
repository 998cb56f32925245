"""Requests and lines that no sound client sends, drawn from a seed: their types, frames and bytes are wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from tests.daemon.http.damage import Asked, damaged

_HOST = "Host: localhost\r\n"
_EVENT = {
    "specversion": "1.0",
    "id": "7/placed",
    "source": "shop",
    "type": "order.placed",
    "data": {"order_id": "7"},
}
_SAID = {"by": "ann", "why": "to see"}
_JSON, _STRUCTURED, _BATCH = "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"
_BAD: tuple[object, ...] = (7, 1.5, None, True, [], {}, [[]], "", "\x00", "x" * 2_000, 10**30, -1)


def request(path: str, body: bytes, media: str = _JSON, more: str = "") -> bytes:
    """A sound frame around a body."""
    head = f"POST {path} HTTP/1.1\r\n{_HOST}Content-Type: {media}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode("latin-1") + body


def _event_with(**changed: object) -> bytes:
    return request("/v1/events", json.dumps({**_EVENT, **changed}).encode(), _STRUCTURED)


AT_FIELD: list[tuple[bytes, str]] = [
    (_event_with(id=7), "id"),
    (_event_with(source=[]), "source"),
    (_event_with(type=None), "type"),
    (_event_with(specversion="9"), "specversion"),
    (_event_with(time="yesterday"), "time"),
    (_event_with(data={"order_id": 7}), "$.order_id"),
    (_event_with(data={"order_id": None}), "$.order_id"),
    (_event_with(data={}), "order_id"),
    (request("/v1/gateways/bank/pause", json.dumps({**_SAID, "by": [1]}).encode()), "$.by"),
    (request("/v1/gateways/bank/pause", json.dumps({**_SAID, "why": {}}).encode()), "$.why"),
    (request("/v1/gateways/bank/pause", json.dumps({**_SAID, "x": 1}).encode()), "x"),
    (request("/v1/archive", json.dumps({**_SAID, "older_than_s": "x"}).encode()), "$.older_than_s"),
    (request("/v1/archive", json.dumps({**_SAID, "older_than_s": -1}).encode()), "$.older_than_s"),
    (request("/v1/gateways/bank/limits", json.dumps({**_SAID, "limits": 3}).encode()), "$.limits"),
    (request("/v1/flows/order/7/cancel", json.dumps({**_SAID, "force": "yes"}).encode()), "$.force"),
    (f"GET /v1/flows?limit=x HTTP/1.1\r\n{_HOST}\r\n".encode(), "?limit"),
    (f"GET /v1/events?after=1e9 HTTP/1.1\r\n{_HOST}\r\n".encode(), "?after"),
    (f"GET /v1/events/stream?after=-1 HTTP/1.1\r\n{_HOST}\r\n".encode(), "?after"),
]
"""Each with the field that its refusal must name."""

_SOUND = (
    Asked("POST", "/v1/events", {"Content-Type": _STRUCTURED}, json.dumps(_EVENT).encode()),
    Asked("POST", "/v1/events", {"Content-Type": _BATCH}, json.dumps([_EVENT, {**_EVENT, "id": "8"}]).encode()),
    Asked("POST", "/v1/flows/order/7/retry", {"Content-Type": _JSON}, json.dumps(_SAID).encode()),
    Asked("GET", "/v1/flows?process=order&limit=5", {}, b""),
    Asked("GET", "/v1/flows/order/7/history", {}, b""),
    Asked("GET", "/v1/events?after=2&limit=5", {}, b""),
)
_UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


def frames(chance: random.Random) -> Iterator[bytes]:
    """Bytes for a connection of HTTP, without end."""
    makers = (_damaged, _damaged, _damaged, _deep, _wrong_length, _chunked, _headers, _pipelined, _upgraded, _noise)
    while True:
        yield chance.choice(makers)(chance)


def _plain(asked: Asked) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
    head = f"{asked.method} {asked.target} HTTP/1.1\r\n{_HOST}{headers}Content-Length: {len(asked.body)}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + asked.body


def _damaged(chance: random.Random) -> bytes:
    asked = damaged(chance.choice(_SOUND), chance)
    # A stream would not end, and what a proper client follows is tried elsewhere.
    return _plain(asked) if "stream" not in asked.target else _noise(chance)


def _deep(chance: random.Random) -> bytes:
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    depth = chance.choice((60, 70, 500, 2_000, 100_000))
    body = opening * depth + b"1" + closing * chance.choice((depth, 0))
    return request(chance.choice(("/v1/events", "/v1/archive")), body, chance.choice((_JSON, _STRUCTURED, _BATCH)))


def _wrong_length(chance: random.Random) -> bytes:
    body = json.dumps(_EVENT).encode()
    size = chance.choice(
        (str(len(body) + 50), str(len(body) - 9), "-1", "", "x", "1e3", "+5", "9" * 30, "0x10", f"{len(body)}, 3", "٣")
    )
    double = "Content-Length: 3\r\n" if chance.random() < 0.2 else ""
    head = f"POST /v1/events HTTP/1.1\r\n{_HOST}Content-Type: {_STRUCTURED}\r\nContent-Length: {size}\r\n{double}\r\n"
    return head.encode() + body


def _chunked(chance: random.Random) -> bytes:
    size = chance.choice((b"5", b"ffffffffffffffff", b"-5", b"", b"zz", b"5;" + b"x" * 5_000, b"0005", b"9" * 50))
    coding = chance.choice(
        ("chunked", "chunked, chunked", "gzip, chunked", "identity", "x", "chunked\r\nContent-Length: 5")
    )
    head = f"POST /v1/events HTTP/1.1\r\n{_HOST}Content-Type: {_STRUCTURED}\r\nTransfer-Encoding: {coding}\r\n\r\n"
    body = (size + b"\r\nabcde\r\n") * chance.choice((1, 1, 300))
    return head.encode() + body + chance.choice((b"", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n"))


def _headers(chance: random.Random) -> bytes:
    flood = chance.choice(
        (
            "".join(f"X-{number}: y\r\n" for number in range(chance.choice((90, 1_000, 8_000)))),
            f"X-Long: {'y' * chance.choice((9_000, 20_000, 90_000, 300_000))}\r\n",
            "Host: localhost\r\n",
            "Host: elsewhere\r\n",
            "X-Null: a\x00b\r\n",
            "X Space: y\r\n",
            ": y\r\n",
            "X-Fold: a\r\n b\r\n",
            "Cookie: " + "a=b; " * 500 + "\r\n",
            "Authorization: Bearer \x80\xff\r\n",
            "Origin: http://elsewhere\r\n",
            "Expect: 100-continue\r\n",
        )
    )
    path = chance.choice(
        ("/livez", "/v1/flows", "/" + "a" * chance.choice((10, 17_000, 90_000)), "*", "http://[::1", "\x00")
    )
    method = chance.choice(("GET", "POST", "CONNECT", "TRACE", "get", "G\x00T", ""))
    return f"{method} {path} HTTP/1.{chance.choice('0119')}\r\n{_HOST}{flood}\r\n".encode("latin-1")


def _pipelined(chance: random.Random) -> bytes:
    return b"".join(_plain(chance.choice(_SOUND[2:])) for _ in range(chance.choice((2, 5, 20)))) + chance.randbytes(9)


def _upgraded(chance: random.Random) -> bytes:
    key = chance.choice(("AAAAAAAAAAAAAAAAAAAAAA==", "x", "", "\x80"))
    upgrade = _UPGRADE.replace("13", chance.choice(("13", "8", "x")))
    head = f"GET {chance.choice(('/livez', '/v1/events/stream'))} HTTP/1.1\r\n{_HOST}{upgrade}"
    return f"{head}Sec-WebSocket-Key: {key}\r\n\r\n".encode("latin-1") + chance.randbytes(chance.choice((0, 9, 3_000)))


def _noise(chance: random.Random) -> bytes:
    """A sound frame with a few bytes changed, or no frame at all."""
    if chance.random() < 0.3:
        return chance.randbytes(chance.choice((1, 40, 5_000)))
    found = bytearray(_plain(chance.choice(_SOUND)))
    for _ in range(chance.choice((1, 3, 10))):
        found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found[: chance.choice((len(found), chance.randrange(len(found))))])


# Lines for the local socket.

_ASKED: tuple[dict[str, object], ...] = (
    {"do": "act", "act": "retry", "process": "order", "key": "nobody", "by": "ann", "why": "to see", "wait_s": 0},
    {"do": "archive", "older_than_s": 1, "by": "ann", "why": "to see", "process": "order", "limit": 1},
    {"do": "pause", "name": "nobody", "by": "ann", "why": "to see"},
    {"do": "resume", "name": "nobody", "by": "ann", "why": "to see"},
    {"do": "publish", "events": [json.dumps({**_EVENT, "type": "no.such_type"})]},
    {"do": "task", "act": "claim", "task": "nobody", "by": "ann", "why": "", "fields": {}, "wait_s": 0},
    {"do": "token", "act": "added", "token": "x", "id": "x", "role": "reader", "by": "ann", "expires_at": ""},
)
"""Each is sent with a field that is wrong: of another kind, or left out."""


def lines(chance: random.Random) -> Iterator[bytes]:
    """Lines, and parts of lines, without end; none of them may be done."""
    while True:
        kind = chance.randrange(6)
        if kind < 3:
            yield _wrong_question(chance)
        elif kind == 3:
            yield chance.choice(
                (b"\n", b"[]\n", b"7\n", b"null\n", b'"x"\n', b"{}\n", b'{"protocol":2,"do":"drain"}\n')
            )
        elif kind == 4:
            yield b"[" * chance.choice((9, 2_000, 90_000)) + b"\n"
        else:
            yield chance.randbytes(chance.choice((1, 50, 20_000))).replace(b"{", b"") + chance.choice((b"", b"\n"))


def _wrong_question(chance: random.Random) -> bytes:
    asked: dict[str, object] = {"protocol": 1, **chance.choice(_ASKED)}
    named = [
        name
        for name in asked
        if name not in ("protocol", "wait_s", "expires_at", "process", "limit", "why", "fields", "task")
    ]
    named = [name for name in named if not (asked["do"] == "token" and name == "act")]
    name = chance.choice(named)
    if chance.random() < 0.2:
        del asked[name]
    else:
        fits = {"older_than_s": (int, float), "events": (list,)}.get(name, ())
        asked[name] = chance.choice([bad for bad in _BAD if type(bad) not in (str, *fits)])
    line = json.dumps(asked).encode()
    return line[: chance.randrange(1, len(line))] if chance.random() < 0.2 else line + b"\n"
