"""Rule 31: how a runtime ends: in order, within the grace, or at once where its host is cancelled."""

from __future__ import annotations

import pytest
import trio

from procession import Attempt, FlowHandle, ProcessionError, Runtime
from procession.errors import NotAccepted, RuntimeClosed
from procession.journal.memory import MemoryJournal
from procession.testing.faults import FaultyJournal
from tests.engine.tally import Armed, Asked, Closed, Counted, Desk, Done, Opened, Tally, Work, opened, settings, story


async def three_seconds(command: Work, attempt: Attempt) -> Done:
    await trio.sleep(3)
    return Done(command.key, command.number)


async def never(command: Work, attempt: Attempt) -> Done:
    await trio.sleep_forever()
    raise AssertionError


async def test_answers_and_their_turns_are_written_within_the_grace(autojump_clock: trio.testing.MockClock) -> None:
    journal, desk = MemoryJournal(), Desk(three_seconds)
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await trio.sleep(1)
    async with opened(journal.reopened(), gateways=[desk]) as runtime:
        assert await story(runtime, "a") == ["opened", "asked", "done 1"]


async def test_no_attempt_begins_within_the_grace(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk(three_seconds)
    limits = settings(gateways={"concurrency": 1})
    async with opened(MemoryJournal(), gateways=[desk], settings=limits) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1, 2))])
        await trio.sleep(1)
    assert len(desk.calls) == 1


async def test_no_deadline_fires_within_the_grace(autojump_clock: trio.testing.MockClock) -> None:
    journal, desk = MemoryJournal(), Desk(three_seconds)
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Armed("a", "tea", 2), Asked("a", (1,))])
        await trio.sleep(1)
    async with opened(journal.reopened(), gateways=[desk]) as runtime:
        assert await story(runtime, "a") == ["opened", "armed tea", "asked", "done 1"]


async def test_a_call_that_does_not_end_in_the_grace_is_cancelled_and_recorded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, desk = MemoryJournal(), Desk(never)
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1,))])
        await trio.sleep(1)
        started = trio.current_time()
    assert 5 <= trio.current_time() - started < 6
    reader = journal.reopened()
    (command,) = await reader.commands(1, 0, 10)
    assert (command.row.state, command.row.attempts) == ("open", 0)
    assert "will retry under the same id" in (command.row.log or "")


async def test_the_end_in_order_is_a_clean_one(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish(Opened("a"))
    owner = await journal.reopened().owner()
    assert owner is not None
    assert owner.unclean_starts == 0


async def test_the_cancellation_of_the_host_skips_the_grace(autojump_clock: trio.testing.MockClock) -> None:
    journal, desk = MemoryJournal(), Desk(never)
    with trio.CancelScope() as host:
        async with opened(journal, gateways=[desk]) as runtime:
            await runtime.publish([Opened("a"), Asked("a", (1,))])
            await trio.sleep(1)
            started = trio.current_time()
            host.cancel()
            await trio.sleep(1)
    assert trio.current_time() - started < 0.1
    reader = journal.reopened()
    (command,) = await reader.commands(1, 0, 10)
    assert "will retry under the same id" in (command.row.log or "")


async def test_the_last_commit_of_a_cancelled_host_is_written(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    with trio.CancelScope() as host:
        async with opened(journal) as runtime, trio.open_nursery() as nursery:
            await runtime.publish(Opened("a"))
            journal.commit_s = 1.5
            nursery.start_soon(runtime.publish, Counted("a", 1))
            await trio.sleep(0.1)
            host.cancel()
    async with opened(journal.reopened()) as runtime:
        assert await story(runtime, "a") == ["opened", "counted 1"]


async def test_a_last_commit_that_hangs_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal()
    with trio.CancelScope() as host:
        async with opened(journal) as runtime, trio.open_nursery() as nursery:
            await runtime.publish(Opened("a"))
            journal.kill()
            nursery.start_soon(runtime.publish, Counted("a", 1))
            await trio.sleep(1)
            started = trio.current_time()
            host.cancel()
    assert trio.current_time() - started == pytest.approx(2, abs=0.1)


async def test_an_error_of_the_block_comes_out_as_it_is(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with opened(MemoryJournal()):
            raise KeyError("mine")


async def test_what_was_refused_at_closing_is_not_written(autojump_clock: trio.testing.MockClock) -> None:
    """It was being looked up when the runtime closed."""
    journal, heard = FaultyJournal(), list[str]()
    async with trio.open_nursery() as nursery, opened(journal) as runtime:
        journal.read_s = 1
        nursery.start_soon(publish_and_tell, runtime, heard)
        await trio.sleep(0.5)
    assert heard == ["RuntimeClosed"]
    reader = journal.reopened()
    assert await reader.events(0, 10) == []


async def test_a_closed_runtime_takes_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        pass
    with pytest.raises(RuntimeClosed):
        await runtime.publish(Opened("a"))
    with pytest.raises(RuntimeClosed):
        await runtime.flow(Tally, "a").cancel(by="ann", why="too late")


async def test_who_waits_for_a_flow_hears_that_the_runtime_closed(autojump_clock: trio.testing.MockClock) -> None:
    """Rule 32."""
    heard: list[str] = []
    async with trio.open_nursery() as nursery, opened(MemoryJournal()) as runtime:
        nursery.start_soon(wait_and_tell, runtime.flow(Tally, "a"), heard)
        await trio.sleep(1)
    assert heard == ["RuntimeClosed"]


async def test_a_publish_that_its_sender_left_before_its_commit_is_not_written(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal()
    async with opened(journal) as runtime:
        journal.read_s = 1
        with trio.move_on_after(0.5):
            await runtime.publish(Opened("a"), id="1")
        await runtime.drain()
        assert not (await runtime.publish(Closed("a"), id="1")).duplicate


async def publish_and_tell(runtime: Runtime, heard: list[str]) -> None:
    try:
        await runtime.publish(Opened("a"), id="1")
    except (RuntimeClosed, NotAccepted) as error:
        heard.append(type(error).__name__)


async def wait_and_tell(flow: FlowHandle, heard: list[str]) -> None:
    try:
        await flow.wait_ended()
    except ProcessionError as error:
        heard.append(type(error).__name__)


@pytest.mark.parametrize("ms", range(0, 24, 2))
async def test_an_answer_within_the_grace_counts_while_things_run_alone(
    autojump_clock: trio.testing.MockClock, ms: int
) -> None:
    journal, desk = MemoryJournal(), Desk(three_seconds)
    for _ in range(3):
        journal = journal.reopened()  # as after a process that died
    async with opened(journal, gateways=[desk]) as runtime:
        await runtime.publish([Opened("a"), Asked("a", (1, 2))])
        await trio.sleep(1 + ms / 1000)
    assert len(desk.calls) == 1
    async with opened(journal.reopened(), gateways=[desk]) as runtime:
        assert await story(runtime, "a") == ["opened", "asked", "done 1"]
        await runtime.drain()
    assert desk.numbers == [1, 2]
