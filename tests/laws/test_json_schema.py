"""Every payload that the codec writes is valid by the JSON Schema of its type, and what it refuses mostly is not."""

from __future__ import annotations

import json
from typing import Any

import attrs
import hypothesis
import jsonschema  # type: ignore[import-untyped]  # it has no types, and its stubs are a package of their own
import orjson
import pytest

from procession import Command, Event
from procession.errors import InvalidPayload
from procession.laws.json_schema import DIALECT, Names, json_schema_of
from procession.primitives.codec import Codec
from tests.primitives.test_codec import Full, Lenient, Plain, Ship, fulls

CODEC = Codec()


@attrs.frozen
class Node:
    name: str
    under: tuple[Node, ...] = ()
    owner: Person | None = None


@attrs.frozen
class Person:
    name: str
    home: Node | None = None


class Grown(Event, name="test.grown: ü"):
    """A tree
    has grown.

    More of it.
    """

    tree: Node
    owner: Person
    pair: tuple[int, str]
    nothing: tuple[()] = ()


TREE = Node("root", (Node("twig", (Node("leaf"),), Person("ann")),))
for message in (Full, Lenient, Plain, Ship, Grown):
    CODEC.register(message)


def validator(cls: type) -> Any:  # noqa: ANN401 - jsonschema has no types of its own
    schema = json_schema_of(cls)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


FULL = validator(Full)


@hypothesis.given(fulls)
def test_what_the_codec_writes_is_valid(event: Full) -> None:
    FULL.validate(orjson.loads(CODEC.encode(event)))


@pytest.mark.parametrize(
    "message",
    [
        Plain("x"),
        Plain("x", -(2**63)),
        Ship("421"),
        Grown(TREE, Person("ben", Node("house", (), Person("cy"))), (1, "")),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_of_each_kind_are_valid(message: Event | Command) -> None:
    validator(type(message)).validate(orjson.loads(CODEC.encode(message)))


@pytest.mark.parametrize(
    ("cls", "data"),
    [
        (Plain, {}),
        (Plain, {"text": 1}),
        (Plain, {"text": "x", "number": "1"}),
        (Plain, {"text": "x", "number": 2**64}),
        (Plain, {"text": "x", "more": 1}),
        (Plain, []),
        (Full, {"amount": "much"}),
        (Full, {"clock": "noon"}),
        (Full, {"colour": "green"}),
        (Full, {"mode": "never"}),
        (Full, {"maybe": [1]}),
        (Full, {"point": {"x": "1"}}),
        (Full, {"point": {"x": 1, "z": 1}}),
        (Full, {"pair": ["a", 1, 2]}),
        (Full, {"pair": ["a"]}),
        (Full, {"names": "abc"}),
        (Grown, {"tree": {"name": "a", "under": [{}]}, "owner": {"name": "b"}, "pair": [1, ""]}),
        (Grown, {"tree": {"name": "a"}, "owner": {"name": "b", "home": {"name": 1}}, "pair": [1, ""]}),
        (Grown, {"tree": {"name": "a"}, "owner": {"name": "b"}, "pair": [1, ""], "nothing": [1]}),
    ],
    ids=str,
)
def test_what_the_codec_refuses_is_not_valid(cls: type[Event], data: object) -> None:
    with pytest.raises(InvalidPayload):
        CODEC.decode(cls, json.dumps(data))
    assert not validator(cls).is_valid(data)


def test_extra_fields_are_valid_where_the_type_ignores_them() -> None:
    assert validator(Lenient).is_valid({"text": "x", "more": 1})


def test_a_schema_names_itself_and_says_what_its_author_wrote() -> None:
    schema = json_schema_of(Grown)
    assert schema["$schema"] == DIALECT
    assert schema["$id"] == "urn:procession:event:test.grown%3A%20%C3%BC:1"
    assert (schema["title"], schema["description"]) == ("Grown", "A tree has grown.")
    assert json_schema_of(Ship)["$id"] == "urn:procession:command:test.ship:1"


def test_a_default_is_shown_where_it_is_a_value() -> None:
    class Made(Event, name="test.made"):
        number: int = 7
        names: frozenset[str] = attrs.field(factory=frozenset)

    properties = json_schema_of(Made)["properties"]
    assert properties["number"]["default"] == 7
    assert "default" not in properties["names"]


def test_two_classes_of_one_name_get_two_names() -> None:
    names = Names()
    fields: list[dict[str, object]] = [{"class": "Line", "fields": []}, {"class": "Line", "fields": [{"name": "a"}]}]
    assert [names.take("Line", fields[number]) for number in (0, 1, 0)] == [
        ("Line", True),
        ("Line2", True),
        ("Line", False),
    ]
