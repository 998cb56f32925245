"""The scan of handlers beside the planted breaches: what it says, what it leaves alone, and what it costs."""

from __future__ import annotations

import argparse
import ast
import asyncio.tasks
import collections
import contextlib
import csv
import dataclasses
import email.message
import enum
import fractions
import functools
import inspect
import json
import json.decoder
import logging
import math
import pathlib
import random
import statistics
import string
import tarfile
import textwrap
import time
import typing
import unittest.mock
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FunctionType, ModuleType

import attrs
import pytest

from flows.batch_settlement import Batch
from flows.loan_application import LoanApplication
from flows.order_fulfilment import Order
from flows.user_provisioning import Provisioning
from procession import Command, Effects, Envelope, Event, History, ProcessManager, ends, folds, invariant, on, starts
from procession.laws.purity_scan import Scan, scan_function, scan_process, scan_rule
from procession.primitives.definition import compile_definition

REFERENCE_FLOWS = (Order, Batch, LoanApplication, Provisioning)


class Opened(Event, name="scan.opened"):
    key: str
    numbers: tuple[int, ...]
    tags: frozenset[str] = frozenset()
    marks: frozenset[int] = frozenset()


class Say(Command, name="scan.say"):
    key: str
    text: str


def doing(react: Callable[[Opened], object]) -> type[ProcessManager]:
    """A flow that calls a function on its event."""

    class Doing(ProcessManager, name="scan.doing", key="key"):
        @starts
        def begin(self, opened: Opened) -> Effects:
            yield Say(opened.key, str(react(opened)))

    return Doing


def found_in(process: type[ProcessManager]) -> list[str]:
    """What is found, without the place: `LAW03 Doing.begin reads the clock: time.time`."""
    return [
        f"{finding.code} {finding.subject} {finding.found}"
        for scan in scan_process(compile_definition(process))
        for finding in [impurity.finding() for impurity in scan.found]
    ]


# What is pure, whatever it looks like.


class Money(Event, name="scan.money_counted"):
    """It works out a field of its own while it is made."""

    key: str
    cents: int
    shown: str = attrs.field(init=False, default="")

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "shown", f"{self.cents / 100:.2f}")


@dataclass
class Basket:
    """A working object that lives no longer than the turn."""

    owner: str
    items: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owner = self.owner.title()

    def add(self, item: str) -> Basket:
        self.items.append(item)
        return self


def makes_an_event_that_sets_its_own_field(opened: Opened) -> object:
    return Money(opened.key, 5).shown


def works_with_an_object_of_its_own(opened: Opened) -> object:
    basket = Basket(opened.key).add("pen")
    basket.owner = "me"
    basket.items[0] = "ink"
    return basket.items


def sorts_a_list_of_a_set(opened: Opened) -> object:
    return sorted([*opened.tags]) + sorted(list(opened.tags), key=len)  # noqa: C414 - people write it


def counts_a_set(opened: Opened) -> object:
    total = 0
    for tag in list(opened.tags):
        total += len(tag)
    return total + len(opened.tags) + sum(len(tag) for tag in opened.tags) + ("a" in tuple(opened.tags))


def lists_a_set_of_numbers(opened: Opened) -> object:
    return tuple(opened.marks)


def makes_sets_of_sets(opened: Opened) -> object:
    return sorted((opened.tags | {"a"}) - {"b"} | frozenset(tag for tag in opened.tags))


def draws_from_a_seed(opened: Opened) -> object:
    drawn = random.Random(opened.key)
    return drawn.random() + drawn.randint(1, 6)


def shows_a_given_time(opened: Opened) -> object:
    return time.strftime("%Y", time.gmtime(opened.numbers[0])) + datetime.fromtimestamp(0, UTC).isoformat()


def calls_itself(opened: Opened) -> object:
    def depth(number: int) -> int:
        return 0 if number < 1 else 1 + depth(number - 1)

    return depth(3) + math.floor(1.5) + len(json.dumps(opened.key))


def catches_and_closes(opened: Opened) -> object:
    with contextlib.suppress(KeyError, OSError):
        return {"a": 1}[opened.key]
    return None


@functools.lru_cache(maxsize=8)
def _remembered(key: str) -> str:
    return key * 2


def remembers_by_cache(opened: Opened) -> object:
    return _remembered(opened.key)


def has_locals_named_like_work(opened: Opened) -> object:
    open, time, id, random = opened.numbers, 1, 2, 3  # noqa: A001 - names are only names
    return open[0] + time + id + random


def matches_on_types(opened: Opened) -> object:
    match opened:
        case Opened(key=str() as key, numbers=(first, *_)):
            return f"{key}{first!r}"
    return isinstance(opened, random.Random | contextlib.ExitStack)


def defines_a_class(opened: Opened) -> object:
    class Inner:
        count = len(opened.numbers)

        def doubled(self) -> int:
            return self.count * 2

    return Inner().doubled()


class Proxied:
    """It stands for another object, which is not there yet."""

    @property
    def __class__(self) -> type:
        raise RuntimeError("asked")

    @__class__.setter
    def __class__(self, cls: type) -> None:
        raise RuntimeError("changed")

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"asked for {name}")


PROXIED = Proxied()
MOCKED = unittest.mock.MagicMock()


def names_what_must_not_be_asked(opened: Opened) -> object:
    return PROXIED.anything, MOCKED.anything[0](*MOCKED), {"a": PROXIED}["a"]


PURE = [
    names_what_must_not_be_asked,
    makes_an_event_that_sets_its_own_field,
    works_with_an_object_of_its_own,
    sorts_a_list_of_a_set,
    counts_a_set,
    lists_a_set_of_numbers,
    makes_sets_of_sets,
    draws_from_a_seed,
    shows_a_given_time,
    calls_itself,
    catches_and_closes,
    remembers_by_cache,
    has_locals_named_like_work,
    matches_on_types,
    defines_a_class,
]


@pytest.mark.parametrize("react", PURE, ids=lambda react: react.__name__)
def test_what_is_pure_is_left_alone(react: Callable[[Opened], object]) -> None:
    assert found_in(doing(react)) == []


@pytest.mark.parametrize("process", REFERENCE_FLOWS, ids=lambda process: process.__name__)
def test_a_reference_flow_is_pure(process: type[ProcessManager]) -> None:
    assert found_in(process) == []


# What is not, and what is said of it.


@contextlib.contextmanager
def _timed() -> Iterator[float]:
    yield time.monotonic()


def enters_a_timer(opened: Opened) -> object:
    with _timed() as began:
        return began


def lists_a_set(opened: Opened) -> object:
    return tuple(opened.tags | {"a"})


def takes_the_first_of_a_set(opened: Opened) -> object:
    return next(iter(opened.tags))


def unpacks_a_set(opened: Opened) -> object:
    first, *_ = opened.tags
    return first


def asks_for_the_time_of_now(opened: Opened) -> object:
    return time.strftime("%Y")


def chooses_a_clock(opened: Opened) -> object:
    read = time.time if opened.numbers else time.monotonic
    return read()


def hides_it_in_a_class(opened: Opened) -> object:
    class Inner:
        def now(self) -> float:
            return time.time()

    return Inner().now()


def has_a_default_that_grows(opened: Opened, seen: list[str] = []) -> object:  # noqa: B006 - what is to be found
    seen.append(opened.key)
    return len(seen)


IMPURE: list[tuple[Callable[[Opened], object], str]] = [
    (enters_a_timer, "reads the clock by enters_a_timer() and _timed(): time.monotonic"),
    (lists_a_set, "depends on the order of a set by lists_a_set(): tuple(...) of it"),
    (takes_the_first_of_a_set, "depends on the order of a set by takes_the_first_of_a_set(): next(...) of it"),
    (unpacks_a_set, "depends on the order of a set by unpacks_a_set(): unpacks it"),
    (asks_for_the_time_of_now, "reads the clock by asks_for_the_time_of_now(): time.strftime without a time"),
    (hides_it_in_a_class, "reads the clock by hides_it_in_a_class(): time.time"),
    (has_a_default_that_grows, "changes what outlives the turn by has_a_default_that_grows(): .append()"),
]


@pytest.mark.parametrize(("react", "found"), IMPURE, ids=lambda value: getattr(value, "__name__", ""))
def test_an_impurity_is_said_with_the_way_to_it(react: Callable[[Opened], object], found: str) -> None:
    assert found_in(doing(react)) == [f"LAW03 Doing.begin {found}"]


def test_both_sides_of_a_choice_are_seen() -> None:
    assert [line.rpartition(": ")[2] for line in found_in(doing(chooses_a_clock))] == ["time.time", "time.monotonic"]


def test_a_finding_stands_where_the_impure_line_is() -> None:
    (impurity,) = [each for scan in scan_process(compile_definition(doing(enters_a_timer))) for each in scan.found]
    assert (impurity.path, impurity.line) == (__file__, _timed.__wrapped__.__code__.co_firstlineno + 2)  # type: ignore[attr-defined]  # by wraps


class Base(ProcessManager, name="scan.base", key="key"):
    def stamp(self) -> str:
        return str(time.time())


class Derived(Base, name="scan.derived", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield Say(opened.key, super().stamp())


class Enveloped(ProcessManager, name="scan.enveloped", key="key"):
    seen: str = attrs.field(factory=lambda: str(time.time()))

    @starts
    def begin(self, opened: Opened, envelope: Envelope) -> None: ...

    @folds
    def was_opened(self, opened: Opened) -> Enveloped:
        return self.evolve(seen=opened.key)

    @ends
    def done(self, money: Money) -> None: ...


def test_what_a_base_class_does_is_seen_through_super() -> None:
    assert found_in(Derived) == ["LAW03 Derived.begin reads the clock by Base.stamp(): time.time"]


def test_the_state_before_the_first_event_must_be_the_same_in_each_run() -> None:
    assert found_in(Enveloped) == ["LAW03 Enveloped reads the clock: time.time"]


@invariant(Derived)
def is_quick(history: History) -> bool:
    return len(history.turns) < time.time()


def test_an_invariant_must_be_pure() -> None:
    (impurity,) = scan_rule(is_quick).found
    assert impurity.finding().found == "reads the clock: time.time"


def lift_with_a_clock(old: Opened) -> Money:
    return Money(old.key, int(time.time()))


def lift(old: Opened) -> Money:
    return Money(old.key, old.numbers[0])


def test_any_function_that_must_be_pure_can_be_scanned() -> None:
    assert [each.what for each in scan_function(lift_with_a_clock, "lift", Opened).found] == ["time.time"]
    assert scan_function(lift, "lift", Opened).found == []


class LoopsForEver(ProcessManager, name="scan.loops", key="key"):
    @starts
    def begin(self, opened: Opened) -> Effects:
        yield Say(opened.key, first_of_two(opened))

    @on
    def more(self, money: Money) -> None:
        self._again(money)

    def _again(self, *events: object) -> None:
        self._again(*events, self)


def first_of_two(opened: Opened) -> str:
    return second_of_two(opened)


def second_of_two(opened: Opened) -> str:
    return first_of_two(opened) if opened.numbers else opened.key


def test_functions_that_call_each_other_come_to_an_end() -> None:
    assert found_in(LoopsForEver) == []


def test_the_reference_flows_are_scanned_in_a_small_part_of_a_start() -> None:
    definitions = [compile_definition(process) for process in REFERENCE_FLOWS]
    began = time.process_time()
    assert [scan.found for definition in definitions for scan in scan_process(definition) if scan.found] == []
    assert time.process_time() - began < 0.2  # measured: 0.011 s on a machine of its own


LIBRARIES = (
    argparse,
    ast,
    asyncio.tasks,
    collections,
    contextlib,
    csv,
    dataclasses,
    email.message,
    enum,
    fractions,
    functools,
    inspect,
    json.decoder,
    logging,
    pathlib,
    random,
    statistics,
    string,
    tarfile,
    textwrap,
    typing,
    unittest.mock,
)


@pytest.mark.parametrize("module", LIBRARIES, ids=lambda module: module.__name__)
def test_any_code_can_be_read(module: ModuleType) -> None:
    things = [*vars(module).values(), *(each for cls in classes_of(module) for each in vars(cls).values())]
    scan = Scan("nobody", module.__name__)
    for function in [thing for thing in things if isinstance(thing, FunctionType)]:
        scan.follow(function, {})
    assert len(scan.entered) > 3


def classes_of(module: ModuleType) -> list[type]:
    return [thing for thing in vars(module).values() if isinstance(thing, type)]
