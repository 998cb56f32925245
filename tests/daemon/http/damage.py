"""Requests that are damaged: each is another one with a part of it broken, as clients, proxies and attackers do."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import attrs

_TOKENS = (
    b"NaN", b"-Infinity", b"1e999", b"9" * 40, b"-" + b"9" * 19, b"1.0", b"null", b"true", b"[]", b"{}", b'""',
    b'"\\u0000"', b'"\\ud800"', b"\xff\xfe", b"\xc0\xaf", b"\x00", b"[" * 80, b'{"a":' * 80, b'"' + b"x" * 5_000 + b'"',
    b"\xef\xbb\xbf", b"'; drop table events; --", b'"../../etc/passwd"', b"/*", b",", b'"by":"eve",',
)  # fmt: skip
_TEXTS = (
    "", "%00", "%ff", "%FF%FE", "-1", "1e9", "9" * 18, "9" * 30, "%2e%2e", "%2F", "+", "%", "%zz", "null", "true",
    "a" * 2_000,
    "%27%20or%201=1", "%E2%80%AE", "%F0%9F%92%A9", "01", "0x10",
)  # fmt: skip
_METHODS = ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "POST", "GET")
_MEDIA = (
    "", "text/plain", "application/json; charset=utf-16", "application/cloudevents+json", "application/JSON",
    "application/cloudevents-batch+json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ";",
)  # fmt: skip
_HEADERS = (
    "Last-Event-ID",
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-specversion",
    "ce-traceparent",
    "Accept",
    "Range",
    "Expect-CT",
)


@attrs.frozen
class Asked:
    """One request as it goes out."""

    method: str
    target: str
    """Path and query, encoded."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


def damaged(asked: Asked, chance: random.Random) -> Asked:
    """The request with one part of it, or a few, broken."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        damages = [_target, _method, _header, _media, *(5 * [_body] if asked.body else []), *(2 * [_query])]
        asked = chance.choice(damages)(asked, chance)
    return asked


def _body(asked: Asked, chance: random.Random) -> Asked:
    body, at = asked.body, chance.randrange(len(asked.body) + 1)
    until = min(len(body), at + chance.choice((1, 1, 4, 30)))
    breaks: list[Callable[[], bytes]] = [
        lambda: body[:at],
        lambda: body[:at] + body[until:],
        lambda: body[:at] + chance.randbytes(1) + body[at + 1 :],
        lambda: body[:at] + chance.choice(_TOKENS) + body[at:],
        lambda: body[:at] + chance.choice(_TOKENS) + body[until:],
        lambda: body[:until] + body[at:],
        lambda: b"{" + chance.choice(_TOKENS) + b":" + body + b"}",
        lambda: _with_other_value(body, chance),
    ]
    return attrs.evolve(asked, body=chance.choice(breaks)())


def _with_other_value(body: bytes, chance: random.Random) -> bytes:
    """What stands behind one of the colons is another value."""
    colons = [at for at, byte in enumerate(body) if byte == ord(":")]
    if not colons:
        return chance.choice(_TOKENS)
    at = chance.choice(colons) + 1
    ends = [end for end in (body.find(b",", at), body.find(b"}", at)) if end >= 0]
    return body[:at] + chance.choice(_TOKENS) + body[min(ends, default=len(body)) :]


def _target(asked: Asked, chance: random.Random) -> Asked:
    path, mark, query = asked.target.partition("?")
    parts = path.split("/")
    at = chance.randrange(1, len(parts))
    kind = chance.randrange(5)
    if kind == 0:
        parts[at] = chance.choice(_TEXTS)
    elif kind == 1:
        parts.insert(at, chance.choice(("", ".", "..", "%2e", "x")))
    elif kind == 2:
        del parts[at]
    elif kind == 3:
        parts[at] = parts[at].swapcase()
    else:
        parts[at] += chance.choice(_TEXTS)
    return attrs.evolve(asked, target=(("/".join(parts) or "/") if parts[0] == "" else "/") + mark + query)


def _query(asked: Asked, chance: random.Random) -> Asked:
    path, _, query = asked.target.partition("?")
    pairs = query.split("&") if query else []
    names = [pair.partition("=")[0] for pair in pairs] + ["limit", "after", "type", "cursor", "key_prefix", "what", "x"]
    pairs.append(f"{chance.choice(names)}={chance.choice(_TEXTS)}")
    if chance.random() < 0.3:
        del pairs[chance.randrange(len(pairs))]
    return attrs.evolve(asked, target=path + ("?" + "&".join(pairs) if pairs else ""))


def _method(asked: Asked, chance: random.Random) -> Asked:
    return attrs.evolve(asked, method=chance.choice(_METHODS))


def _media(asked: Asked, chance: random.Random) -> Asked:
    return attrs.evolve(asked, headers={**asked.headers, "Content-Type": chance.choice(_MEDIA)})


def _header(asked: Asked, chance: random.Random) -> Asked:
    value = chance.choice((*_TEXTS, "\u00e9", "a, b"))
    return attrs.evolve(asked, headers={**asked.headers, chance.choice(_HEADERS): value})
