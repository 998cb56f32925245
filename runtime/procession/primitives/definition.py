"""A process manager compiled for the engine: which handler an event meets, and which flows it concerns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any, Literal

import attrs

from procession.errors import DefinitionError, InvalidKey
from procession.primitives.command import Command
from procession.primitives.event import OWN_EVENTS, CancelRequested, Event
from procession.primitives.handlers import (
    Handler,
    KeySpec,
    Late,
    MarkKind,
    Missing,
    Trigger,
    check_key,
    trigger_name,
    trigger_of,
)
from procession.primitives.process import ProcessManager, check_state
from procession.primitives.state import State
from procession.primitives.telling import concealed, told

KEY_BYTES_MAX = 512


@attrs.frozen
class Reaction:
    """What one event type meets in one process."""

    start: Handler | None
    on: Handler | None
    """An `@on` or `@ends` handler."""
    fold: Handler | None
    missing: Missing
    late: Late

    @property
    def name(self) -> str:
        """The step's name in timelines."""
        handler = self.on or self.start or self.fold
        return handler.name if handler is not None else "seen"


@attrs.define(eq=False, kw_only=True)
class Folding:
    """What is folded from steps of its own: a process manager, or an aggregate."""

    cls: type[State]
    name: str
    reactions: dict[Trigger, Reaction]

    def reaction(self, event: Event) -> Reaction | None:
        """What an event meets here; None where there is nothing to say to it."""
        return self.reactions.get(trigger_of(event))


@attrs.define(eq=False, kw_only=True)
class Definition(Folding):
    """One process of one runtime."""

    cls: type[ProcessManager]
    key: KeySpec
    concerned: frozenset[type[Event]]
    """Event types that are routed by key."""
    _keys: dict[type[Event], KeySpec]

    def keys(self, event: Event) -> tuple[str, ...]:
        """The keys of the flows that an event concerns, in order, each once.

        Raises:
            InvalidKey: a key can't be computed, or is none.
        """
        spec = self._keys[type(event)]
        try:
            value = getattr(event, spec) if isinstance(spec, str) else spec(event)
            if type(value) is not str and not isinstance(value, str | int | bytes) and isinstance(value, Iterable):
                return tuple(dict.fromkeys([self._checked(event, item) for item in value]))
        except (InvalidKey, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - the user's function: whatever it raises, the event has no key
            found = f"can't be computed ({told(repr(error), event)})"
            raise InvalidKey(type(event).__procession__.name, self.name, found) from concealed(error, event)  # type: ignore[attr-defined]  # set by seal
        return (checked_key(type(event).__procession__.name, self.name, value),)  # type: ignore[attr-defined]  # set by seal

    def key_field(self, event: type[Event]) -> str | None:
        """The field of an event type that names its flow; None where a function does, or where it is not concerned."""
        spec = self._keys.get(event)
        return spec if isinstance(spec, str) else None

    def handles_cancel(self) -> bool:
        """Whether flows of this process compensate when they are cancelled."""
        return CancelRequested in self.reactions

    def _checked(self, event: Event, value: object) -> str:
        return checked_key(type(event).__procession__.name, self.name, value)  # type: ignore[attr-defined]  # set by seal


def checked_key(message: str, name: str, value: object) -> str:
    """A key as it is written down: exact text, an int as its decimals.

    Args:
        message: stored name of the event or command that it was computed from.
        name: stored name of the process or aggregate that it is of.
        value: what the field holds, or the function returned.

    Raises:
        InvalidKey: it is none.
    """
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        found = f"is {type(value).__name__}"
    elif not value:
        found = "is empty"
    elif "\x00" in value:
        found = "holds a NUL character"
    else:
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            found = "is no valid text"
        else:
            if size <= KEY_BYTES_MAX:
                return str.__str__(value)  # not what an enum of strings makes of it
            found = f"has {size} bytes"
    raise InvalidKey(message, name, found)


def compile_definition(cls: type[ProcessManager]) -> Definition:
    """Resolve annotations and build the tables.

    Raises:
        DefinitionError: two handlers for one event, no way to start, an annotation that names nothing.
    """
    options = cls.__process__
    check_state(cls, options.site, later=False)
    table: dict[Trigger, dict[Literal["start", "on", "fold"], Handler]] = {}
    for unresolved in cls.__handlers__:
        handler = unresolved.resolve(cls, options.key)
        role = _ROLES[handler.mark.kind]
        for trigger in handler.triggers:
            roles = table.setdefault(trigger, {})
            if role in roles:
                raise DefinitionError(
                    handler.site,
                    f"{cls.__name__}.{handler.name}",
                    f"handles {trigger_name(trigger)}, as {roles[role].name} does",
                    "one event has one fold, one start and one reaction: put both into one",
                )
            roles[role] = handler
    for event in options.concerns:
        if event not in table:
            check_key(event, options.key, options.site, cls.__name__)
            table[event] = {}
    _check_start(cls, table)
    reactions = {trigger: _reaction(roles, options.missing, options.late) for trigger, roles in table.items()}
    keys = {
        trigger: _key(cls, roles, options.key)
        for trigger, roles in table.items()
        if not isinstance(trigger, tuple) and trigger not in OWN_EVENTS
    }
    return Definition(
        cls=cls, name=options.name, key=options.key, reactions=reactions, concerned=frozenset(keys), keys=keys
    )


def commands_named(cls: type[ProcessManager]) -> dict[type[Command], Handler]:
    """The command classes that handlers name in their code, or in what they call of it, with a handler that does."""
    found: dict[type[Command], Handler] = {}
    for value, handler in _classes_named(cls):
        if issubclass(value, Command) and value is not Command:
            found.setdefault(value, handler)
    return found


def events_named(cls: type[ProcessManager]) -> frozenset[type[Event]]:
    """The event classes that handlers name in their code, or in what they call of it: deadlines, and what is recorded.

    What a handler only takes as its argument is not among them.
    """
    named = (value for value, _ in _classes_named(cls) if issubclass(value, Event))
    return frozenset(value for value in named if "__procession__" in vars(value))


def _classes_named(cls: type[ProcessManager]) -> Iterator[tuple[type, Handler]]:
    for with_helpers in (False, True):
        for handler in cls.__handlers__:
            for value in _named(cls, handler.method, with_helpers=with_helpers):
                if isinstance(value, type):
                    yield value, handler


def _named(cls: type, method: Callable[..., Any], *, with_helpers: bool) -> Iterator[object]:
    """What the code of a method names: globals, attributes of modules, names of the function around it.

    Helpers are methods of the class and functions of its module.
    """
    pending, seen = [method], {method}
    while pending:
        function = pending.pop()
        names = set(_names_in(function.__code__))
        values = [function.__globals__[name] for name in sorted(names) if name in function.__globals__]
        values += inspect.getclosurevars(function).nonlocals.values()
        for module in [value for value in values if inspect.ismodule(value)]:
            values += [vars(module)[name] for name in sorted(names) if name in vars(module)]
        yield from values
        if with_helpers:
            helpers = [value for value in values if getattr(value, "__module__", None) == cls.__module__]
            helpers += [inspect.getattr_static(cls, name, None) for name in sorted(names)]
            new = [helper for helper in helpers if inspect.isfunction(helper) and helper not in seen]
            pending += new
            seen.update(new)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


_ROLES: dict[MarkKind, Literal["start", "on", "fold"]] = {"fold": "fold", "start": "start", "on": "on", "end": "on"}


def _check_start(
    cls: type[ProcessManager], table: dict[Trigger, dict[Literal["start", "on", "fold"], Handler]]
) -> None:
    starting = any(
        "start" in roles or ("on" in roles and (roles["on"].mark.missing or cls.__process__.missing) == "start")
        for roles in table.values()
    )
    if not starting:
        raise DefinitionError(
            cls.__process__.site, cls.__name__, "has no way to start", "mark the reaction to its first event @starts"
        )


def _reaction(roles: dict[Literal["start", "on", "fold"], Handler], missing: Missing, late: Late) -> Reaction:
    on, start = roles.get("on"), roles.get("start")
    return Reaction(
        start,
        on,
        roles.get("fold"),
        (on.mark.missing if on is not None else None) or missing,
        (on.mark.late if on is not None else None) or (start.mark.late if start is not None else None) or late,
    )


def _key(cls: type[ProcessManager], roles: dict[Literal["start", "on", "fold"], Handler], default: KeySpec) -> KeySpec:
    given = [(handler, handler.mark.key) for handler in roles.values() if handler.mark.key]
    if len({key for _, key in given}) > 1:
        handler = given[1][0]
        raise DefinitionError(
            handler.site,
            f"{cls.__name__}.{handler.name}",
            "names another key than the handler beside it for the same event",
            "one event has one key in one process",
        )
    return given[0][1] if given else default
