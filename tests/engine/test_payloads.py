"""What is large and fits is told once for each type, and counted: events from outside and within, and commands."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from procession import (
    Aggregate,
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    Outside,
    ProcessManager,
    Runtime,
    Settings,
    after,
    applies,
    decides,
    on,
    open_runtime,
    record,
    starts,
)
from procession.errors import NotAccepted, TooLarge
from procession.journal.memory import MemoryJournal
from procession.settings import IntakeSettings
from procession.testing.faults import FaultyJournal

WARN, LIMIT = 2_000, 4_000


class Sent(Event, name="weighty.sent"):
    key: str
    asks: str
    """The effect that follows, with much data."""
    text: str = ""


class Answered(Event, name="weighty.answered"):
    key: str
    text: str


class Noted(Event, name="weighty.noted"):
    key: str
    text: str


class Due(Event, name="weighty.due"):
    key: str
    text: str


class Work(Command, name="weighty.work"):
    key: str
    text: str


class Put(Command, name="weighty.put"):
    key: str
    text: str
    twice: bool = False


class Kept(Event, name="weighty.kept"):
    key: str
    text: str


class Parcel(ProcessManager, name="weighty", key="key"):
    @starts
    def sent(self, sent: Sent) -> Effects:
        if sent.asks == "command":
            yield Work(sent.key, MUCH)
        elif sent.asks == "answer":
            yield Work(sent.key, "")
        elif sent.asks == "deadline":
            yield after(timedelta(milliseconds=1), Due(sent.key, MUCH))
        elif sent.asks == "fact":
            yield record(Noted(sent.key, MUCH))
        elif sent.asks == "decision":
            yield Put(sent.key, "", twice=True)

    @on
    def answered(self, answered: Answered) -> None: ...

    @on
    def noted(self, noted: Noted) -> None: ...

    @on
    def due(self, due: Due) -> None: ...


class Scale(Gateway, name="scale"):
    async def work(self, work: Work, attempt: Attempt) -> Answered:
        return Answered(work.key, "" if work.text else MUCH)


class Chest(Aggregate, name="weighty_chest", key="key"):
    @applies
    def kept(self, kept: Kept) -> Chest:
        return self

    @decides
    def put(self, put: Put) -> Kept:
        return Kept(put.key, MUCH if put.twice else "")


MUCH = "x" * (WARN + 1)


@asynccontextmanager
async def opened(journal: MemoryJournal | Path, **intake: int) -> AsyncIterator[Runtime]:
    limits = IntakeSettings(**{"payload_bytes_max": LIMIT, "payload_bytes_warn": WARN, **intake})
    async with open_runtime(
        journal, processes=[Parcel], gateways=[Scale()], aggregates=[Chest], settings=Settings(intake=limits)
    ) as runtime:
        yield runtime


async def large(runtime: Runtime) -> dict[str, float]:
    """By type, as they are exported."""
    (family,) = [
        one for one in await runtime.metrics() if one.metric.in_prometheus == "procession_payloads_large_total"
    ]
    return {sample.values[0]: float(sample.stands) for sample in family.samples if not hasattr(sample.stands, "count")}


def sent(key: str, size: int) -> Sent:
    return Sent(key, "", "x" * (size - len(f'{{"key":"{key}","asks":"","text":""}}')))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "procession.payloads"]


@pytest.mark.parametrize(("size", "number"), [(WARN - 1, 0), (WARN, 0), (WARN + 1, 1)])
async def test_the_limit_itself_is_not_large_and_one_byte_more_is(
    size: int, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(sent("k", size))
        assert sum((await large(runtime)).values()) == len(told(caplog)) == number


async def test_a_flood_of_them_is_one_line_and_a_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path / "a.db") as runtime:
        await runtime.publish([sent(f"k{number}", 3_000) for number in range(200)])
        await runtime.send(Put("a", MUCH))
        await runtime.drain()
        assert await large(runtime) == {"weighty.sent": 200, "weighty.put": 1}
    assert told(caplog) == [
        f"{name} has {size} bytes of data, more than 2000 (intake.payload_bytes_warn; 4000 are taken): keep what is"
        " large elsewhere and name it in the message; others of its type are counted and not told"
        for name, size in (("weighty.sent", 3_000), ("weighty.put", 2_036))
    ]
    assert {record.levelno for record in caplog.records if record.name == "procession.payloads"} == {logging.WARNING}


@pytest.mark.parametrize(
    ("asks", "name"),
    [
        ("command", "weighty.work"),
        ("answer", "weighty.answered"),
        ("deadline", "weighty.due"),
        ("fact", "weighty.noted"),
        ("decision", "weighty.kept"),
    ],
)
async def test_what_comes_from_within_is_told_too(asks: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Sent("k", asks))
        await runtime.drain()
        assert await large(runtime) == {name: 1}
    assert [line.split(" ")[0] for line in told(caplog)] == [name]


async def test_what_is_refused_or_was_here_before_is_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(TooLarge):
            await runtime.publish(sent("k", LIMIT + 1))
        for _ in range(2):
            await runtime.publish([Outside(sent("k", WARN + 1), id="1", source="shop")])
        assert await large(runtime) == {"weighty.sent": 1}
    assert len(told(caplog)) == 1


async def test_a_limit_below_the_warning_is_the_limit() -> None:
    async with opened(MemoryJournal(), payload_bytes_max=1_024) as runtime:
        with pytest.raises(TooLarge):
            await runtime.publish(sent("k", 1_025))
        await runtime.publish(sent("k", 1_024))
        await runtime.publish(Sent("within", "fact"))
        await runtime.drain()
        assert (await runtime.flow(Parcel, "within").summary()).status == "quarantined"
        assert await large(runtime) == {}


async def test_a_failed_commit_tells_nothing_twice(caplog: pytest.LogCaptureFixture) -> None:
    """What is told belongs to the process, not to a life of the engine."""
    async with opened(journal := FaultyJournal()) as runtime:
        await runtime.publish(sent("a", WARN + 1))
        await runtime.drain()
        journal.count_anew({1: "fail"})
        with contextlib.suppress(NotAccepted):
            await runtime.publish(sent("b", WARN + 1))
        await runtime.drain()
        await runtime.publish(sent("c", WARN + 1))
        assert (await large(runtime))["weighty.sent"] == 3
        assert runtime.counters()["procession_commits_failed"] == 1
    assert len(told(caplog)) == 1
