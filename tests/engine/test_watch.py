"""Rules 7 and 32: who waits for the end of a flow, or follows the events, sees what is durable and nothing else."""

from __future__ import annotations

import gc
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trio

from procession import FlowHandle, Runtime, open_runtime
from procession.errors import FlowQuarantined
from procession.journal.memory import MemoryJournal
from procession.journal_errors import CommitFailed
from procession.testing.faults import FaultyJournal
from tests.engine.tally import Broken, BrokenTally, Closed, Counted, Desk, Opened, Tally, numbered, opened


async def test_the_outcome_of_a_flow_that_ended_long_ago_is_known(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Closed("a", "fine")])
    async with opened(journal.reopened()) as runtime:
        assert await runtime.flow(Tally, "a").wait_ended() == "fine"


async def test_a_flow_that_nobody_has_heard_of_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime, trio.open_nursery() as nursery:
        heard: list[str] = []
        nursery.start_soon(wait_and_tell, runtime.flow(Tally, "a"), heard)
        await trio.sleep(10)
        await runtime.publish([Opened("a"), Closed("a", "fine")])
        await trio.sleep(1)
        assert heard == ["fine"]


async def test_waiting_obeys_its_time_limit(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Opened("a"))
        with pytest.raises(TimeoutError, match="tally/a did not end within 5 s"):
            await runtime.flow(Tally, "a").wait_ended(timeout_s=5)


async def test_waiting_for_a_flow_that_is_set_aside_raises(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), processes=[BrokenTally]) as runtime, trio.open_nursery() as nursery:
        heard: list[str] = []
        nursery.start_soon(wait_and_tell, runtime.flow("tally", "a"), heard)
        await runtime.publish([Opened("a"), Broken("a", 1)])
        await trio.sleep(1)
        assert heard == ["FlowQuarantined"]


async def test_the_end_is_told_when_it_is_durable_and_not_before(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime, trio.open_nursery() as nursery:
        await runtime.publish(Opened("a"))
        journal.commit_s = 5
        heard: list[str] = []
        nursery.start_soon(wait_and_tell, runtime.flow(Tally, "a"), heard)
        nursery.start_soon(runtime.publish, Closed("a", "fine"))
        await trio.sleep(4)
        assert heard == []
        await trio.sleep(2)
        assert heard == ["fine"]


async def test_many_wait_for_one_flow(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime, trio.open_nursery() as nursery:
        heard: list[str] = []
        for number in range(10):
            nursery.start_soon(wait_and_tell, runtime.flow(Tally, "a"), heard)
            if number == 5:
                await trio.sleep(1)
        await runtime.publish([Opened("a"), Closed("a", "fine")])
        await trio.sleep(1)
        assert heard == ["fine"] * 10


async def test_a_follower_sees_every_event_once_in_order(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(FaultyJournal(commit_s=0.1)) as runtime, trio.open_nursery() as nursery:
        seen: list[int] = []
        nursery.start_soon(follow, runtime, seen, 0)
        for number in range(5):
            await runtime.publish([Opened(f"{number}"), *numbered(f"{number}", range(3))])
        await trio.sleep(1)
        assert seen == list(range(1, 21))
        nursery.cancel_scope.cancel()


async def test_a_follower_sees_nothing_that_is_not_durable(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime, trio.open_nursery() as nursery:
        seen: list[int] = []
        nursery.start_soon(follow, runtime, seen, 0)
        await runtime.publish(Opened("a"))
        journal.commit_s = 5
        nursery.start_soon(runtime.publish, Counted("a", 1))
        await trio.sleep(4)
        assert seen == [1]
        await trio.sleep(2)
        assert seen == [1, 2]
        nursery.cancel_scope.cancel()


async def test_a_follower_begins_where_it_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime, trio.open_nursery() as nursery:
        await runtime.publish([Opened("a"), *numbered("a", range(9))])
        seen: list[int] = []
        nursery.start_soon(follow, runtime, seen, 7)
        await trio.sleep(1)
        assert seen == [8, 9, 10]
        nursery.cancel_scope.cancel()


async def test_a_follower_may_leave_in_the_middle(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish([Opened("a"), *numbered("a", range(9))])
        async with aclosing(runtime.follow()) as events:
            assert (await anext(events)).position == 1
        gc.collect()  # what was left open would be found here, and warned of


async def test_following_ends_when_the_runtime_closes(autojump_clock: trio.testing.MockClock) -> None:
    seen: list[int] = []
    async with trio.open_nursery() as nursery, opened(MemoryJournal()) as runtime:
        nursery.start_soon(follow, runtime, seen, 0)
        await trio.sleep(1)
        await runtime.publish(Opened("a"))
    assert seen == [1]


async def wait_and_tell(flow: FlowHandle, heard: list[str]) -> None:
    try:
        heard.append(await flow.wait_ended())
    except FlowQuarantined as error:
        heard.append(type(error).__name__)


async def follow(runtime: Runtime, seen: list[int], after: int) -> None:
    async with aclosing(runtime.follow(after)) as events:
        async for recorded in events:
            seen.append(recorded.position)  # noqa: PERF401 - one by one, as they come


async def test_a_follower_that_is_behind_ends_when_the_runtime_closes(tmp_path: Path) -> None:
    followed: list[int] = []
    held, closed = trio.Event(), trio.Event()

    async def follow_slowly(runtime: Runtime) -> None:
        async with aclosing(runtime.follow()) as events:
            async for recorded in events:
                followed.append(recorded.position)
                held.set()
                await closed.wait()

    async with trio.open_nursery() as nursery:
        async with open_runtime(tmp_path / "tally.db", processes=[Tally], gateways=[Desk()]) as runtime:
            await runtime.publish(Opened("a"))
            nursery.start_soon(follow_slowly, runtime)
            await held.wait()
            await runtime.publish(Opened("b"))
        closed.set()
    assert followed == [1]


@pytest.mark.parametrize("question", ["look_up", "events"])
async def test_who_waits_or_follows_waits_for_a_journal_that_is_held(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish([Opened("a"), Closed("a", "fine")])
        ask, until = getattr(journal, question), trio.current_time() + 30

        async def held(*given: Any, **named: Any) -> object:  # noqa: ANN401 - as the journal
            await trio.lowlevel.checkpoint()
            if trio.current_time() < until:
                raise CommitFailed("the journal is not reopened yet")
            return await ask(*given, **named)

        monkeypatch.setattr(journal, question, held)
        assert await runtime.flow(Tally, "a").wait_ended() == "fine"
        async with aclosing(runtime.follow(0)) as followed:
            assert (await anext(followed)).position == 1
        assert trio.current_time() > until
