"""Law 8 beside the flows: what a `schemas.json` says was given out, and what the classes say now."""

from __future__ import annotations

import json

import attrs
import pytest

from procession import Command, Event, FailureEvent, ProcessManager, lifts, starts
from procession.errors import SchemaChanged, SchemaFileUnreadable
from procession.laws.schemas import check_schemas, entry_of, messages_of, parse, text_of, updated
from procession.primitives.registration import gather

PATH = "flows/schemas.json"


@attrs.frozen
class Line:
    article: str
    pieces: int = 1


class Placed(Event, name="test.placed"):
    order: str
    lines: tuple[Line, ...] = ()


class Ordered(Command, name="test.placed"):
    """A command of the same name."""

    order: str


class Empty(Event, name="test.empty", extra_fields="ignore"): ...


class Unicode(Event, name="test.größe"):
    größe: str  # noqa: PLC2401 - what is looked at


@attrs.frozen
class OtherLine:
    article: str
    pieces: str = "1"


def changed() -> type[Event]:
    class Placed(Event, name="test.placed"):
        order: str
        lines: tuple[OtherLine, ...] = ()

    return Placed


CHANGED = changed()
ALL = (Placed, Ordered, Empty, Unicode)
TEXT = text_of(map(entry_of, ALL))


def test_what_was_written_is_read_again() -> None:
    read = [attrs.evolve(entry, line=1) for entry in parse(PATH, TEXT)]
    assert read == sorted(map(entry_of, ALL), key=lambda entry: entry.key)
    assert check_schemas(ALL, PATH, TEXT) == []


def test_a_file_is_sorted_and_has_a_field_a_line() -> None:
    assert text_of(map(entry_of, reversed(ALL))) == TEXT
    assert '\n        {"name": "order", "type": "str"},\n' in TEXT
    assert json.loads(TEXT)["types"][0]["extra_fields"] == "ignore"


def test_a_file_without_types_is_one() -> None:
    assert parse(PATH, text_of(())) == ()


def test_a_file_that_is_not_there_accuses_nobody() -> None:
    assert check_schemas(ALL, PATH, None) == []


def test_a_type_that_the_file_does_not_have_is_found_at_its_class() -> None:
    (found,) = check_schemas(ALL, PATH, text_of(map(entry_of, (Placed, Ordered, Empty))))
    assert (found.code, found.subject, found.path) == ("LAW08", "Unicode", __file__)
    assert "is 'test.größe' version 1, which is not in flows/schemas.json" in found.found
    assert "procession schemas --write" in found.cure


def test_a_type_that_changed_is_found_with_the_difference_and_the_cure() -> None:
    (found,) = check_schemas((CHANGED,), PATH, TEXT)
    assert (found.path, found.subject) == (__file__, "Placed")
    assert "another schema than flows/schemas.json:15 has: field lines[].pieces was int and is str" in found.found
    assert 'field lines[].pieces had the default 1 and has the default "1"' in found.found
    assert "version=2, and a lift" in found.cure
    assert "delete its entry" in found.cure


def test_a_fact_that_became_a_failure_is_found() -> None:
    class Failed(FailureEvent, name="test.placed"):
        order: str
        lines: tuple[Line, ...] = ()

    (found,) = check_schemas((Failed,), PATH, TEXT)
    assert "it was a kind of event and is a kind of failure" in found.found


def test_a_type_that_is_gone_keeps_its_entry_and_is_no_breach() -> None:
    assert check_schemas((Placed,), PATH, TEXT) == []
    assert updated((Placed,), PATH, TEXT) == (TEXT, ())


def test_an_entry_that_was_edited_is_found_in_its_line() -> None:
    edited = TEXT.replace('{"name": "größe", "type": "str"}', '{"name": "größe", "type": "int"}')
    found = check_schemas(ALL, PATH, edited)
    assert [finding.subject for finding in found] == ["test.größe version 1", "Unicode"]
    assert "größe" in edited.splitlines()[found[0].line - 1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError: 'format'"),
        ('{"format": 2}', "its format is 2, this version knows 1"),
        ('{"format": 1, "types": [{"name": 1}]}', "KeyError"),
        (TEXT.replace('"version": 1', '"version": "1"', 1), "a value of a wrong type"),
        (TEXT.replace("[]", "{}", 1), "are no list"),
        (TEXT.replace('"types": [', '"types": [1, '), "TypeError"),
    ],
)
def test_a_file_that_is_none_is_a_finding_and_is_not_written_over(text: str, problem: str) -> None:
    (found,) = check_schemas(ALL, PATH, text)
    assert problem in found.found
    assert "restore it" in found.cure
    with pytest.raises(SchemaFileUnreadable):
        updated(ALL, PATH, text)


def test_writing_adds_what_is_new_and_leaves_what_is_there() -> None:
    some = text_of(map(entry_of, (Placed, Ordered)))
    text, new = updated((Placed, Empty, Unicode), PATH, some)
    assert text == TEXT
    assert [entry.name for entry in new] == ["test.empty", "test.größe"]


def test_writing_refuses_what_changed() -> None:
    with pytest.raises(SchemaChanged, match=r"field lines\[\]\.pieces was int and is str"):
        updated((CHANGED,), PATH, TEXT)


class Placed2(Event, name="test.placed", version=2):
    order: str


@lifts
def lift(old: Placed) -> Placed2:
    return Placed2(old.order)


class Order(ProcessManager, name="order", key="order"):
    @starts
    def placed(self, placed: Placed2) -> None: ...


def test_the_messages_of_a_registry_are_all_but_its_own() -> None:
    assert messages_of(gather([Order], [], [Unicode], [lift])) == (Unicode, Placed, Placed2)
