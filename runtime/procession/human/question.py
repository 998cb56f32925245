"""What a person is asked: the form, who gets it, how long it may take; and how an answer becomes an event."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import attrs

from procession.errors import DefinitionError, InvalidPayload
from procession.human.task import Escalation
from procession.laws.json_schema import json_schema_of
from procession.primitives.codec import from_json, to_json
from procession.primitives.command import Command
from procession.primitives.converters import from_elsewhere, plain_values
from procession.primitives.event import Event
from procession.primitives.fields import field_names
from procession.primitives.schema import schema_of
from procession.primitives.secrecy import joined, plan_of
from procession.primitives.stored import stored_of

_ANSWER_CHARS_MAX = 100_000
WHO, WHEN, WHY = "by", "at", "why"
"""Fields that are filled in: who answered, when, and why nobody did."""


@attrs.frozen(kw_only=True)
class Question:
    """One question to one person or one group, as a gateway asks it for a command."""

    title: str
    description: str = ""
    person: str = ""
    group: str = ""
    """A person, or a group of which anyone may answer."""
    deadline: datetime.timedelta | None = None
    """Nobody can answer any more when so long has passed since it was asked."""
    escalations: tuple[Escalation, ...] = ()
    shown: Mapping[str, object] | None = None
    """What the person sees, as plain data; default: the fields of the command, what is secret masked."""

    def __attrs_post_init__(self) -> None:
        """Refuse what nobody could be asked."""
        asked = [("the question", self.person, self.group)]
        asked += [(f"the escalation after {one.after}", one.person, one.group) for one in self.escalations]
        for what, person, group in asked:
            if bool(person) == bool(group):
                raise ValueError(f"{what} is for person={person!r} and group={group!r}; name one of them")
        waits = [self.deadline, *(one.after for one in self.escalations)]
        if any(wait is not None and wait <= datetime.timedelta(0) for wait in waits):
            raise ValueError("the deadline or an escalation leaves no time to answer; give more than zero")
        if not self.title:
            raise ValueError("the question has no title; say in a line what is asked")
        late = [str(one.after) for one in self.escalations if self.deadline is not None and one.after >= self.deadline]
        if late:
            raise ValueError(f"an escalation after {late[0]} comes no sooner than the deadline after {self.deadline}")


@attrs.frozen(eq=False)
class Asked:
    """One command that a gateway puts before people, with the events that may come of it."""

    command: type[Command]
    answer: type[Event]
    unanswered: type[Event] | None
    form: str
    """A JSON Schema of what the person fills in."""
    _asked: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The stored name of the command."""
        return stored_of(self.command).name

    def checked(self, command: str, fields: Mapping[str, object], by: str) -> str:
        """An answer as JSON, after it was compared with the form.

        Raises:
            InvalidPayload: it does not fit; names the path of each bad field.
        """
        strangers = sorted(fields.keys() - set(self._asked))
        name = stored_of(self.answer).name
        if strangers:
            raise InvalidPayload(name, f"the form has no field {strangers[0]!r}, it asks for {', '.join(self._asked)}")
        try:
            text = to_json({key: _plain(key, value) for key, value in fields.items()}).decode()
            self.answered(command, text, by, _ANY_TIME)
        except ValueError as error:
            raise InvalidPayload(name, str(error)) from error
        if len(text) > _ANSWER_CHARS_MAX:
            raise InvalidPayload(name, f"the answer has {len(text)} characters as JSON, at most {_ANSWER_CHARS_MAX}")
        return text

    def answered(self, command: str, answer: str, by: str, at: datetime.datetime) -> Event:
        """The event that a flow waits for. Pure: a turn calls it."""
        return self._event(self.answer, command, {**from_json(answer), WHO: by, WHEN: at.isoformat()})

    def given_up(self, command: str, why: str) -> Event | None:
        """The event that tells the flow that nobody answered, if it wants one. Pure, as above."""
        return None if self.unanswered is None else self._event(self.unanswered, command, {WHY: why})

    def _event(self, cls: type[Event], command: str, said: Mapping[str, object]) -> Event:
        return from_elsewhere(cls, {**from_json(command), **said})


def asked_of(
    command: type[Command], answer: type[Event], unanswered: type[Event] | None, where: tuple[str, str]
) -> Asked:
    """What becomes of a command, with its form.

    Args:
        where: file and line, and the method's name, for errors.

    Raises:
        DefinitionError: an event can't be made of a command and an answer.
    """
    known = {field["name"]: field["type"] for field in schema_of(command)["fields"]}
    for event in (answer, unanswered):
        if event is not None:
            _check_secrets(command, event, where)
    wanted = {field["name"]: field["type"] for field in schema_of(answer)["fields"]}
    if wanted.get(WHO) != "str":
        raise DefinitionError(
            *where, f"asks for {answer.__name__}, which has no field by: str", "give it one: who answered"
        )
    if wanted.get(WHEN, "datetime") != "datetime":
        raise DefinitionError(
            *where, f"asks for {answer.__name__}, whose field at is {wanted[WHEN]}", "make it a datetime"
        )
    _check_copies(known, wanted, answer, where)
    if unanswered is not None:
        fields = schema_of(unanswered)["fields"]
        _check_copies(known, {field["name"]: field["type"] for field in fields}, unanswered, where)
        missing = [f["name"] for f in fields if "default" not in f and f["name"] not in (*known, WHY)]
        if missing:
            found = f"tells {unanswered.__name__}, whose field {missing[0]} is none of {command.__name__}"
            raise DefinitionError(*where, found, "give the command that field, or leave it out")
    asked = tuple(name for name in wanted if name not in known and name not in (WHO, WHEN))
    for event in (answer, unanswered):
        if event is not None:
            _warm_up(event)
    return Asked(command, answer, unanswered, _form(answer, asked), asked)


def _plain(name: str, value: object) -> object:
    try:
        return plain_values()(value, type(value))
    except ValueError:
        raise ValueError(f"expected what JSON can hold, found {type(value).__name__} @ $.{name}") from None


def _check_copies(
    known: Mapping[str, Any], wanted: Mapping[str, Any], event: type[Event], where: tuple[str, str]
) -> None:
    for name, kind in wanted.items():
        if name in known and known[name] != kind:
            found = f"copies {name} from the command into {event.__name__}, where it is of another type"
            raise DefinitionError(*where, found, "give both the same type, or call one of them otherwise")


def _check_secrets(command: type[Command], event: type[Event], where: tuple[str, str]) -> None:
    hidden, shown = plan_of(command), plan_of(event)
    for name in field_names(event):
        if name in hidden and joined(hidden[name], shown.get(name, False)) != shown.get(name, False):
            found = f"copies {name} from the command, where it is secret, into {event.__name__}, where it is not"
            raise DefinitionError(*where, found, "mark it as secret there, too")


def _form(answer: type[Event], asked: tuple[str, ...]) -> str:
    schema = json_schema_of(answer)
    schema["properties"] = {name: schema["properties"][name] for name in asked}
    required = [name for name in schema.pop("required", ()) if name in asked]
    del schema["$id"]  # it is a part of what that names
    return to_json({**schema, **({"required": required} if required else {})}).decode()


def _warm_up(event: type[Event]) -> None:
    """Build now what reads an event: a turn may compile nothing."""
    try:
        from_elsewhere(event, {})
    except ValueError:
        return


_ANY_TIME = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
