"""Bytes and texts that nobody meant, and a few that somebody did, for hypothesis."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.daemon.command import CONFIG
from tests.reading.searches import nearly, searches

GOOD = json.dumps(
    {
        "specversion": "1.0",
        "id": "421/placed",
        "source": "shop",
        "type": "order.placed",
        "time": "2026-01-31T12:00:00Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:procession:event:order.placed:1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": {"order_id": "421", "lines": [{"sku": "a", "number": 2}], "note": "é\u0000"},
    }
).encode()
_PAYLOAD = b'{"order_id":"421","lines":[{"sku":"a","number":2}],"note":null}'
_DEEP = [b"[" * depth + b"]" * depth for depth in (100, 300, 600)]
"""What orjson reads up to 1,024 and writes up to 254."""
_OTHER_VALUES = [
    *(b"null", b"true", b"7", b"-0.5", b"1e999", b"NaN", b"9" * 25, b"[]", b"{}", b'""', b'"x y"', b'"\\n"'),
    *(b'"\\ud800"', b'"\xed\xa0\x80"', b'"' + b"x" * 5_000 + b'"', b"[" + b"{}," * 3_000 + b"{}]", b"[" * 3_000),
    *_DEEP,
]
_VALUES = [
    b"2",
    b'"a"',
    b'"421"',
    b'"421/placed"',
    b'"order.placed"',
    b'"1.0"',
    b'"shop"',
    b"null",
    b'"2026-01-31T12:00:00Z"',
]
"""Of the documents above."""
_NAMES_THERE = [b'"id"', b'"type"', b'"time"', b'"traceparent"', b'"order_id"', b'"note"', b'"lines"', b'"sku"']
_OTHER_NAMES = [b'"id"', b'"source"', b'"note"', b'"extension"', b'"\\n"', b'"X"', b'"' + b"x" * 5_000 + b'"']
_PIECES = [b"[", b"{", b'"', b",", b"\\u", b"\\", b"\n", b"null", b"\xed\xa0\x80", b"\xff", b"[" * 3_000]


def _bent(draw: st.DrawFn, text: bytes) -> bytes:
    """As it was, with other values and names."""
    for _ in range(draw(st.integers(1, 3))):
        there, others = draw(st.sampled_from([(_VALUES, _OTHER_VALUES)] * 3 + [(_NAMES_THERE, _OTHER_NAMES)]))
        text = text.replace(draw(st.sampled_from(there)), draw(st.sampled_from(others)), draw(st.integers(1, 2)))
    return text


def _broken(draw: st.DrawFn, text: bytes) -> bytes:
    """With pieces cut out, put in or doubled."""
    found = bytearray(text)
    for _ in range(draw(st.integers(1, 3))):
        at, to = sorted(draw(st.integers(0, len(found))) for _ in range(2))
        piece = draw(st.binary(max_size=6) | st.sampled_from(_PIECES))
        found[at : draw(st.sampled_from([at, at + 1, to]))] = piece
    return bytes(found)


def _cut_off(draw: st.DrawFn, text: bytes) -> bytes:
    return text[: draw(st.integers(0, len(text)))]


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """A text with other values, broken, cut off, or some of that."""
    for damage in draw(st.sampled_from([(_bent,), (_bent,), (_broken,), (_cut_off,), (_bent, _broken)])):
        good = damage(draw, good)
    return good


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_SOUND_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=5,
)
_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
_URIS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
EVENTS: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"specversion": st.just("1.0"), "id": _NAMES, "source": _URIS, "type": _NAMES},
    optional={
        "data": st.dictionaries(st.text(max_size=8), _SOUND_JSON, max_size=4),
        "datacontenttype": st.just("application/json"),
        "subject": _NAMES,
        "time": st.datetimes().map(lambda at: f"{at.isoformat(timespec='seconds')}Z"),
        "extension1": _NAMES | st.integers(0, 9),
    },
)
"""Sound ones, in plain data."""


def _with_another_order_id(value: bytes) -> bytes:
    return _PAYLOAD.replace(b'"421"', value)


def _with_fields(data: object) -> bytes:
    return json.dumps({"order_id": data, "lines": data, "note": data}).encode()


_WITH_ANOTHER_VALUE = st.sampled_from(_OTHER_VALUES).map(lambda value: GOOD.replace(b'"421"', value))
"""Sure to be met, whatever chance makes of the rest."""
LINES = (
    _WITH_ANOTHER_VALUE
    | st.binary(max_size=200)
    | damaged(GOOD)
    | _ANY_JSON.map(lambda value: json.dumps(value).encode())
)
DOCUMENTS = damaged(b"[" + GOOD + b"," + GOOD + b"]") | damaged(GOOD)
PAYLOADS = st.sampled_from(_OTHER_VALUES).map(_with_another_order_id) | damaged(_PAYLOAD) | _ANY_JSON.map(_with_fields)
_WHOLE = ('process:order status:active,ended key:"a b"* age>1h30m -reason:"no"', "status:x age>soon", 'key:"' * 9)
TEXTS = (
    nearly
    | st.text(max_size=50)
    | searches.map(str)
    | st.sampled_from(('status:"a\nb"', 'age>"\x1b[2J"', f"key:a status:{'x' * 500}", 'age>"' + "9" * 900))
    | st.sampled_from(_WHOLE).flatmap(
        lambda text: damaged(text.encode()).map(lambda found: found.decode("utf-8", "surrogateescape"))
    )
)
_TOML = [b'"a\\nb" = 1\n', b"modules = " + b"[" * 3_000, b'"\\u001b" = 1\n', b'journal = "a\\nb"\n', b"x = 1\n"]
CONFIGURATIONS = (
    st.just(CONFIG.read_bytes())
    | damaged(CONFIG.read_bytes())
    | st.tuples(st.sampled_from(_TOML), damaged(CONFIG.read_bytes())).map(b"".join)
)
