"""What is a CloudEvent and what is not."""

from __future__ import annotations

import json

import pytest

from procession.laws.json_schema import json_schema_of
from procession.primitives.cloudevents import CloudEventError, parse
from tests.laws.test_json_schema import Grown

WHOLE: dict[str, object] = {
    "specversion": "1.0",
    "id": "1",
    "source": "urn:test",
    "type": "thing.happened",
    "data": {"a": 1},
}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def line(**changes: object) -> bytes:
    return json.dumps({name: value for name, value in {**WHOLE, **changes}.items() if value != "gone"}).encode()


def test_an_event_with_all_that_may_be_there_is_read() -> None:
    found = parse(
        line(
            subject="a",
            time="2026-01-31T12:00:00.5+01:00",
            datacontenttype="application/json; charset=utf-8",
            dataschema="urn:schema",
            traceparent=TRACE,
            extension1=True,
        )
    )
    assert (found.id, found.source, found.type, found.data, found.trace) == (
        "1",
        "urn:test",
        "thing.happened",
        {"a": 1},
        TRACE,
    )


@pytest.mark.parametrize(
    ("schema", "version"),
    [("urn:procession:event:thing.happened:12", 12), ("urn:schema", None), ("gone", None)],
)
def test_the_version_is_that_of_the_schema_that_is_named(schema: str, version: int | None) -> None:
    assert parse(line(dataschema=schema)).version == version


def test_the_schema_of_an_event_names_its_version_as_its_json_schema_does() -> None:
    schema = json_schema_of(Grown)["$id"]
    assert parse(line(type="test.grown: ü", dataschema=schema)).version == 1


@pytest.mark.parametrize("end", ["thing.happened:0", "thing.happened:1.5", "thing.happened", "thing.else:1", ":1"])
def test_a_schema_of_another_type_or_of_no_version_is_refused(end: str) -> None:
    with pytest.raises(CloudEventError, match=r"write urn:procession:event:thing\.happened:1 for version 1"):
        parse(line(dataschema=f"urn:procession:event:{end}"))


def test_data_may_be_left_out() -> None:
    assert parse(line(data="gone")).data == {}


def test_a_trace_that_is_none_is_left_out() -> None:
    assert parse(line(traceparent="nonsense")).trace is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"{", "no JSON"),
        (b'{"a": NaN}', "no JSON"),
        (b"[1]", "a list"),
        (b"null", "null"),
        (b"\xff{}", "byte 1 of the line is no UTF-8"),
        (line(id="gone"), "has no id"),
        (line(id=""), "has the id ''"),
        (line(id=7), "has the id 7"),
        (line(source="gone"), "has no source"),
        (line(source="a b"), "no URI reference"),
        (line(type="gone"), "has no type"),
        (line(specversion="gone"), "has no specversion"),
        (line(specversion="0.3"), "the specversion is '0.3'"),
        (line(time="yesterday"), "the time 'yesterday'"),
        (line(time="2026-13-01T00:00:00Z"), "the time"),
        (line(time="2026-01-01T00:00:00"), "the time"),
        (line(datacontenttype="text/xml"), "the datacontenttype"),
        (line(subject=""), "the subject"),
        (line(data=[1]), "its data is a list"),
        (line(data_base64="aGk="), "data_base64"),
        (line(Order_Id="1"), "'Order_Id' is not allowed"),
        (line(extension={"a": 1}), "extension is an object"),
    ],
)
def test_what_is_no_cloud_event_is_refused_with_a_cure(text: bytes, found: str) -> None:
    with pytest.raises(CloudEventError) as caught:
        parse(text)
    assert found in caught.value.found
    assert caught.value.cure
