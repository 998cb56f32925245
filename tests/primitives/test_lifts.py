"""A lift that can't lead from old to new is refused where it is defined; what can't work together, at wiring."""

from __future__ import annotations

import sys
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from procession import Command, Event, FailureEvent, ProcessManager, ends, lifts, on, starts
from procession.errors import DefinitionError, InvalidPayload, LiftFailed, WiringError
from procession.primitives.definition import compile_definition
from procession.primitives.event import CancelRequested
from procession.primitives.fingerprint import fingerprint
from procession.primitives.lifts import Chains
from procession.primitives.registration import build_registry


class Placed1(Event, name="test.placed"):
    order: str


class Placed2(Event, name="test.placed", version=2):
    order: str
    cents: int


class Placed3(Event, name="test.placed", version=3):
    order: str
    cents: int
    currency: str


class Opened(Event, name="test.opened"):
    order: str


class Declined1(FailureEvent, name="test.declined"):
    order: str


class Declined2(FailureEvent, name="test.declined", version=2):
    order: str
    why: str


class Ship(Command, name="test.ship"):
    order: str


@lifts
def one_to_two(old: Placed1) -> Placed2:
    return Placed2(old.order, 0)


@lifts
def two_to_three(old: Placed2) -> Placed3:
    return Placed3(old.order, old.cents, "EUR")


def unannotated(old):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - what is to be refused
    return old


def no_result(old: Placed1):  # type: ignore[no-untyped-def]  # noqa: ANN201 - as above
    return Placed2(old.order, 0)


async def waits(old: Placed1) -> Placed2:
    raise NotImplementedError


def yields(old: Placed1) -> Iterator[Placed2]:
    yield Placed2(old.order, 0)


async def streams(old: Placed1) -> AsyncIterator[Placed2]:
    yield Placed2(old.order, 0)


def of_two(old: Placed1 | Opened) -> Placed2:
    raise NotImplementedError


def with_more(old: Placed1, rate: int) -> Placed2:
    raise NotImplementedError


def with_nothing() -> Placed2:
    raise NotImplementedError


def of_command(old: Ship) -> Placed2:
    raise NotImplementedError


def to_command(old: Placed1) -> Ship:
    raise NotImplementedError


def to_itself(old: Placed1) -> Placed1:
    raise NotImplementedError


def backwards(old: Placed2) -> Placed1:
    raise NotImplementedError


def to_failure(old: Placed1) -> Declined1:
    raise NotImplementedError


def from_failure(old: Declined1) -> Placed1:
    raise NotImplementedError


def of_ours(old: CancelRequested) -> Placed1:
    raise NotImplementedError


def of_nobody(old: Nobody) -> Placed1:  # type: ignore[name-defined]  # noqa: F821 - what is to be refused
    raise NotImplementedError


def of_all(old: Event) -> Placed1:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (unannotated, "takes nothing that is annotated, which is no event type"),
        (no_result, "returns nothing that is annotated"),
        (waits, "is no plain def"),
        (yields, "is no plain def"),
        (streams, "is no plain def"),
        (of_two, "which is no event type"),
        (with_more, "takes 2 parameters"),
        (with_nothing, "takes 0 parameters"),
        (of_command, "takes Ship, which is no event type"),
        (to_command, "returns Ship, which is no event type"),
        (to_itself, "leads from 'test.placed' version 1 to version 1"),
        (backwards, "leads from 'test.placed' version 2 to version 1"),
        (to_failure, "'test.declined' is a failure event"),
        (from_failure, "'test.declined' is a failure event"),
        (of_ours, "an event of the runtime's own"),
        (of_nobody, "annotated with 'Nobody', which is not defined"),
        (of_all, "takes Event, which is no event type"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_lead_from_old_to_new_is_refused(function: Callable[[Any], Any], found: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        lifts(function)
    assert found in str(refused.value)
    assert refused.value.where.startswith(__file__)


def test_a_failure_is_lifted_to_a_failure() -> None:
    @lifts
    def with_reason(old: Declined1) -> Declined2:
        return Declined2(old.order, "unknown")

    assert with_reason(Declined1("a")) == Declined2("a", "unknown")


def test_lifts_are_chained() -> None:
    chains = Chains([two_to_three, one_to_two])
    assert chains.lifted(Placed1("a"), lambda _: None) == Placed3("a", 0, "EUR")
    assert chains.newest(Placed1) is Placed3
    assert chains.older(Placed3) == (Placed1, Placed2)


def test_two_lifts_from_one_type_are_refused() -> None:
    @lifts
    def otherwise(old: Placed1) -> Placed3:
        return Placed3(old.order, 1, "EUR")

    with pytest.raises(DefinitionError, match=r"lifts Placed1, as one_to_two .* does"):
        Chains([one_to_two, otherwise])


def test_the_same_lift_may_be_given_twice() -> None:
    assert list(Chains([one_to_two, one_to_two])) == [one_to_two]


def test_a_cycle_is_refused_with_its_types() -> None:
    @lifts
    def renamed(old: Placed2) -> Opened:
        return Opened(old.order)

    @lifts
    def named_back(old: Opened) -> Placed1:
        return Placed1(old.order)

    with pytest.raises(DefinitionError, match="Placed1 -> Placed2 -> Opened -> Placed1"):
        Chains([one_to_two, renamed, named_back])


def test_what_a_lift_raises_is_told_with_its_place() -> None:
    @lifts
    def broken(old: Placed1) -> Placed2:
        raise KeyError(old.order)

    with pytest.raises(LiftFailed, match=r"can't be lifted by broken: it raised KeyError: 'a' at test_lifts\.py"):
        Chains([broken]).lifted(Placed1("a"), lambda _: None)


def test_a_lift_that_returns_something_else_is_told() -> None:
    @lifts
    def careless(old: Placed1) -> Placed2:
        return old  # type: ignore[return-value]  # what is to be refused

    with pytest.raises(LiftFailed, match="it returned a Placed1"):
        Chains([careless]).lifted(Placed1("a"), lambda _: None)


def test_what_a_lift_makes_must_fit_its_type() -> None:
    def refuse(event: Event) -> None:
        raise InvalidPayload("test.placed", "cents is str")

    with pytest.raises(LiftFailed, match="in what it made, cents is str"):
        Chains([one_to_two]).lifted(Placed1("a"), refuse)


class Order(ProcessManager, name="order", key="order"):
    @starts
    def placed(self, placed: Placed3) -> None: ...


class OldOrder(ProcessManager, name="order", key="order"):
    @starts
    def placed(self, placed: Placed3) -> None: ...

    @ends
    def again(self, event: Opened | Placed2) -> None: ...


class Watch(ProcessManager, name="watch", key="order", concerns=(Placed1,)):
    @on(missing="start")
    def opened(self, opened: Opened) -> None: ...


def test_a_handler_of_a_type_that_is_lifted_is_refused_with_its_name() -> None:
    with pytest.raises(DefinitionError, match=r"OldOrder\.again is concerned by Placed2, .* handle Placed3"):
        build_registry([OldOrder], [], lifts=[one_to_two, two_to_three])


def test_a_process_that_is_concerned_by_a_type_that_is_lifted_is_refused() -> None:
    with pytest.raises(DefinitionError, match="Watch is concerned by Placed1"):
        build_registry([Watch], [], lifts=[one_to_two])


def test_a_lift_to_what_nobody_takes_is_refused() -> None:
    with pytest.raises(WiringError, match=r"one_to_two leads to Placed2, which .* name it in events="):
        build_registry([Order], [], lifts=[one_to_two])


def test_a_lift_to_a_type_that_is_named_is_enough() -> None:
    registry = build_registry([Order], [], [Placed2], [one_to_two])
    assert registry.read("test.placed", 1, '{"order": "a"}') == Placed2("a", 0)


def test_all_types_of_a_chain_are_registered() -> None:
    registry = build_registry([Order], [], lifts=[one_to_two, two_to_three])
    assert [registry.event_class("test.placed", version) for version in (1, 2, 3)] == [Placed1, Placed2, Placed3]
    assert registry.concerned.keys() == {Placed3}


FOLDING = """
from procession import Event, ProcessManager, folds, lifts, starts

RATE = 1

class Placed1(Event, name="test.placed"):
    order: str

class Placed2(Event, name="test.placed", version=2):
    order: str
    cents: int

class Other1(Event, name="test.other"):
    order: str

class Other2(Event, name="test.other", version=2):
    order: str

def rate():
    return RATE

@lifts
def lift(old: Placed1) -> Placed2:
    return Placed2(old.order, rate())

@lifts
def other(old: Other1) -> Other2:
    return Other2(old.order)

class Order(ProcessManager, name="order", key="order"):
    cents: int = 0

    @folds
    def add(self, placed: Placed2) -> "Order":
        return self.evolve(cents=self.cents + placed.cents)

    @starts
    def start(self, event: Placed2 | Other2) -> None: ...
"""


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("Placed2(old.order, rate())", "Placed2(old.order, 2)", False),
        ("RATE = 1", "RATE = 2", False),
        ("return Other2(old.order)", "return Other2(old.order + '')", True),
        ("RATE = 1", "RATE = 1  # and a comment\n", True),
    ],
)
def test_a_lift_to_what_is_folded_belongs_to_the_fingerprint_of_the_process(
    before: str, after: str, same: bool
) -> None:
    """Rule 12."""
    assert before in FOLDING
    assert (fingerprint_of(FOLDING) == fingerprint_of(FOLDING.replace(before, after))) is same


def fingerprint_of(source: str) -> str:
    module = types.ModuleType("lifted_orders")
    sys.modules["lifted_orders"] = module
    try:
        exec(compile(source, "lifted_orders.py", "exec"), module.__dict__)
        names = module.__dict__
        return fingerprint(compile_definition(names["Order"]), Chains([names["lift"], names["other"]]))
    finally:
        del sys.modules["lifted_orders"]
