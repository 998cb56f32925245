"""Why not: what a flow waits for, or how it ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from procession import Attempt, Effects, Gateway, ProcessManager, WhyNot, on, open_runtime, starts
from procession.engine.clock import TrioClock
from procession.errors import NotFound
from procession.journal.memory import MemoryJournal
from procession.reading.waits import read_surroundings, read_why_not
from procession.reading.why_not import AwaitedDeadline, Surroundings, WaitingEvent
from procession.settings import ProcessesSettings, Settings
from tests.engine.tally import Broken, BrokenTally, Counted, Opened, Tally
from tests.engine.tally import opened as tally_opened
from tests.reading.repair import (
    SETTINGS,
    FetchPart,
    PartCounted,
    PartFetched,
    Repair,
    RepairAsked,
    RepairClosed,
    Store,
    journal_of,
    opened,
    registry_of,
)


async def asked(journal: MemoryJournal, key: str, around: Surroundings | None = None) -> WhyNot:
    now_us = TrioClock().now_us()
    return await read_why_not(journal, "repair", key, now_us, around or Surroundings(), registry_of())


async def test_an_answer_that_fails_is_told_with_its_attempts_and_its_next_try(autojump_clock: MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(RepairAsked("b", ("rare",)))
        await trio.sleep(2)
        found = await runtime.flow(Repair, "b").why_not()
    (command,) = found.commands
    assert (command.type, command.gateway, command.answers) == ("store.fetch", "store", ("repair.part_fetched",))
    assert [failure.attempt for failure in command.failures] == [1, 2, 3][: command.attempts]
    assert command.attempts == 3
    assert command.failures[0].found.startswith("LookupError: not found yet")
    assert timedelta(0) < command.next_try_at - found.asked_at <= timedelta(seconds=2)
    assert (command.under_way, command.gateway_state) == (False, "")
    assert f"3 attempts failed; attempt 4 may begin at {command.next_try_at:%Y-%m-%d}" in str(found)


async def test_a_call_that_runs_is_under_way(autojump_clock: MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(RepairAsked("b", ("on its way",)))
        await trio.sleep(2)
        found = await runtime.flow(Repair, "b").why_not()
    assert found.commands[0].under_way
    assert "attempt 1 is under way" in str(found)


async def test_deadlines_are_told_with_the_time_they_are_due(autojump_clock: MockClock) -> None:
    found = await asked(await journal_of(RepairAsked("b", ("rare",))), "b")
    (deadline,) = found.deadlines
    assert (deadline.name, deadline.type) == ("repair.overdue", "repair.overdue")
    assert isinstance(deadline, AwaitedDeadline)
    assert timedelta(minutes=59) < deadline.due_at - found.asked_at <= timedelta(hours=1)
    assert "waits until 2023-11-14 23:13:20.000Z for repair.overdue" in str(found)


async def test_outside_events_that_would_be_handled_are_told(autojump_clock: MockClock) -> None:
    found = await asked(await journal_of(RepairAsked("b", ("rare",))), "b")
    assert found.handles == ("repair.closed",)
    assert "from outside it would handle repair.closed" in str(found)


async def test_without_the_classes_the_rest_is_told(autojump_clock: MockClock) -> None:
    journal = await journal_of(RepairAsked("b", ("rare",)))
    found = await read_why_not(journal, "repair", "b", 0, Surroundings())
    assert (found.handles, found.commands[0].answers) == (None, ())
    assert "would handle" not in str(found)


async def test_a_flow_in_quarantine_says_at_what_and_why(autojump_clock: MockClock) -> None:
    found = await asked(await journal_of(RepairAsked("b", ("sold out",))), "b")
    assert found.status == "quarantined"
    assert "there is none" in found.quarantined
    assert found.head is not None
    assert (found.head.type, found.events_waiting) == ("procession.command_given_up", 1)
    assert "mend it, then retry, skip or release" in str(found)


async def test_events_that_wait_are_counted_and_the_first_are_shown(autojump_clock: MockClock) -> None:
    journal = MemoryJournal()
    async with tally_opened(journal, processes=[BrokenTally]) as runtime:
        await runtime.publish([Opened("a"), Broken("a", 0), *(Counted("a", n) for n in range(30))])
        await runtime.drain()
        found = await runtime.flow(Tally, "a").why_not()
    assert found.head == WaitingEvent("tally.broken", 2, "quarantined")
    assert (len(found.events), found.events_waiting) == (20, 31)
    assert "and 11 more events" in str(found)


async def test_events_before_the_start_wait_for_it(autojump_clock: MockClock) -> None:
    async with tally_opened(MemoryJournal()) as runtime:
        await runtime.publish(Counted("a", 1))
        found = await runtime.flow(Tally, "a").why_not()
    assert (found.status, found.handles) == ("unstarted", ("tally.opened",))
    assert found.events == (WaitingEvent("tally.counted", 1, "waiting"),)


async def test_an_end_is_told_with_the_turn_that_made_it(autojump_clock: MockClock) -> None:
    found = await asked(await journal_of(RepairAsked("b", ("rare",)), RepairClosed("b")), "b")
    assert found.ended is not None
    assert (found.ended.outcome, found.ended.handler, found.ended.event) == ("closed", "close", "repair.closed")
    assert (found.ended.version, found.ended.position, found.handles) == (2, 2, ())
    assert "ended as closed at" in str(found)
    assert "by close, step 2, on repair.closed at 2" in str(found)


async def test_a_cancelled_flow_says_who_and_why(autojump_clock: MockClock) -> None:
    journal = await journal_of(RepairAsked("b", ("rare",)))
    async with opened(journal) as runtime:
        await runtime.flow(Repair, "b").cancel(by="ann", why="sold the bike")
        found = await runtime.flow(Repair, "b").why_not()
    assert found.ended is not None
    assert (found.ended.outcome, found.ended.asked_by) == ("cancelled", "ann: sold the bike")


class Waiting(ProcessManager, name="repair", key="bike"):
    """It asks for nothing."""

    @starts
    def begin(self, asked: RepairAsked) -> None: ...

    @on
    def fetched(self, fetched: PartFetched | PartCounted) -> None: ...


async def test_a_flow_that_waits_for_nothing_of_its_own_says_so(autojump_clock: MockClock) -> None:
    async with opened(MemoryJournal(), Waiting) as runtime:
        await runtime.publish(RepairAsked("b", ()))
        told = str(await runtime.flow("repair", "b").why_not())
    assert "only an event from outside moves it" in told
    assert "from outside it would handle repair.part_counted" in told


async def test_a_paused_gateway_is_told_by_the_runtime_and_by_the_journal(autojump_clock: MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.pause_gateway("store", by="ann", why="stocktaking")
        await runtime.publish(RepairAsked("b", ("bell",)))
        inside = await runtime.flow(Repair, "b").why_not()
        beside = await asked(journal, "b", await read_surroundings(journal, "repair"))
        await runtime.resume_gateway("store", by="ann", why="counted")
        resumed = await read_surroundings(journal, "repair")
    assert inside.commands[0].gateway_state == "paused"
    assert beside.commands[0].gateway_state == "paused by ann: stocktaking"
    assert "store is paused by ann: stocktaking" in str(beside)
    assert resumed.gateways == {}


class Fetching(ProcessManager, name="repair", key="bike"):
    @starts
    def begin(self, asked: RepairAsked) -> Effects:
        yield FetchPart(asked.bike, asked.parts[0])


async def test_a_breaker_that_holds_a_gateway_back_is_told(autojump_clock: MockClock) -> None:
    class Fragile(Gateway, name="store", attempts_max=10, breaker_failures=1):
        async def fetch(self, command: FetchPart, attempt: Attempt) -> PartFetched:
            raise LookupError("the store is on fire")

    async with open_runtime(
        MemoryJournal(), processes=[Fetching], gateways=[Fragile()], settings=SETTINGS, clock=TrioClock()
    ) as runtime:
        await runtime.publish(RepairAsked("b", ("bell",)))
        await trio.sleep(2)
        (command,) = (await runtime.flow(Fetching, "b").why_not()).commands
    assert "held back by its breaker: 1 failures in a row" in command.gateway_state
    assert "the store is on fire" in command.gateway_state


async def test_a_paused_process_is_told_by_the_runtime_and_by_the_journal(autojump_clock: MockClock) -> None:
    journal = MemoryJournal()
    settings = Settings(processes=ProcessesSettings(pause_failures_min=2, pause_share=0.1))
    async with tally_opened(journal, processes=[BrokenTally], settings=settings) as runtime:
        for key in "ab":
            await runtime.publish([Opened(key), Broken(key, 1)])
        await runtime.publish([Opened("c")], wait=True)
        inside = await runtime.flow(Tally, "c").why_not()
        beside = await read_surroundings(journal, "tally")
        other = await read_surroundings(journal, "audit")
    assert inside.process_state == "paused"
    assert "its process is paused" in str(inside)
    assert beside.process == "paused: 2 flows failed at mended"
    assert other.process == ""


async def test_without_a_runtime_nothing_goes_on(autojump_clock: MockClock) -> None:
    found = await asked(await journal_of(RepairAsked("b", ("rare",))), "b", Surroundings(running=False))
    assert "no runtime owns the journal now" in str(found)


async def test_what_the_settings_pause_is_paused_until_someone_resumes_it(autojump_clock: MockClock) -> None:
    around = await read_surroundings(MemoryJournal(), "repair", ["store"])
    assert around.gateways == {"store": "paused by the settings"}


async def test_pauses_of_a_runtime_that_has_ended_go_on(autojump_clock: MockClock) -> None:
    clock = TrioClock()
    journal = MemoryJournal(clock_us=clock.now_us)
    async with open_runtime(journal, processes=[Repair], gateways=[Store()], clock=clock) as runtime:
        await runtime.pause_gateway("store", by="ann", why="stocktaking")
    await trio.sleep(1)
    assert (await read_surroundings(journal.reopened(), "repair")).gateways == {"store": "paused by ann: stocktaking"}


async def test_a_flow_that_nobody_knows_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(NotFound, match="no flow 'repair/x'"):
        await asked(await journal_of(RepairAsked("b", ("bell",))), "x")
