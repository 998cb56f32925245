"""Generated traffic for any flows: events that start them and carry them on, made from the classes alone."""

# Traffic is made from a seed, which the caller gives.
# ruff: noqa: S311

from __future__ import annotations

import datetime
import decimal
import enum
import random
import types
import typing
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from procession.primitives.definition import Definition, events_named
from procession.primitives.event import Event, FailureEvent
from procession.primitives.fields import resolved_fields
from procession.primitives.gateway import command_methods, gateway_class
from procession.primitives.outside import Outside
from procession.primitives.registry import Registry

_OPEN_FLOWS_MAX = 200
_STEPS_MAX = 12
_ITEMS_MAX = 5
_NEVER_ENDED_SHARE = 0.05
_LATE_SHARE = 0.1
_EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SOURCE = "demo"


@attrs.frozen
class Plan:
    """What the outside world may say to the flows of one process."""

    process: str
    key_field: str
    starts: tuple[type[Event], ...]
    goes_on: tuple[type[Event], ...]
    ends: tuple[type[Event], ...]


def plans_of(registry: Registry) -> list[Plan]:
    """A plan for each process whose events can be made up: those with one field as their key."""
    answers = {
        event
        for gateway in registry.gateways.values()
        for method in command_methods(gateway_class(gateway))
        for event in method.contract.events
    }
    answers |= {event for decider in registry.deciders.values() for event in decider.decision.verdicts.events}
    found = [_plan(definition, answers) for definition in registry.processes.values() if type(definition.key) is str]
    return [plan for plan in found if plan.starts]


def _plan(definition: Definition, answers: set[type[Event]]) -> Plan:
    """What no gateway answers, no aggregate decides and no flow of this kind brings about comes from outside."""
    inner = answers | events_named(definition.cls)
    outer = sorted(
        (
            event
            for event in definition.concerned
            if event not in inner and not issubclass(event, FailureEvent) and definition.key in resolved_fields(event)
        ),
        key=lambda event: event.__name__,
    )
    starts, goes_on, ends = [], [], []
    for event in outer:
        reaction = definition.reactions[event]
        if reaction.start is not None or (reaction.on is not None and reaction.missing == "start"):
            starts.append(event)
        elif reaction.on is not None and reaction.on.mark.kind == "end":
            ends.append(event)
        else:
            goes_on.append(event)
    assert isinstance(definition.key, str)
    return Plan(definition.name, definition.key, tuple(starts), tuple(goes_on), tuple(ends))


def traffic(plans: list[Plan], flows: int, seed: int) -> Iterator[Outside]:
    """Events of so many flows, many of them open at one time; the same for the same arguments."""
    chance = random.Random(seed)
    waiting = iter([plans[number % len(plans)] for number in range(flows)])
    open_flows: list[Iterator[Outside]] = []
    number = 0
    while True:
        while len(open_flows) < _OPEN_FLOWS_MAX and (plan := next(waiting, None)) is not None:
            number += 1
            open_flows.append(_one_flow(plan, f"{plan.process}-{number}", seed, random.Random(f"{seed}/{number}")))
        if not open_flows:
            return
        at = chance.randrange(len(open_flows))
        event = next(open_flows[at], None)
        if event is None:
            open_flows[at] = open_flows[-1]
            open_flows.pop()
        else:
            yield event


def _one_flow(plan: Plan, key: str, seed: int, chance: random.Random) -> Iterator[Outside]:
    types_: list[type[Event]] = [chance.choice(plan.starts)]
    if plan.goes_on:
        types_ += [chance.choice(plan.goes_on) for _ in range(chance.randint(1, _STEPS_MAX))]
    if plan.ends and chance.random() > _NEVER_ENDED_SHARE:
        types_.append(chance.choice(plan.ends))
        if plan.goes_on and chance.random() < _LATE_SHARE:
            types_.append(chance.choice(plan.goes_on))
    for index, event in enumerate(types_):
        made = Made(chance, plan.key_field, key).message(event)
        yield Outside(made, f"{seed}/{key}/{index}", SOURCE)


@attrs.frozen
class Made:
    """Makes up what a class needs: the key where it is asked for, else something that fits the annotation."""

    chance: random.Random
    key_field: str
    key: str
    known: dict[str, object] = attrs.field(factory=dict)
    """Fields that are not made up."""

    def message(self, cls: type[Event]) -> Event:
        """An event of this class.

        Raises:
            TypeError: nothing can be made up for one of its fields.
        """
        return cls(**{name: self._field(name, annotation) for name, annotation in resolved_fields(cls).items()})

    def _field(self, name: str, annotation: Any) -> object:  # noqa: ANN401 - a type form
        if name in self.known:
            return self.known[name]
        if name == self.key_field:
            return self.chance.randrange(1 << 40) if annotation is int else self.key
        return self._value(name, annotation, 0)

    def _value(self, name: str, annotation: Any, index: int) -> object:  # noqa: ANN401, PLR0911 - a type form
        origin, members = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return self._value(name, self.chance.choice(members), index)
        if origin is typing.Literal:
            return self.chance.choice(members)
        if origin in (tuple, frozenset):
            if origin is frozenset or members[-1:] == (Ellipsis,):
                count = self.chance.randint(1, _ITEMS_MAX)
                return origin([self._value(name.removesuffix("s"), members[0], n + 1) for n in range(count)])
            return tuple(self._value(name, member, index) for member in members)
        if typing.get_origin(getattr(annotation, "__value__", None)) is not None:
            return self._value(name, annotation.__value__, index)
        if hasattr(annotation, "__supertype__"):
            return self._value(name, annotation.__supertype__, index)
        if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            return self.chance.choice(list(annotation))
        if attrs.has(annotation):
            return annotation(
                **{inner: self._field(inner, kind) for inner, kind in resolved_fields(annotation).items()}
            )
        return self._scalar(name, annotation, index)

    def _scalar(self, name: str, annotation: Any, index: int) -> object:  # noqa: ANN401 - a type form
        number = self.chance.randint(1, 9_999)
        if annotation is str:
            return f"{name}-{index or number % 20 + 1}"
        if annotation not in _SCALARS:
            msg = f"nothing can be made up for the field {name} of type {annotation}"
            raise TypeError(msg)
        return _SCALARS[annotation](number)


_SCALARS: dict[Any, Callable[[int], object]] = {
    int: lambda number: number,
    float: lambda number: number / 100,
    bool: lambda number: number % 2 == 0,
    bytes: lambda number: b"%d" % number,
    None: lambda _: None,
    types.NoneType: lambda _: None,
    decimal.Decimal: lambda number: decimal.Decimal(number) / 100,
    datetime.datetime: lambda number: _EPOCH + datetime.timedelta(minutes=number),
    datetime.date: lambda number: (_EPOCH + datetime.timedelta(days=number)).date(),
    datetime.time: lambda number: (_EPOCH + datetime.timedelta(minutes=number)).time(),
    datetime.timedelta: lambda number: datetime.timedelta(seconds=number),
    uuid.UUID: lambda number: uuid.UUID(int=number, version=4),
}
