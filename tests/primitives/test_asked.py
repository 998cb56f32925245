"""What handlers ask for, read from their code without running it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

import procession
from flows import batch_settlement, loan_application, order_fulfilment, user_provisioning
from procession import Command, Effects, Event, ProcessManager, Settings, after, at, cancel, end, on, record, starts
from procession.primitives.asked import Asked, asked_in_code
from procession.primitives.definition import commands_named
from procession.primitives.effects import Effect


class Begun(Event, name="asked.begun"):
    key: str


class Other(Event, name="asked.other"):
    key: str


class Overdue(Event, name="asked.overdue"):
    key: str


class Noted(Event, name="asked.noted"):
    key: str


class Do(Command, name="asked.do"):
    key: str


class Undo(Command, name="asked.undo"):
    key: str


HOUR = timedelta(hours=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def undone(key: str) -> Undo:
    return Undo(key)


class Asking(ProcessManager, name="asking", key="key"):
    @starts
    def plainly(self, begun: Begun) -> Effects:
        yield Do(begun.key)
        yield after(HOUR, Overdue(begun.key))

    @on
    def by_helpers(self, other: Other) -> Effects:
        yield undone(other.key)
        yield procession.after(self.delay(), self.deadline(other.key))
        yield from (record(Noted(other.key)) for _ in range(2))

    @on
    def with_looks(self, event: Overdue | Noted) -> Effects:
        if isinstance(event, Noted):
            yield cancel(Overdue)
        yield end("done" if isinstance(event, Overdue) else "noted")

    def deadline(self, key: str) -> Overdue:
        return Overdue(key)

    @property
    def unused(self) -> Do:
        return Do("never")

    @staticmethod
    def delay() -> timedelta:
        return HOUR


def test_each_verb_is_found_with_its_handler() -> None:
    assert asked_in_code(Asking) == (
        Asked("plainly", "sends", Do),
        Asked("plainly", "arms", Overdue),
        Asked("by_helpers", "sends", Undo),
        Asked("by_helpers", "arms", Overdue),
        Asked("by_helpers", "records", Noted),
        Asked("with_looks", "cancels", Overdue),
    )


def test_both_ways_of_a_condition_count() -> None:
    class Either(ProcessManager, name="asking", key="key"):
        @starts
        def begin(self, begun: Begun) -> Effects:
            yield at(NOON, Overdue(begun.key) if begun.key else Noted(begun.key))

        @on
        def come(self, event: Overdue | Noted) -> None: ...

    found = {(asked.verb, asked.cls) for asked in asked_in_code(Either)}
    assert found >= {("arms", Overdue), ("arms", Noted)}


def test_what_a_handler_only_looks_at_after_a_deadline_is_not_armed() -> None:
    class Looking(ProcessManager, name="asking", key="key"):
        @starts
        def begin(self, event: Begun | Noted) -> Effects:
            yield after(HOUR, Overdue(event.key))
            if isinstance(event, Noted):
                yield Do(event.key)

    assert asked_in_code(Looking) == (Asked("begin", "arms", Overdue), Asked("begin", "sends", Do))


def test_classes_of_the_function_around_are_found() -> None:
    class Local(Command, name="asked.local"):
        key: str

    def closing(key: str) -> Iterator[Effect]:
        yield Local(key)

    class Inside(ProcessManager, name="asking", key="key"):
        @starts
        def begin(self, begun: Begun) -> Effects:
            yield from closing(begun.key)

    assert asked_in_code(Inside) == (Asked("begin", "sends", Local),)


def test_helpers_that_call_each_other_end() -> None:
    class Turning(ProcessManager, name="asking", key="key"):
        @starts
        def begin(self, begun: Begun) -> Effects:
            yield self.one(begun.key)

        def one(self, key: str) -> Do:
            return self.two(key)

        def two(self, key: str) -> Do:
            return self.one(key) if key else Do(key)

    assert asked_in_code(Turning) == (Asked("begin", "sends", Do),)


@pytest.mark.parametrize(
    "module",
    [order_fulfilment, user_provisioning, batch_settlement, loan_application],
    ids=lambda module: module.__name__,
)
def test_every_command_of_the_reference_flows_is_found(module: ModuleType) -> None:
    (process,) = module.wire_testing(Settings()).processes
    sent = {asked.cls for asked in asked_in_code(process) if asked.verb == "sends"}
    assert sent == set(commands_named(process))
