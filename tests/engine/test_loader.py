"""Flows are read many at once, and before the answers to their commands arrive; order is kept all the same."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from procession import Attempt
from procession.journal.rows import DeliveryState, FlowRow, LoadedFlow, ShortFlow
from procession.testing.faults import FaultyJournal
from tests.engine.tally import Asked, Counted, Desk, Done, Opened, Work, numbered, opened, settings, story

_FLOWS = 300


class CountingJournal(FaultyJournal):
    """Knows how many questions about flows it was asked; each answer takes a while."""

    def __init__(self) -> None:
        super().__init__()
        self.alone = 0
        self.together = 0
        self.walk_s = 0.0

    async def load(self, process: str, key: str, steps_max: int) -> LoadedFlow:
        self.alone += 1
        await trio.sleep(0.01)
        return await super().load(process, key, steps_max)

    async def load_many(self, flows: Sequence[tuple[str, str]], steps_max: int) -> dict[tuple[str, str], ShortFlow]:
        self.together += 1
        await trio.sleep(0.01)
        return await super().load_many(flows, steps_max)

    async def flows_with_deliveries(self, state: DeliveryState, after_flow: int, limit: int) -> list[FlowRow]:
        await trio.sleep(self.walk_s)
        return await super().flows_with_deliveries(state, after_flow, limit)


async def never(command: Work, attempt: Attempt) -> Done:
    await trio.sleep_forever()
    raise AssertionError


async def in_flight(*flows: str) -> CountingJournal:
    """The journal of a process that died while each of these flows waited for an answer."""
    journal = CountingJournal()
    with trio.CancelScope() as process:
        async with opened(journal, gateways=[Desk(never)]) as runtime:
            await runtime.publish([event for key in flows for event in (Opened(key), Asked(key, (1,)))])
            journal.kill()
            process.cancel()
    return CountingJournal.of(journal.reopened())


async def test_the_answer_to_a_flow_that_is_not_loaded_costs_one_commit(autojump_clock: trio.testing.MockClock) -> None:
    keys = [f"{number}" for number in range(_FLOWS)]
    journal = await in_flight(*keys)
    async with opened(journal, gateways=[Desk()]) as runtime:
        await runtime.drain()
        assert await story(runtime, "7") == ["opened", "asked", "done 1"]
        assert runtime.counters()["procession_flows_loaded"] == _FLOWS
    stored = [row for commit in journal.written for row in commit.deliveries.values()]
    assert (stored, journal.alone) == ([], 1), "the story itself reads one"


async def test_flows_that_wait_to_be_loaded_are_read_together(autojump_clock: trio.testing.MockClock) -> None:
    journal, keys = CountingJournal(), [f"{number}" for number in range(_FLOWS)]
    async with opened(journal) as runtime:
        await runtime.publish([event for key in keys for event in (Opened(key), Counted(key, 0))])
    journal = CountingJournal.of(journal.reopened())
    async with opened(journal) as runtime:
        await runtime.publish([Counted(key, 1) for key in keys])
        await runtime.drain()
        assert (journal.alone, runtime.counters()["procession_turns_handled"]) == (0, _FLOWS)
        assert journal.together <= 5


async def test_a_long_flow_is_loaded_alone_and_a_broken_one_sets_nobody_aside(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = CountingJournal()
    async with opened(journal) as runtime:
        await runtime.publish([event for key in "abc" for event in (Opened(key), Counted(key, 0))])
        await runtime.publish(numbered("b", range(1, 100)))
    journal = CountingJournal.of(journal.reopened())
    async with opened(journal) as runtime:
        await runtime.publish([Counted(key, 500) for key in "abc"])
        await runtime.drain()
        assert journal.alone == 1
        assert [(await story(runtime, key))[-1] for key in "abc"] == ["counted 500"] * 3


async def test_what_a_crash_left_stands_before_an_answer_that_finds_its_flow_loaded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = CountingJournal()
    with trio.CancelScope() as process:
        async with opened(journal, gateways=[Desk(never)], settings=settings(flows={"mailbox_max": 1})) as runtime:
            await runtime.publish([Opened("a"), Asked("a", (1,))])
            journal.commit_s = 1
            async with trio.open_nursery() as nursery:
                for number in range(8):
                    nursery.start_soon(runtime.publish, Counted("a", number))
                    await trio.sleep(0.3)
                await trio.sleep(0.5)
                journal.kill()
                process.cancel()
    journal = CountingJournal.of(journal.reopened())
    assert await journal.flows_with_deliveries("pending", 0, 1)
    journal.walk_s = 5.0
    async with opened(journal, gateways=[Desk()]) as runtime:
        await trio.sleep(60)
        await runtime.drain()
        told = await story(runtime, "a")
    assert told[-1] == "done 1"
    assert told.count("done 1") == 1


async def test_while_things_run_alone_no_flow_is_loaded_before_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Rule 25: a fold may be what the process died of."""
    journal = await in_flight("a", "b")
    for _ in range(3):
        journal = CountingJournal.of(journal.reopened())
    async with opened(journal, gateways=[Desk()]) as runtime:
        await runtime.drain()
        assert journal.together == 0
        assert await story(runtime, "b") == ["opened", "asked", "done 1"]
