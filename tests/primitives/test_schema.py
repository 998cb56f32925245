"""The schema of a class says what its JSON holds: the same in every run, whatever its parts are called."""

from __future__ import annotations

import datetime
import enum
import json
import os
import subprocess
import sys
from typing import Annotated, Literal, NewType, Optional, Union

import attrs
import pytest

from procession import Command, Event
from procession.primitives.codec import from_json
from procession.primitives.schema import first_shape_of, is_first_shape, schema_fingerprint, schema_of, shape_of
from tests.primitives.test_codec import Colour, Full, Plain

ArticleId = NewType("ArticleId", str)


@attrs.frozen
class Node:
    name: str
    under: tuple[Node, ...] = ()


@attrs.frozen
class Line:
    article: str
    pieces: int = 1


@attrs.frozen
class Row:
    """A line under another name."""

    article: str
    pieces: int = 1


@attrs.frozen
class PairOfLines:
    article: str
    pieces: int = 2


@attrs.frozen(kw_only=True)
class Swapped:
    pieces: int = 1
    article: str


def declared(annotation: object, **default: object) -> type[Event]:
    """An event with one field of this annotation."""
    body = {"__annotations__": {"thing": annotation}, "thing": default["default"]} if default else {}
    namespace = body or {"__annotations__": {"thing": annotation}}
    return type("Made", (Event,), {"__module__": __name__, **namespace}, name="test.made")


def type_of(annotation: object) -> object:
    return schema_of(declared(annotation))["fields"][0]["type"]


def fingerprint_of(annotation: object, **default: object) -> str:
    return schema_fingerprint(schema_of(declared(annotation, **default)))


def test_a_schema_names_fields_types_and_defaults() -> None:
    assert schema_of(Plain) == {
        "fields": [{"name": "text", "type": "str"}, {"name": "number", "type": "int", "default": 0}]
    }


@pytest.mark.parametrize(
    ("annotation", "written"),
    [
        (tuple[int, ...], {"list": "int"}),
        (tuple[int, str], {"tuple": ["int", "str"]}),
        (frozenset[str], {"set": "str"}),
        (Optional[int], {"any of": ["int", "None"]}),  # noqa: UP045 - the old spelling is what is looked at
        (Literal["b", "a"], {"literal": ["a", "b"]}),
        (Colour, {"enum": "Colour", "values": {"BLUE": "blue", "RED": "red"}}),
        (ArticleId, "str"),
        (Annotated[int, "grams"], "int"),
        (datetime.timedelta, "timedelta"),
        (Line | None, {"any of": [{"class": "Line", "fields": schema_of(Line)["fields"]}, "None"]}),
    ],
    ids=str,
)
def test_a_type_is_written_as_its_json_is(annotation: object, written: object) -> None:
    assert type_of(annotation) == written


def test_a_class_that_holds_itself_is_written_once() -> None:
    under = {"name": "under", "type": {"list": {"class": "Node", "up": 0}}, "default": []}
    fields = [{"name": "name", "type": "str"}, under]
    assert type_of(Node) == {"class": "Node", "fields": fields}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (int | str | None, None | str | int),
        (int | None, Optional[int]),  # noqa: UP045 - the old spelling is what is looked at
        (int | str, Union[str, int]),  # noqa: UP007 - as above
        (Literal["a", "b"], Literal["b", "a"]),
        (ArticleId, str),
        (Annotated[int, "grams"], Annotated[int, "pounds"]),
        (Line, Row),
        (Colour, enum.Enum("Paint", {"BLUE": "blue", "RED": "red"})),
    ],
    ids=str,
)
def test_what_json_does_not_show_leaves_the_fingerprint(one: object, other: object) -> None:
    assert fingerprint_of(one) == fingerprint_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (int, str),
        (int, int | None),
        (tuple[int, ...], frozenset[int]),
        (tuple[int, ...], tuple[int]),
        (Literal["a"], Literal["a", "b"]),
        (Literal[1], Literal[True]),
        (Colour, enum.Enum("Colour", {"RED": "red"})),
        (Colour, enum.Enum("Colour", {"RED": "rouge", "BLUE": "blue"})),
        (Line, PairOfLines),
        (Line, Swapped),
    ],
    ids=str,
)
def test_what_json_shows_changes_the_fingerprint(one: object, other: object) -> None:
    assert fingerprint_of(one) != fingerprint_of(other)


@pytest.mark.parametrize("other", [2, 0])
def test_another_default_is_another_schema(other: int) -> None:
    assert fingerprint_of(int, default=1) != fingerprint_of(int, default=other)


def test_a_default_is_not_the_same_as_none() -> None:
    assert fingerprint_of(int, default=1) != fingerprint_of(int)


def test_what_makes_a_default_is_named_and_not_called() -> None:
    class Made(Event, name="test.made"):
        moment: datetime.datetime = attrs.field(factory=datetime.datetime.now)

    assert schema_of(Made)["fields"][0]["default"] == {"made by": "datetime.now"}


def test_a_default_that_is_no_value_of_its_type_has_a_schema_too() -> None:
    class Made(Event, name="test.made"):
        thing: int = object()  # type: ignore[assignment]  # what is looked at

    assert schema_of(Made)["fields"][0]["default"] == {"no value of its type": "object"}


def test_whether_extra_fields_are_ignored_belongs_to_the_schema() -> None:
    class Loose(Event, name="test.plain", extra_fields="ignore"):
        text: str
        number: int = 0

    assert schema_fingerprint(schema_of(Loose)) != schema_fingerprint(schema_of(Plain))


def test_commands_have_schemas() -> None:
    class Ship(Command, name="test.ship"):
        order: str

    assert schema_of(Ship) == {"fields": [{"name": "order", "type": "str"}]}


def test_the_first_form_says_names_types_and_whether_there_is_a_default() -> None:
    assert from_json(first_shape_of(Plain)) == [
        {"name": "text", "type": "str", "optional": False},
        {"name": "number", "type": "int", "optional": True},
    ]


def test_the_first_form_of_an_enum_holds_its_values() -> None:
    assert "Colour('red', 'blue')" in first_shape_of(Full)


def test_the_forms_are_told_apart() -> None:
    assert is_first_shape(first_shape_of(Full))
    assert not is_first_shape(shape_of(Full))


def test_it_is_the_same_on_every_python() -> None:
    """The figure was taken on 3.11; CI runs the others."""
    assert schema_fingerprint(schema_of(Full)) == "c064bd25764cbeadafe015d8155c3437"


def test_it_is_the_same_under_every_hash_seed() -> None:
    program = (
        "from procession import Event\n"
        "from procession.primitives.schema import shape_of\n"
        "class Tagged(Event, name='test.tagged'):\n"
        "    tags: frozenset[str] = frozenset('abcdefgh')\n"
        "print(shape_of(Tagged))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in range(3)
    }
    assert len(found) == 1
    assert json.loads(found.pop())["fields"][0]["default"] == list("abcdefgh")
