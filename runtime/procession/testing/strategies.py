"""Hypothesis strategies for your own events, commands and histories, derived from their types.

    @hypothesis.given(histories(Order, gateways=[Warehouse, Payments, Parcels]))
    def test_no_order_is_shipped_and_refunded(history: list[Event]) -> None:
        ...

What they make can be written to a journal and is read back the same. `hypothesis` is in the extra `testing`.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import attrs
import hypothesis
from hypothesis import strategies as st

from procession.errors import InvalidKey, InvalidPayload
from procession.primitives.aggregate import Aggregate
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.definition import KEY_BYTES_MAX, Definition, compile_definition, events_named
from procession.primitives.event import CommandGivenUp, CommandRefused, Event
from procession.primitives.fields import field_names, resolved_fields
from procession.primitives.gateway import Gateway
from procession.primitives.process import ProcessManager
from procession.primitives.refusal import Refusal
from procession.primitives.stored import stored_of
from procession.testing.examples import fits
from procession.testing.lone_flow import LoneFlow
from procession.testing.lone_histories import LoneHistory
from procession.testing.outcomes import Outcomes
from procession.testing.values import INT_MAX, Values, built, changed, holding

EventT = TypeVar("EventT", bound=Event)
CommandT = TypeVar("CommandT", bound=Command)
RefusalT = TypeVar("RefusalT", bound=Refusal)
EVENTS_MAX = 20
ANSWERS_MAX = 3
_NONE: Mapping[type[Event], st.SearchStrategy[Event]] = {}


def events(*classes: type[EventT], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[EventT]:
    """Events of these classes; `CommandGivenUp[ChargeCard]` and `CommandRefused[Withdraw]` are such.

    Args:
        classes: one or several.
        fields: strategies for fields by name, in place of what their types say; for every class that has the field.

    Raises:
        TypeError: no class has such a field, or nothing can be derived from the type of one.
    """
    return _messages(classes, fields)


def commands(*classes: type[CommandT], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[CommandT]:
    """Commands of these classes; arguments and errors as those of `events`."""
    return _messages(classes, fields)


def refusals(*classes: type[RefusalT], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[RefusalT]:
    """Refusals of these classes; arguments and errors as those of `events`."""
    return _messages(classes, fields)


def keys() -> st.SearchStrategy[str]:
    """Keys of flows: texts of 1 to 512 bytes, without NUL."""
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    return st.text(letters, min_size=1, max_size=KEY_BYTES_MAX).filter(lambda key: len(key.encode()) <= KEY_BYTES_MAX)


def histories(
    process: type[ProcessManager],
    *,
    key: str | None = None,
    gateways: Iterable[Gateway | type[Gateway]] = (),
    aggregates: Iterable[type[Aggregate]] = (),
    outside: Collection[type[Event]] | None = None,
    given: Mapping[type[Event], st.SearchStrategy[Event]] = _NONE,
    events_max: int = EVENTS_MAX,
) -> st.SearchStrategy[list[Event]]:
    """What one flow may get, in order: with its start or without, events from outside twice, events after its end.

    Without gateways every event that concerns the process may come from outside, at any time. With them, commands are
    answered once, as the gateways' contracts say (fields named like the command's are copied), or given up where the
    process handles that; deadlines come when they are armed; and all else comes from outside.

    Args:
        process: whose flow.
        key: of the flow; default: any.
        gateways: classes or instances; no method of theirs is called.
        aggregates: their commands are answered, or refused where the process handles that, as their decisions say.
        outside: event types that come from outside, where gateways are given; default: those that no gateway answers
            with and no handler names, and those that start a flow.
        given: strategies for events of some types, in place of those that their types say.
        events_max: of one history.

    Raises:
        TypeError: nothing can be derived from the type of a field.
        WiringError: two gateways take one command.
    """
    flow = LoneFlow(compile_definition(process), _codec())
    outcomes = Outcomes(gateways, aggregates=aggregates)
    maker = _Histories(flow, outcomes, _from_outside(flow.definition, outcomes, outside), dict(given), events_max)
    return maker.histories(st.just(key) if key is not None else maker.keys())


def _messages(classes: Iterable[type[Any]], fields: Values) -> st.SearchStrategy[Any]:
    chosen = tuple(classes)
    if not chosen:
        msg = "name at least one class"
        raise TypeError(msg)
    known = {name for cls in chosen for name in field_names(typing.get_origin(cls) or cls)}
    for name in fields:
        if name not in known:
            msg = f"there is no field {name!r}; fields are {', '.join(sorted(known))}"
            raise TypeError(msg)
    return st.one_of(*[_message(cls, fields) for cls in chosen])


def _message(cls: type[Any], fields: Values) -> st.SearchStrategy[Any]:
    news = typing.get_origin(cls)
    if news in (CommandGivenUp, CommandRefused):
        (command,) = typing.get_args(cls)
        if news is CommandRefused and "refusal" not in fields:
            msg = "which refusal only its aggregate knows; say refusal=refusals(TooLittleMoney)"
            raise TypeError(msg)
        return _message(news, {"command": _message(command, {}), **fields})
    return built(cls, fields).filter(_is_storable)


def _is_storable(message: Event | Command | Refusal) -> bool:
    """Whether the codec writes it: a union may hold what can't be told apart when it is read back."""
    codec = _codec()
    codec.register(type(message.command if isinstance(message, CommandGivenUp | CommandRefused) else message))
    codec.register(type(message.refusal if isinstance(message, CommandRefused) else message))
    try:
        if isinstance(message, Refusal):
            codec.check(message)
        else:
            codec.encode(message)
    except InvalidPayload:
        return False
    return True


@functools.cache
def _codec() -> Codec:
    return Codec()


def _from_outside(
    definition: Definition, outcomes: Outcomes, outside: Collection[type[Event]] | None
) -> list[type[Event]]:
    """The event types that may come at any time, in one order in every run."""
    concerned = sorted(definition.concerned, key=lambda event: stored_of(event).name)
    if not outcomes.commands:
        return concerned
    if outside is not None:
        return [event for event in concerned if event in outside]
    own = outcomes.events | events_named(definition.cls)
    return [event for event in concerned if event not in own or _starts(definition, event)]


def _starts(definition: Definition, event: type[Event]) -> bool:
    reaction = definition.reactions[event]
    return reaction.start is not None or reaction.missing == "start"


@attrs.define(eq=False, slots=False)
class _Histories:
    """The strategies for one process."""

    lone: LoneFlow
    outcomes: Outcomes
    outside: list[type[Event]]
    given: dict[type[Event], st.SearchStrategy[Event]]
    events_max: int

    @functools.cached_property
    def starts(self) -> list[type[Event]]:
        """Event types from outside that start a flow."""
        return [event for event in self.outside if _starts(self.definition, event)]

    @property
    def definition(self) -> Definition:
        """The process."""
        return self.lone.definition

    def keys(self) -> st.SearchStrategy[str]:
        """Keys that the fields of the process can hold."""
        fields = [(event, self.definition.key_field(event)) for event in self.definition.concerned]
        kinds = [resolved_fields(event)[field] for event, field in fields if field is not None]
        texts, numbers = ([holding(key, "key", None, kind) for kind in kinds] for key in ("a", "1"))
        return keys() if all(texts) or not all(numbers) else st.integers(0, INT_MAX).map(str)

    def histories(self, keys: st.SearchStrategy[str]) -> st.SearchStrategy[list[Event]]:
        """Histories of a flow whose key is one of these."""

        @st.composite
        def history(draw: st.DrawFn) -> list[Event]:
            return _Drawing(self, draw, draw(keys)).history()

        return history()

    def of(self, cls: type[EventT]) -> st.SearchStrategy[EventT]:
        """Any event of a class. Kept: deriving a strategy costs more than a hundred draws."""
        if cls not in self.given:
            lost = {"command": st.none(), "refusal": st.none()} if cls is CommandRefused else {}
            lost = {"command": st.none()} if cls is CommandGivenUp else lost
            self.given[cls] = built(cls, lost) if lost else _message(cls, lost)
        return typing.cast("st.SearchStrategy[EventT]", self.given[cls])


class _Drawing:
    """One history while it is drawn."""

    def __init__(self, kinds: _Histories, draw: st.DrawFn, key: str) -> None:
        self._kinds = kinds
        self._draw = draw
        self._key = key
        self._flow = LoneHistory(kinds.lone, key)
        self._found: list[Event] = []
        self._arrived: list[Event] = []
        """Those that came from outside, and may come again."""

    def history(self) -> list[Event]:
        """Draw it."""
        for _ in range(self._draw(st.integers(0, self._kinds.events_max))):
            ways = self._ways()
            if not ways or self._flow.broken:
                break
            for event in self._draw(st.sampled_from(ways))():
                self._found.append(event)
                self._flow.take(event)
        return self._found[: self._kinds.events_max]

    def _ways(self) -> list[Callable[[], tuple[Event, ...]]]:
        """What may come next. What brings a flow on comes first and more often: examples shrink towards it."""
        kinds, ways = self._kinds, list[Callable[[], tuple[Event, ...]]]()
        if not self._found and kinds.starts:
            ways += [lambda: self._arrive(kinds.starts)] * 3
        if self._flow.open:
            ways += [self._answered] * 3
        if self._flow.armed:
            ways += [lambda: (self._flow.fire(self._draw(st.sampled_from(sorted(self._flow.armed)))),)] * 2
        if kinds.outside:
            ways += [lambda: self._arrive(kinds.outside)]
        if self._arrived:
            ways += [lambda: (self._draw(st.sampled_from(self._arrived)),)]
        return ways

    def _arrive(self, classes: list[type[Event]]) -> tuple[Event, ...]:
        self._arrived.append(self._keyed(self._draw(st.sampled_from(classes))))
        return (self._arrived[-1],)

    def _answered(self) -> tuple[Event, ...]:
        """The answer to an open command, by the contract of its gateway."""
        kinds, draw = self._kinds, self._draw
        command = self._flow.open.pop(draw(st.integers(0, len(self._flow.open) - 1)))
        if type(command) not in kinds.outcomes.commands:
            return ()
        contract = kinds.outcomes.method(type(command)).contract
        ways: list[type[Event] | CommandRefused[Command] | None] = [*contract.events]
        if contract.nothing or contract.many:
            ways.append(None)
        if (CommandGivenUp, type(command)) in kinds.definition.reactions:
            ways.append(CommandGivenUp)
        if (CommandRefused, type(command)) in kinds.definition.reactions:
            ways += kinds.outcomes.refused(command)
        way = draw(st.sampled_from(ways))
        if isinstance(way, CommandRefused):
            return (way,)
        if way is None:
            return ()
        if way is CommandGivenUp:
            return (changed(draw(kinds.of(CommandGivenUp)), {"command": command}),)
        more = draw(st.lists(st.sampled_from(contract.events), max_size=ANSWERS_MAX - 1)) if contract.many else []
        answers = [event for event in (way, *more) if event in kinds.definition.concerned]
        return tuple([self._keyed(event, command) for event in answers])

    def _keyed(self, cls: type[Event], command: Command | None = None) -> Event:
        """An event of this flow; where it answers a command, with what it has in common with that."""
        event = self._draw(self._kinds.of(cls))
        annotations = resolved_fields(cls)
        known = {name: getattr(command, name) for name in field_names(type(command))} if command is not None else {}
        event = changed(
            event,
            {name: value for name, value in known.items() if name in annotations and fits(value, annotations[name])},
        )
        if self._belongs(event):
            return event
        field = self._kinds.definition.key_field(cls)
        # Where a function tells the key, any field may be what it looks at.
        for name in [field] if field is not None else self._draw(st.permutations(sorted(annotations))):
            held = changed(event, holding(self._key, name, getattr(event, name), annotations[name]))
            if self._belongs(held):
                return held
        return hypothesis.reject()

    def _belongs(self, event: Event) -> bool:
        try:
            return self._key in self._kinds.definition.keys(event)
        except InvalidKey:
            return False
