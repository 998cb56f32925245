"""A runtime that archives while it works: what its users see stays the same."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest
import trio

from procession import Event, ProcessManager, Recorded, Runtime, ends, on, open_runtime, starts
from procession.errors import ActRefused, IdReused, WiringError
from procession.journal.memory import MemoryJournal

AT_ONCE = timedelta(0)
BY, WHY = "ann", "the disk is small"


class Begun(Event, name="trip.begun"):
    trip: str


class Stopped(Event, name="trip.stopped"):
    trip: str
    place: str


class Ended(Event, name="trip.ended"):
    trip: str


class Trip(ProcessManager, name="trip", key="trip"):
    @starts
    def begin(self, begun: Begun) -> None: ...

    @on
    def stop(self, stopped: Stopped) -> None: ...

    @ends(outcome="home")
    def end(self, ended: Ended) -> None: ...


class Strict(Trip, name="trip", key="trip"):
    """As it is, but a stop after the end is not to be overlooked."""

    @on(late="quarantine")
    def stop(self, stopped: Stopped) -> None: ...


class Diary(ProcessManager, name="diary", key="trip"):
    @starts
    def begin(self, begun: Begun) -> None: ...


async def travelled(runtime: Runtime, *keys: str) -> None:
    for key in keys:
        await runtime.publish(Begun(key), id=f"{key}/1", source="test")
        await runtime.publish(Stopped(key, "hub"), id=f"{key}/2", source="test")
        await runtime.publish(Ended(key), id=f"{key}/3", source="test")
    await runtime.drain()


async def followed(runtime: Runtime, until: int) -> list[Recorded]:
    found: list[Recorded] = []
    async with aclosing(runtime.follow()) as events:
        async for event in events:
            found.append(event)
            if event.position == until:
                break
    return found


async def test_a_runtime_archives_while_it_works(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Trip]) as runtime:
        await travelled(runtime, *(str(number) for number in range(100)))
        await runtime.publish(Begun("open"), id="open/1", source="test")
        before = (await runtime.events(limit=2000), await runtime.flows(), await runtime.journal.counts())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(travelled, runtime, *(str(number) for number in range(100, 110)))
            done = await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)

        assert done.flows >= 100
        assert (await runtime.events(limit=2000))[:301] == before[0]
        assert (await followed(runtime, 301)) == before[0]
        assert (await runtime.flows())[:101] == before[1]
        assert await runtime.flow(Trip, "7").wait_ended() == "home"
        assert (await runtime.publish(Begun("7"), id="7/1", source="test")).duplicate
        with pytest.raises(IdReused):
            await runtime.publish(Begun("8"), id="7/1", source="test")
        await runtime.publish(Ended("open"), id="open/2", source="test")
        assert await runtime.flow(Trip, "open").wait_ended() == "home"
        assert await runtime.journal.verify() == []


async def test_each_file_is_an_act_in_the_journal(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Trip]) as runtime:
        await travelled(runtime, "a", "b")
        await runtime.archive(older_than=AT_ONCE, limit=1, by=BY, why=WHY)
        (act,) = await runtime.events(types=["procession.journal_archived"])
        assert act.event.by == "ann"  # type: ignore[attr-defined]  # its type is known by its name
        assert act.event.why == "the disk is small"  # type: ignore[attr-defined]  # as above
        assert (act.event.archive, act.event.flows, act.event.events) == (1, 1, 3)  # type: ignore[attr-defined]


async def test_flows_that_ended_later_stay(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Trip]) as runtime:
        await travelled(runtime, "a")
        assert (await runtime.archive(older_than=timedelta(hours=1), by=BY, why=WHY)).flows == 0
        assert (await runtime.archive(older_than=AT_ONCE, process="other", by=BY, why=WHY)).flows == 0
        assert (await runtime.archive(older_than=AT_ONCE, process=Trip, by=BY, why=WHY)).flows == 1


async def test_an_archived_flow_can_be_set_aside_by_a_late_event_and_released(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Strict]) as runtime:
        await travelled(runtime, "a")
        await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)
    async with open_runtime(tmp_path / "a.db", processes=[Strict]) as runtime:
        await runtime.publish(Stopped("a", "late"))
        await runtime.drain()
        assert (await runtime.flow(Strict, "a").summary()).status == "quarantined"
        await runtime.flow(Strict, "a").skip(by="ann", why="it is over")
        assert (await runtime.flow(Strict, "a").summary()).status == "ended"
        assert [row.reason for row in await runtime.journal.unhandled("trip", "a", 0, 9)] == []
        assert await runtime.journal.verify() == []
        before = await runtime.journal.steps(1, 0, 99)
        assert (await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)).flows == 1
        assert await runtime.journal.steps(1, 0, 99) == before
        assert await runtime.journal.verify() == []


async def test_a_late_event_of_an_archived_flow_is_late(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Trip]) as runtime:
        await travelled(runtime, "a")
        await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)
    async with open_runtime(tmp_path / "a.db", processes=[Trip]) as runtime:
        await runtime.publish([Stopped("a", "late"), Begun("a")])
        await runtime.drain()
        reasons = [row.reason for row in await runtime.journal.unhandled("trip", "a", 0, 9)]
        assert reasons == ["late", "already_started"]
        assert await runtime.journal.verify() == []


async def test_a_process_can_not_be_concerned_by_what_was_archived(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Trip]) as runtime:
        await travelled(runtime, "a")
        await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)
        await travelled(runtime, "b")
    with pytest.raises(WiringError, match="up to 3 were archived") as refused:
        async with open_runtime(tmp_path / "a.db", processes=[Trip, Diary], since={"diary": 0}):
            pass
    assert 'since={"diary": 3}' in refused.value.cure
    async with open_runtime(tmp_path / "a.db", processes=[Trip, Diary], since={"diary": 3}) as runtime:
        await runtime.drain()
        assert [found.key for found in await runtime.flows(Diary)] == ["b"]


async def test_a_journal_in_memory_has_no_archive() -> None:
    async with open_runtime(MemoryJournal(), processes=[Trip]) as runtime:
        with pytest.raises(ActRefused, match="in memory"):
            await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)


async def test_a_journal_is_archived_once_at_a_time(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Trip]) as runtime:
        await travelled(runtime, "a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_archive, runtime)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ActRefused, match="already"):
                await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)
        assert (await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)).flows == 0


async def _archive(runtime: Runtime) -> None:
    await runtime.archive(older_than=AT_ONCE, by=BY, why=WHY)
