"""The LinkML of events and commands: only what its metamodel knows, and every range is declared.

`linkml validate` accepts these schemas, and the payloads of all kinds by them; it is too heavy to be asked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]  # it has no types, and its stubs are a package of their own

from procession import Event, FailureEvent
from procession.daemon.linkml import linkml_of
from procession.daemon.yaml_text import yaml_text
from tests.laws.test_json_schema import Grown
from tests.primitives.test_codec import Full, Lenient, Plain, Ship

TYPES = {"string", "integer", "float", "boolean", "datetime", "date"}
SLOT_KEYS = {
    "range", "required", "multivalued", "inlined", "inlined_as_list", "any_of", "annotations", "pattern", "unit",
    "exact_cardinality", "list_elements_ordered", "list_elements_unique",
}  # fmt: skip
CLASS_KEYS = {"is_a", "abstract", "class_uri", "description", "annotations", "attributes"}


class Odd(Event, name="test.odd"):
    """What LinkML has no words for."""

    level: Literal[1, 2]
    mixed: Literal["a", 1]
    lists: tuple[tuple[int, ...], ...]
    either: int | tuple[int, ...]
    holes: tuple[int | None, ...]
    empty: tuple[()]


class Event_(FailureEvent, name="test.event"):  # noqa: N801 - a name that is taken
    why: str | None


Event_.__name__ = "Event"
SCHEMA = linkml_of([Full, Lenient, Plain, Ship, Grown, Odd, Event_])


def slots() -> Iterator[tuple[str, dict[str, Any]]]:
    for owner, found in SCHEMA["classes"].items():
        for name, slot in found.get("attributes", {}).items():
            yield f"{owner}.{name}", slot


def test_it_says_only_what_the_metamodel_knows() -> None:
    assert {key for _, slot in slots() for key in slot} <= SLOT_KEYS
    assert {key for found in SCHEMA["classes"].values() for key in found} <= CLASS_KEYS


def test_every_range_is_declared() -> None:
    known = TYPES | SCHEMA["classes"].keys() | SCHEMA["enums"].keys()
    ranges = [(name, kind["range"]) for name, slot in slots() for kind in (slot, *slot.get("any_of", ()))]
    assert [name for name, kind in ranges if kind not in known] == []
    assert [found["is_a"] for found in SCHEMA["classes"].values() if found.get("is_a", "Event") not in known] == []


def test_a_message_is_a_class_with_its_stored_name() -> None:
    assert SCHEMA["classes"]["Ship"] == {
        "is_a": "Command",
        "annotations": {
            "stored_name": "test.ship",
            "stored_version": 1,
            "fingerprint": SCHEMA["classes"]["Ship"]["annotations"]["fingerprint"],
        },
        "attributes": {"order": {"range": "string", "required": True}},
    }


def test_kinds_of_fields_are_said_as_linkml_says_them() -> None:
    found = SCHEMA["classes"]["Full"]["attributes"]
    assert found["points"] == {
        "multivalued": True,
        "list_elements_ordered": True,
        "range": "Point",
        "inlined_as_list": True,
        "annotations": {"default": "[]"},
    }
    assert found["colour"]["range"] == "Colour"
    assert SCHEMA["enums"]["Colour"]["permissible_values"] == {"red": {"title": "RED"}, "blue": {"title": "BLUE"}}
    assert list(SCHEMA["enums"]["Full_mode"]["permissible_values"]) == ["fast", "slow"]
    assert found["maybe"]["any_of"] == [{"range": "integer"}, {"range": "string"}]
    assert found["pair"]["exact_cardinality"] == 2
    assert found["span"]["unit"] == {"ucum_code": "us"}


def test_what_linkml_cannot_say_is_left_open() -> None:
    found = SCHEMA["classes"]["Odd"]["attributes"]
    assert {name: slot["range"] for name, slot in found.items()} == dict.fromkeys(found, "Any")


def test_a_class_that_holds_itself_is_named_by_its_own_range() -> None:
    assert SCHEMA["classes"]["Node"]["attributes"]["under"]["range"] == "Node"


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert SCHEMA["classes"]["Event"]["abstract"]
    assert SCHEMA["classes"]["Event2"]["is_a"] == "FailureEvent"


def test_as_yaml_it_is_the_same() -> None:
    assert yaml.safe_load(yaml_text(SCHEMA)) == SCHEMA
