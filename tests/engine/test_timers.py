"""Rules 20 and 21: timers, on virtual time."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest
import trio

from procession import Effects, Event, ProcessManager, after, ends, open_runtime, starts
from procession.engine.clock import TrioClock
from procession.journal.memory import MemoryJournal
from procession.testing.faults import FaultyJournal
from tests.engine.tally import (
    TINY,
    Armed,
    Closed,
    Counted,
    Desk,
    Disarmed,
    Opened,
    Tally,
    opened,
    reasons,
    settings,
    story,
)


async def test_a_deadline_fires_when_its_time_has_come(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 30)])
        await trio.sleep(29.9)
        assert await story(runtime, "a") == ["opened", "armed tea"]
        await trio.sleep(0.2)
        assert await story(runtime, "a") == ["opened", "armed tea", "rang tea"]


async def test_arming_a_timer_again_replaces_it(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 30), Armed("a", "tea", 60)])
        await trio.sleep(45)
        assert runtime.counters()["procession_deadlines_fired"] == 0
        await trio.sleep(20)
        assert await story(runtime, "a") == ["opened", "armed tea", "armed tea", "rang tea"]


async def test_cancelling_what_is_not_armed_does_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Disarmed("a", "tea"), Counted("a", 1)])
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "disarmed tea", "counted 1"]


async def test_a_cancelled_timer_never_fires(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 30), Armed("a", "egg", 4)])
        await runtime.publish(Disarmed("a", "tea"))
        await trio.sleep(100)
        assert await story(runtime, "a") == ["opened", "armed tea", "armed egg", "disarmed tea", "rang egg"]


async def test_the_end_of_a_flow_cancels_its_timers(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 30), Closed("a")])
        await trio.sleep(100)
        assert (await runtime.journal.counts()).timers == 0
        assert await reasons(runtime) == []


async def test_a_deadline_that_fired_is_withdrawn_by_cancel(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 0), Disarmed("a", "tea"), Counted("a", 1)])
        await runtime.drain()
        await trio.sleep(1)
        assert "rang tea" not in await story(runtime, "a")


async def test_a_deadline_that_is_stored_and_loaded_is_withdrawn_once(autojump_clock: trio.testing.MockClock) -> None:
    """The mailbox holds the fired deadline, and there is more in the journal."""
    journal = FaultyJournal()
    async with opened(journal, settings=settings(flows={"mailbox_max": 3})) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 10)])
        journal.commit_s = 3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.publish, [Counted("a", number) for number in range(3)])
            await trio.sleep(9.5)
            for number in range(3, 9):
                nursery.start_soon(runtime.publish, Counted("a", number))
                await trio.sleep(0.2)
            nursery.start_soon(runtime.publish, [Disarmed("a", "tea"), *(Counted("a", n) for n in range(9, 12))])
        await runtime.drain()
        told = await story(runtime, "a")
        assert [step for step in told if step.startswith("counted")] == [f"counted {number}" for number in range(12)]
        assert told.count("rang tea") + (await reasons(runtime)).count("withdrawn rang tea") == 1


async def test_a_deadline_whose_turn_arms_it_again_is_handled_and_not_withdrawn(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is read from the journal, and there is more there while its turn runs."""
    journal = FaultyJournal()
    async with opened(journal, settings=settings(flows={"mailbox_max": 1})) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "every 5", 5)])
        journal.commit_s = 1
        async with trio.open_nursery() as nursery:
            for number in range(160):
                nursery.start_soon(runtime.publish, Counted("a", number))
                await trio.sleep(0.25)
        journal.commit_s = 0
        await runtime.publish(Closed("a"))
        await runtime.drain()
        told, fired = await story(runtime, "a"), runtime.counters()["procession_deadlines_fired"]
        withdrawn = [reason for reason in await reasons(runtime) if reason.startswith("withdrawn")]
        assert told.count("rang every 5") == fired > 0
        assert withdrawn == []


async def test_timers_beyond_the_bound_fire_in_order(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), settings=settings(timers={"loaded_max": 2})) as runtime:
        await runtime.publish([Opened("a"), *(Armed("a", str(second), second) for second in (5, 1, 4, 2, 3))])
        await trio.sleep(10)
        assert (await story(runtime, "a"))[6:] == [f"rang {second}" for second in range(1, 6)]


async def test_one_timer_in_memory_is_enough(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), settings=TINY) as runtime:
        await runtime.publish(Opened("a"))
        for second in (5, 1, 4, 2, 3):
            await runtime.publish(Armed("a", str(second), second))
        await trio.sleep(10)
        assert (await story(runtime, "a"))[6:] == [f"rang {second}" for second in range(1, 6)]


async def test_timers_in_the_journal_fire_when_all_that_were_loaded_were_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened(MemoryJournal(), settings=settings(timers={"loaded_max": 4})) as runtime:
        await runtime.publish(Opened("a"))
        for second in range(10, 18):
            await runtime.publish(Armed("a", str(second), second))
        for second in range(10, 14):
            await runtime.publish(Disarmed("a", str(second)))
        await trio.sleep(30)
        assert (await story(runtime, "a"))[-4:] == [f"rang {second}" for second in range(14, 18)]


@pytest.mark.parametrize("at_s", [0.9, 1.05, 1.1, 1.2, 1.25, 1.35, 1.4, 1.6])
async def test_a_timer_that_is_armed_while_others_are_read_on_fires(
    autojump_clock: trio.testing.MockClock, at_s: float
) -> None:
    """At one second the only loaded timer fires, and the others are read on once that is durable."""
    journal = FaultyJournal()
    async with opened(journal, settings=settings(timers={"loaded_max": 2})) as runtime:
        await runtime.publish([Opened("a"), *(Armed("a", f"early {n}", 1 + n / 10) for n in range(3))])
        journal.commit_s = 0.3
        await trio.sleep(at_s)
        await runtime.publish(Armed("a", "late", 40))
        await trio.sleep(60)
        assert "rang late" in await story(runtime, "a")


async def test_a_timer_armed_while_others_are_read_on_does_not_outlive_its_flow(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal()
    async with opened(journal, settings=settings(timers={"loaded_max": 2})) as runtime:
        await runtime.publish([Opened("a"), Opened("b"), *(Armed("a", f"early {n}", 1 + n / 10) for n in range(3))])
        journal.read_s = 1
        await trio.sleep(1.1)
        await runtime.publish([Armed("b", "late", 4), Closed("b")])
        await trio.sleep(60)
        assert await reasons(runtime) == []


async def test_overdue_deadlines_come_before_anything_newer(autojump_clock: trio.testing.MockClock) -> None:
    journal, clock = MemoryJournal(), TrioClock()
    async with opened(journal, clock=clock) as runtime:
        await runtime.publish([Opened("a"), *(Armed("a", f"{second}", second) for second in (50, 30, 40))])
    await trio.sleep(100)
    async with opened(journal.reopened(), clock=clock) as runtime:
        await runtime.publish(Counted("a", 1))
        await runtime.drain()
        assert (await story(runtime, "a"))[4:] == ["rang 30", "rang 40", "rang 50", "counted 1"]


async def test_the_wall_clock_is_looked_at_every_second(autojump_clock: trio.testing.MockClock) -> None:
    """It may jump against the clock that waits are measured by."""
    clock = JumpingClock()
    async with open_runtime(MemoryJournal(), processes=[Tally], gateways=[Desk()], clock=clock) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 3600)])
        clock.now += 3_600_000_000
        await trio.sleep(1.1)
        assert await story(runtime, "a") == ["opened", "armed tea", "rang tea"]


async def test_a_clock_that_goes_back_fires_nothing_twice(autojump_clock: trio.testing.MockClock) -> None:
    clock = JumpingClock()
    async with open_runtime(MemoryJournal(), processes=[Tally], gateways=[Desk()], clock=clock) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 10)])
        clock.now += 20_000_000
        await trio.sleep(1.1)
        clock.now -= 20_000_000
        await trio.sleep(1.1)
        clock.now += 20_000_000
        await trio.sleep(1.1)
        assert (await story(runtime, "a")).count("rang tea") == 1


class JumpingClock:
    """A wall clock that stands where the test puts it."""

    drifts = True

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.now


class Filled(Event, name="kettle.filled"):
    key: str
    cups: int


class Boiled(Event, name="kettle.boiled"):
    key: str
    cups: int


class StrictBoiled(Event, name="kettle.boiled"):
    """As a later version of the code has it."""

    key: str
    cups: int = attrs.field(validator=attrs.validators.le(1))


class Kettle(ProcessManager, name="kettle", key="key"):
    @starts
    def fill(self, filled: Filled) -> Effects:
        yield after(timedelta(seconds=30), Boiled(filled.key, filled.cups))

    @ends(outcome="boiled")
    def boiled(self, boiled: Boiled) -> None: ...


class StrictKettle(ProcessManager, name="kettle", key="key"):
    @starts
    def fill(self, filled: Filled) -> Effects:
        yield after(timedelta(seconds=30), StrictBoiled(filled.key, filled.cups))

    @ends(outcome="boiled")
    def boiled(self, boiled: StrictBoiled) -> None: ...


async def test_a_deadline_that_can_not_be_read_any_more_sets_its_flow_aside_and_no_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = MemoryJournal()
    async with opened(journal, processes=[Kettle]) as runtime:
        await runtime.publish([Filled("a", 9), Filled("b", 1)])
    async with opened(journal := journal.reopened(), processes=[StrictKettle]) as runtime:
        await trio.sleep(60)
        found = {flow.key: flow.status for flow in await runtime.flows(StrictKettle)}
        assert found == {"a": "quarantined", "b": "ended"}
        assert runtime.counters()["procession_actors_restarted"] == 0
    async with opened(journal.reopened(), processes=[Kettle]) as runtime:
        await runtime.flow(Kettle, "a").retry(by="ann", why="the code takes it again")
        assert await runtime.flow(Kettle, "a").wait_ended() == "boiled"
