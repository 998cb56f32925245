"""Bytes that nobody meant: what reads them answers with an event, a setting, or one typed sentence."""

from __future__ import annotations

import gzip
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
from tests.daemon.inside import run_inside
from tests.daemon.serving import project

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


LINES: dict[str, tuple[bytes, str]] = {
    "bad UTF-8": (GOOD.replace(b"421", b"\xff"), "no UTF-8"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "no UTF-8"),
    "a null byte": (b"\x00", "no JSON"),
    "deep": (b"[" * 90_000, "no JSON (depth limit exceeded"),
    "NaN": (GOOD.replace(b"2}", b"NaN}"), "no JSON"),
    "a huge number": (GOOD.replace(b"2}", b"9" * 400 + b"}"), "no JSON"),
    "half": (GOOD[:-4], "no JSON"),
    "a list": (b"[]", "no JSON object"),
    "a line too long": (GOOD.replace(b"421", b"x" * 3_000_000), "longer than 1114112 bytes"),
    "a zip bomb": (gzip.compress(b"x" * 50_000_000), "longer than 1114112 bytes"),
    "half a gzip": (gzip.compress(GOOD)[:-9], "the gzip ends in the middle"),
    "no gzip": (b"\x1f\x8b" + b"x" * 50, "the gzip is damaged"),
}


@pytest.mark.parametrize("kind", LINES)
def test_what_can_not_be_published_is_refused_with_its_line_and_one_sentence(tmp_path: Path, kind: str) -> None:
    text, said = LINES[kind]
    project(tmp_path)
    (tmp_path / "events.jsonl").write_bytes(text)
    done = run_inside("publish", "events.jsonl", "--no-wait", cwd=tmp_path)
    assert done.code == 2
    assert "events.jsonl:1: " in done.err
    assert said in done.err
    assert done.err.count("\n") == 1
