"""Rules 1, 11, 25 and 34's ground: what a crash leaves, a start takes up; and what killed the process is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from procession import Attempt, Effects, Event, ProcessManager, Runtime, allows, on
from procession.engine.clock import SystemClock
from procession.journal.memory import MemoryJournal
from procession.journal.sqlite import open_sqlite
from procession.settings import JournalSettings, Settings
from procession.testing.faults import FaultyJournal
from tests.engine.tally import (
    TINY,
    Armed,
    Asked,
    Closed,
    Counted,
    Desk,
    Done,
    Opened,
    Tally,
    Work,
    numbered,
    opened,
    settings,
    story,
)


async def test_deliveries_that_a_crash_left_are_handled_before_anything_newer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for limits in (settings(), TINY):
        journal = FaultyJournal()
        with trio.CancelScope() as process:
            async with opened(journal, settings=TINY) as runtime, trio.open_nursery() as nursery:
                await runtime.publish(Opened("a"))
                journal.commit_s = 1
                for number in range(8):
                    nursery.start_soon(runtime.publish, Counted("a", number))
                    await trio.sleep(0.3)
                await trio.sleep(0.5)
                journal.kill()
                process.cancel()
        accepted = [row.payload for row in await journal.reopened().events(1, 100)]
        assert accepted
        async with opened(journal.reopened(), settings=limits) as runtime:
            await runtime.publish([Counted("a", 100), Closed("a")])
            assert await runtime.flow(Tally, "a").wait_ended() == "closed"
            told = await story(runtime, "a")
            assert told[-2:] == ["counted 100", "closed"]
            assert len(told) == len(accepted) + 3


async def test_a_start_is_ready_before_its_flows_are_loaded(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        for number in range(50):
            await runtime.publish([Opened(f"{number}"), *numbered(f"{number}", range(3))])
    async with opened(journal.reopened()) as runtime:
        assert runtime.counters()["procession_flows_loaded"] == 0
        await runtime.publish(Counted("7", 9))
        await runtime.drain()
        assert runtime.counters()["procession_flows_loaded"] == 1


@pytest.mark.parametrize("at", [sign * number for number in range(2, 10) for sign in (1, -1)])
async def test_a_crash_at_any_commit_changes_nothing_about_the_outcome(
    autojump_clock: trio.testing.MockClock, at: int
) -> None:
    journal, desk = FaultyJournal(), Desk()
    script = [Opened("a"), Asked("a", (1, 2)), Counted("a", 1), Armed("a", "tea", 5), Counted("a", 2)]
    with trio.CancelScope() as process:
        journal.dies_at, journal.on_death = at, process.cancel
        async with opened(journal, gateways=[desk]) as runtime:
            await publish_all(runtime, script)
            await trio.sleep(20)
            process.cancel()
    async with opened(journal.reopened(), gateways=[desk]) as runtime:
        await publish_all(runtime, script)
        await trio.sleep(20)
        await runtime.drain()
        told = await story(runtime, "a")
    assert sorted(told) == [*["armed tea", "asked", "counted 1", "counted 2", "done 1", "done 2", "opened", "rang tea"]]
    assert len({attempt.command_id for _, attempt in desk.calls}) == 2


async def test_a_process_that_dies_of_an_event_twice_sets_its_flow_aside(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Rule 25: others go on, whatever was open beside it."""
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened(key) for key in "abc"])
    journal = journal.reopened()
    for _ in range(8):
        dying = FaultyJournal.of(journal)
        try:
            with trio.CancelScope() as process:
                async with opened(dying, processes=[deadly(dying, process)]) as runtime:
                    await publish_all(runtime, [Counted("a", 1), Counted("b", 13), Counted("c", 1)])
                    await runtime.drain()
                    break
        finally:
            journal = journal.reopened()
    async with opened(journal) as runtime:
        statuses = {flow.key: flow.status for flow in await runtime.flows()}
    assert statuses == {"a": "active", "b": "quarantined", "c": "active"}


async def test_a_careful_start_goes_on_at_full_speed_when_all_rests(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 25."""
    journal, desk = MemoryJournal(), Desk()
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish(Opened("a"))
    for _ in range(3):
        journal = journal.reopened()
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish([Asked("a", tuple(range(5))), Counted("a", 1)])
        await runtime.drain()
        told = await story(runtime, "a")
    assert sorted(told) == sorted(["opened", "asked", "counted 1", *(f"done {n}" for n in range(5))])
    assert len(desk.calls) == 5


async def test_a_careful_start_is_not_held_up_by_a_gateway(autojump_clock: trio.testing.MockClock) -> None:
    """One command that never returns does not keep the others from theirs for ever."""
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish(Opened("a"))
    for _ in range(3):
        journal = journal.reopened()

    async def first_never(command: Work, attempt: Attempt) -> Done:
        await trio.sleep(0 if command.number else 10**6)
        return Done(command.key, command.number)

    async with opened(journal, gateways=[Desk(first_never)]) as runtime:
        await runtime.publish(Asked("a", (0, 1, 2)))
        await trio.sleep(200)
        assert {"done 1", "done 2"} <= set(await story(runtime, "a"))


@pytest.mark.parametrize("at", range(1, 9))
async def test_a_command_leaves_at_once_though_its_turn_ran_while_the_process_was_suspected_to_die_of_it(
    autojump_clock: trio.testing.MockClock, at: int
) -> None:
    journal: MemoryJournal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish(Opened("a"))
    for _ in range(3):
        journal = journal.reopened()
    dying = FaultyJournal.of(journal)
    with trio.CancelScope() as process:
        dying.dies_at, dying.on_death = at, process.cancel
        async with opened(dying) as runtime:
            await runtime.publish(Asked("a", (0,)), id="asked")
            await runtime.drain()
            process.cancel()
    async with opened(dying.reopened()) as runtime:
        began = trio.current_time()
        await runtime.publish(Asked("a", (0,)), id="asked")
        await runtime.drain()
        assert "done 0" in await story(runtime, "a")
        assert trio.current_time() - began < 2, "it waited for the careful time to be over"


async def test_a_real_file_holds_after_many_runs_what_it_promised(tmp_path: Path) -> None:
    """On SQLite, on the machine's clock, with every bound as low as it goes; `verify` compares all there is."""
    path = tmp_path / "tally.db"
    desk = Desk()
    for number in range(3):
        async with opened(path, gateways=[desk], settings=TINY, clock=SystemClock()) as runtime:
            await runtime.publish(
                [
                    Opened("a"),
                    Counted("a", number),
                    Asked("a", (number,)),
                    Armed("a", "tea", 0),
                    *numbered("b", range(2)),
                ]
            )
            await runtime.drain()
    async with opened(path, gateways=[desk], settings=TINY, clock=SystemClock()) as runtime:
        await runtime.publish([Opened("b"), Closed("a")])
        await runtime.drain()
        assert len(await story(runtime, "a")) >= 11
        assert await story(runtime, "b") == ["opened", *["counted 0", "counted 1"] * 3]
    journal = await open_sqlite(str(path), clock_us=SystemClock().now_us)
    try:
        assert await journal.verify() == []
    finally:
        await journal.close_clean()


async def test_careful_starts_begin_where_the_settings_say(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish(Opened("a"))
    for _ in range(3):
        journal = journal.reopened()
    relaxed = Settings(journal=JournalSettings(careful_after=50))
    dying = FaultyJournal.of(journal)
    async with opened(dying, settings=relaxed) as runtime:
        await runtime.publish(Counted("a", 1))
        await runtime.drain()
    rows = [row for commit in dying.written for row in commit.deliveries.values() if row is not None]
    assert not any(row.marked for row in rows)


async def publish_all(runtime: Runtime, events: Sequence[Event]) -> None:
    for number, event in enumerate(events):
        await runtime.publish(event, id=f"{type(event).__name__} {number}")


def deadly(journal: FaultyJournal, process: trio.CancelScope) -> type[ProcessManager]:
    """A process whose handler kills the operating system's process at every 13."""

    class Deadly(Tally, name="tally", key="key"):
        @allows("LAW03", reason="it stands in for a turn that takes the operating system's process with it")
        @allows("LAW04", reason="as above")
        @on(missing="wait")
        def count(self, counted: Counted) -> Effects:
            if counted.number == 13:
                journal.kill()
                process.cancel()
            yield from ()

    return Deadly
