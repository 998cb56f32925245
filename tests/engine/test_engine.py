"""Rules 7, 33 and 35, and the facade: the tree, the counters, fencing, calls from inside a turn."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from procession import Effects, ProcessManager, Runtime, allows, starts
from procession.errors import ImpureTurn, NotAccepted, NotFound, WiringError
from procession.journal.journal import PAUSES
from procession.journal.memory import MemoryJournal
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_pauses import ASKED
from procession.journal_errors import Fenced
from procession.primitives.event import GatewayPaused, GatewayResumed, ProcessPaused, ProcessResumed
from procession.primitives.stored import stored_of
from procession.telemetry.names import counter_help
from procession.testing.faults import FaultyJournal
from tests.engine.tally import (
    Asked,
    Broken,
    BrokenTally,
    Closed,
    Counted,
    Desk,
    Opened,
    Tally,
    numbered,
    opened,
    settings,
    story,
)


async def test_a_fenced_runtime_stops_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 33: another owner took the journal over."""
    journal, desk = MemoryJournal(), Desk()
    with pytest.raises(Fenced):  # noqa: PT012 - it comes out of the whole block
        async with opened(journal, gateways=[desk]) as runtime:
            await runtime.publish(Opened("a"))
            living = journal.reopened()
            started = trio.current_time()
            await runtime.publish(Asked("a", (1,)))
    assert trio.current_time() == started
    assert desk.calls == []
    assert [row.type for row in await living.events(0, 10)] == ["tally.opened"]


async def test_a_process_whose_command_nobody_takes_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    with pytest.raises(WiringError, match="sends Work, which no gateway takes"):
        async with opened(journal, gateways=[]):
            pass
    async with opened(journal.reopened()) as runtime:
        assert await runtime.events() == []


async def test_the_tree_names_what_runs(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        tree = runtime.tree()
        assert (tree.name, tree.state) == ("runtime", "running")
        names = [child.name for child in tree.children]
        assert names == ["journal writer", "intake", "timers", "recovery", "flows", "gateways"]
        assert [gateway.name for gateway in tree.children[-1].children] == ["desk"]


async def test_a_paused_gateway_is_shown_as_paused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.pause_gateway("desk", by="ann", why="maintenance")
        assert runtime.tree().children[-1].children[0].state == "paused"


async def test_what_was_paused_is_paused_over_restarts_until_it_is_resumed(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    journal = MemoryJournal()
    async with opened(journal, processes=[BrokenTally]) as runtime:
        await runtime.pause_gateway("desk", by="ann", why="maintenance")
        await runtime.publish([event for n in range(30) for event in (Opened(f"{n}"), Broken(f"{n}", 1))])
        await runtime.drain()
        assert runtime.paused_processes() == {"tally"}
    desk = Desk()
    async with opened(journal := journal.reopened(), gateways=[desk]) as runtime:
        assert "gateway desk is still paused by ann: maintenance" in caplog.text
        assert "process tally is still paused: " in caplog.text
        await runtime.publish([Opened("late"), Asked("late", (1,))])
        await trio.sleep(10)
        assert (desk.numbers, (await runtime.flow(Tally, "late").summary()).version) == ([], 0)
        await runtime.resume_process("tally", by="ann", why="mended")
        await trio.sleep(10)
        assert (desk.numbers, (await runtime.flow(Tally, "late").summary()).version) == ([], 2)
        await runtime.resume_gateway("desk", by="ann", why="done")
        await runtime.drain()
        assert desk.numbers == [1]
    async with opened(journal.reopened()) as runtime:
        assert runtime.paused_processes() == frozenset()
        assert runtime.tree().children[-1].children[0].state != "paused"


async def test_what_is_paused_is_found_by_an_index_and_in_its_words(tmp_path: Path) -> None:
    assert (
        tuple(stored_of(event).name for event in (GatewayPaused, GatewayResumed, ProcessPaused, ProcessResumed))
        == PAUSES
    )
    journal = await open_sqlite(tmp_path / "a.db", clock_us=lambda: 0)
    plan = await journal.ask(lambda connection: connection.execute(f"explain query plan {ASKED}").fetchall())
    await journal.close()
    assert any("event_pause" in row[-1] for row in plan)


async def test_an_unknown_gateway_can_not_be_paused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(NotFound):
            await runtime.pause_gateway("nothing", by="ann", why="maintenance")


async def test_acts_on_gateways_and_processes_are_events(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.pause_gateway("desk", by="ann", why="maintenance")
        await runtime.resume_gateway("desk", by="ann", why="done")
        await runtime.resume_process("tally", by="ann", why="looked")
        types = [recorded.envelope.type.partition(".")[2] for recorded in await runtime.events()]
        assert types == ["gateway_paused", "gateway_resumed", "process_resumed"]


async def test_every_counter_has_a_help_text(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        assert runtime.counters().keys() == counter_help().keys()


async def test_counters_count_what_happened(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1, 2)), Closed("a")])
        await runtime.drain()
        counters = {name.removeprefix("procession_"): n for name, n in runtime.counters().items() if n}
    told = ("events_accepted", "flows_started", "flows_ended", "commands_sent", "commands_answered", "events_after_end")
    assert [counters.get(name) for name in told] == [3, 1, 1, 2, 2, 2]


async def test_flows_can_be_asked_for_by_status_outcome_and_key(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a1"), Opened("a2"), Opened("b1"), Closed("a2", "fine")])
        assert {flow.key for flow in await runtime.flows(Tally, status="active")} == {"a1", "b1"}
        assert [flow.name for flow in await runtime.flows(outcome="fine")] == ["tally/a2"]
        assert len(await runtime.flows(key_prefix="a", limit=1)) == 1


async def test_a_flow_that_is_unknown_has_no_summary(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(NotFound):
            await runtime.flow(Tally, "a").summary()


async def test_events_can_be_asked_for_by_type_and_place(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), *numbered("a", range(5))])
        found = await runtime.events(2, types=["tally.counted"], limit=2)
        assert [(recorded.position, recorded.event) for recorded in found] == [
            (3, Counted("a", 1)),
            (4, Counted("a", 2)),
        ]


async def test_the_runtime_can_not_be_called_from_inside_a_turn(autojump_clock: trio.testing.MockClock) -> None:
    """Law 3."""
    found: list[str] = []

    class Calling(ProcessManager, name="calling", key="key"):
        @allows("LAW03", reason="the test must hear what the turn met")
        @starts
        def opened(self, opened: Opened) -> Effects:
            call = runtimes[0].publish(Opened("b"))
            try:
                call.send(None)
            except ImpureTurn as error:
                found.append(error.call)
            yield from ()

    runtimes: list[Runtime] = []
    async with opened(MemoryJournal(), processes=[Calling], gateways=[]) as runtime:
        runtimes.append(runtime)
        await runtime.publish(Opened("a"))
        await runtime.drain()
        assert [flow.key for flow in await runtime.flows()] == ["a"]
    assert found == ["publish"]


async def test_draining_waits_through_a_hold(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime:
        await runtime.publish(Opened("a"))
        journal.count_anew({2: "fail"})  # the one that holds the answer
        journal.reopens_failing = 5
        await runtime.publish(Asked("a", (1,)))
        await trio.sleep(1)
        assert runtime.tree().state == "held"
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "asked", "done 1"]


async def test_a_cache_of_one_and_a_mailbox_of_one_hold_many_flows(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 7: whoever finds a flow in memory finds all of it; whoever does not finds all of it in the journal."""
    limits = settings(flows={"cached_max": 1, "mailbox_max": 1, "awake_max": 3})
    async with opened(FaultyJournal(commit_s=0.02), settings=limits) as runtime:
        async with trio.open_nursery() as nursery:
            for key in "abcdefgh":
                nursery.start_soon(send_all, runtime, key)
        await runtime.drain()
        for key in "abcdefgh":
            assert await story(runtime, key) == ["opened", *(f"counted {n}" for n in range(10)), "closed"]


async def send_all(runtime: Runtime, key: str) -> None:
    await runtime.publish(Opened(key))
    for number in range(10):
        await runtime.publish(Counted(key, number))
    await runtime.publish(Closed(key))


async def test_a_pause_behind_a_resume_that_is_being_written_holds(autojump_clock: trio.testing.MockClock) -> None:
    journal, desk = FaultyJournal(), Desk()
    async with opened(journal, gateways=[desk]) as runtime, trio.open_nursery() as nursery:
        await runtime.pause_gateway("desk", by="ann", why="it is full")
        journal.commit_s = 5
        nursery.start_soon(partial(runtime.resume_gateway, "desk", by="ann", why="it is empty"))
        await trio.testing.wait_all_tasks_blocked()
        await runtime.pause_gateway("desk", by="bob", why="it is full again")
        journal.commit_s = 0
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await trio.sleep(60)
        assert [gateway.paused for gateway in runtime.gateways()] == [True]
    assert desk.calls == []


async def test_a_pause_that_is_refused_does_not_hold(autojump_clock: trio.testing.MockClock) -> None:
    journal, desk = FaultyJournal(), Desk()
    async with opened(journal, gateways=[desk]) as runtime, trio.open_nursery() as nursery:
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 20
        nursery.start_soon(runtime.publish, Opened("b"))
        await trio.sleep(1)
        async with trio.open_nursery() as both:
            for by in ("ann", "bob"):
                both.start_soon(refused_to_pause, runtime, by)
        assert [gateway.paused for gateway in runtime.gateways()] == [False]
        nursery.cancel_scope.cancel()


async def refused_to_pause(runtime: Runtime, by: str) -> None:
    with pytest.raises(NotAccepted):
        await runtime.pause_gateway("desk", by=by, why="it is full")


async def test_a_pause_that_is_left_before_it_is_written_does_not_hold(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime, trio.open_nursery() as nursery:
        journal.commit_s = 5
        nursery.start_soon(partial(runtime.resume_gateway, "desk", by="ann", why="it is empty"))
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await runtime.pause_gateway("desk", by="bob", why="it is full")
        assert [gateway.paused for gateway in runtime.gateways()] == [False]


async def test_what_is_resumed_must_be_there(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(NotFound):
            await runtime.resume_gateway("dsek", by="ann", why="it is empty")
        assert await runtime.events() == []
