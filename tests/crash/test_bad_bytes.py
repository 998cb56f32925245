"""Bytes that nobody meant: what reads them answers with an event, a setting, or one typed sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest
from hypothesis import strategies as st

from procession import Event
from procession.errors import InvalidPayload, SettingsError
from procession.primitives.cloudevents import BATCH, STRUCTURED, CloudEventError, parse, parse_document
from procession.primitives.codec import Codec
from procession.primitives.outside import CloudEvent
from procession.settings import Settings, load_settings
from tests.daemon.command import CONFIG

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
MANY = hypothesis.settings(max_examples=max(400, hypothesis.settings().max_examples))
GOOD = json.dumps(
    {
        "specversion": "1.0",
        "id": "421/placed",
        "source": "shop",
        "type": "order.placed",
        "time": "2026-01-31T12:00:00Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:procession:order.placed:1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": {"order_id": "421", "lines": [{"sku": "a", "number": 2}], "note": "é\u0000"},
    }
).encode()
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class Line(Event, name="fuzz.line_written"):
    sku: str
    number: int


class Placed(Event, name="fuzz.placed"):
    order_id: str
    lines: tuple[Line, ...] = ()
    note: str | None = None


T = TypeVar("T")


def read_or_refused(read: Callable[[], T], *refusals: type[Exception]) -> T | str:
    """What was read, or what is wrong; anything else goes up."""
    try:
        return read()
    except refusals as error:
        return str(error)


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """A text in which pieces were cut out, put in, doubled, or changed."""
    found = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at, to = sorted(draw(st.integers(0, len(found))) for _ in range(2))
        piece = draw(
            st.binary(max_size=6) | st.sampled_from([b"[", b"{", b'"', b"\\u", b"1e999", b"null", b"\xed\xa0\x80"])
        )
        found[at : draw(st.sampled_from([at, at + 1, to]))] = piece
    return bytes(found)


@MANY
@hypothesis.given(st.binary(max_size=200) | damaged(GOOD) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_a_line_is_a_cloud_event_or_says_what_is_wrong(line: bytes) -> None:
    found = read_or_refused(lambda: parse(line), CloudEventError)
    assert found
    assert isinstance(found, CloudEvent | str)


@MANY
@hypothesis.given(
    damaged(b"[" + GOOD + b"," + GOOD + b"]"), st.sampled_from([BATCH, STRUCTURED]) | st.text(max_size=20)
)
def test_a_document_is_events_or_says_what_is_wrong(body: bytes, media: str) -> None:
    found = read_or_refused(lambda: parse_document(body, media), CloudEventError)
    assert isinstance(found, str) or all(isinstance(one, CloudEvent | CloudEventError) for one in found)


def with_fields(data: object) -> bytes:
    return json.dumps({"order_id": data, "lines": data, "note": data}).encode()


@MANY
@hypothesis.given(
    damaged(b'{"order_id":"421","lines":[{"sku":"a","number":2}],"note":null}') | ANY_JSON.map(with_fields)
)
def test_a_payload_is_its_event_or_names_the_field(payload: bytes) -> None:
    found = read_or_refused(lambda: Codec().decode(Placed, payload), InvalidPayload)
    assert isinstance(found, Placed) or "fuzz.placed" in found


@hypothesis.settings(MANY, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(damaged(CONFIG.read_bytes()))
def test_a_configuration_is_settings_or_says_what_is_wrong(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "procession.toml"
    file.write_bytes(text)
    found = read_or_refused(lambda: load_settings(file, {}), SettingsError)
    assert found
    assert isinstance(found, Settings | str)
