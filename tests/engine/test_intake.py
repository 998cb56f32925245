"""Rules 2, 3 and 4: what is accepted, once, and who waits when there is too much."""

from __future__ import annotations

import pytest
import trio

from procession import Event, Outside, ProcessManager, Runtime, starts
from procession.errors import IdReused, InvalidKey, InvalidPayload, Overloaded, TooLarge, UnknownType
from procession.journal.memory import MemoryJournal
from procession.testing.faults import FaultyJournal
from tests.engine.tally import (
    Audit,
    Closed,
    Counted,
    Opened,
    Shared,
    Tally,
    numbered,
    opened,
    settings,
    story,
)


async def test_the_same_id_with_the_same_content_is_accepted_once(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        first = await runtime.publish(Opened("a"), id="1", source="shop")
        again = await runtime.publish(Opened("a"), id="1", source="shop")
        assert (again, again.duplicate) == (first, True)
        assert await story(runtime, "a") == ["opened"]


async def test_the_same_id_with_other_content_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Opened("a"), id="1")
        with pytest.raises(IdReused, match="position 1"):
            await runtime.publish(Opened("b"), id="1")


async def test_the_same_id_with_another_type_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Opened("a"), id="1")
        with pytest.raises(IdReused):
            await runtime.publish(Closed("a"), id="1")


async def test_the_same_id_of_another_source_is_another_event(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Opened("a"), id="1", source="shop")
        assert not (await runtime.publish(Opened("b"), id="1", source="web")).duplicate


async def test_an_event_without_an_id_is_new_each_time(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Opened("a"))
        await runtime.publish([Counted("a", 1), Counted("a", 1)])
        await runtime.drain()
        assert await story(runtime, "a") == ["opened", "counted 1", "counted 1"]


async def test_a_duplicate_inside_one_batch_is_accepted_once(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        positions = await runtime.publish([Outside(Opened("a"), "1"), Outside(Opened("a"), "1")])
        assert [(int(position), position.duplicate) for position in positions] == [(1, False), (1, True)]


async def test_a_batch_that_reuses_an_id_inside_writes_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(IdReused):
            await runtime.publish([Outside(Opened("a"), "1"), Outside(Opened("b"), "1")])
        assert await runtime.events() == []


async def test_duplicates_that_come_at_the_same_time_are_accepted_once(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(FaultyJournal(commit_s=0.1)) as runtime:
        heard: list[tuple[int, bool]] = []
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(publish_and_tell, runtime, heard)
                await trio.sleep(0.02 * (number % 3))
        assert sorted(heard) == [(1, False), *[(1, True)] * 19]


async def test_a_duplicate_is_known_after_a_restart(autojump_clock: trio.testing.MockClock) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish(Opened("a"), id="1")
    async with opened(journal.reopened()) as runtime:
        assert (await runtime.publish(Opened("a"), id="1")).duplicate


async def test_many_are_accepted_together_or_not_at_all(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Opened("a"), id="1")
        with pytest.raises(IdReused):
            await runtime.publish([Opened("x"), Opened("y"), Outside(Opened("b"), "1")])
        assert [flow.key for flow in await runtime.flows()] == ["a"]


async def test_more_than_the_batch_bound_is_refused_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), settings=settings(intake={"publish_batch_max": 3})) as runtime:
        with pytest.raises(TooLarge, match="publish_batch_max"):
            await runtime.publish(numbered("a", range(4)))


async def test_a_payload_over_the_bound_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), settings=settings(intake={"payload_bytes_max": 1024})) as runtime:
        with pytest.raises(TooLarge, match="payload_bytes_max"):
            await runtime.publish(Closed("a", "x" * 1100))


async def test_more_keys_than_the_bound_are_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), settings=settings(intake={"keys_per_event_max": 3})) as runtime:
        with pytest.raises(TooLarge, match="keys_per_event_max"):
            await runtime.publish(Shared(("a", "b", "c", "d"), 1))


@pytest.mark.parametrize("key", ["", "x" * 513, "é" * 257, "a\x00b"])
async def test_a_key_out_of_bounds_is_refused(autojump_clock: trio.testing.MockClock, key: str) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(InvalidKey):
            await runtime.publish(Opened(key))
        assert await runtime.events() == []


async def test_a_key_of_512_bytes_is_taken(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        await runtime.publish(Opened("é" * 256))
        assert (await runtime.flow(Tally, "é" * 256).summary()).status == "active"


async def test_an_int_is_a_key_as_a_decimal(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), processes=[Ticketed], gateways=[]) as runtime:
        await runtime.publish(TicketSold(421))
        assert (await runtime.flow(Ticketed, "421").summary()).status == "active"


async def test_a_key_that_can_not_be_computed_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), processes=[Ticketed], gateways=[]) as runtime:
        with pytest.raises(InvalidKey, match="ZeroDivisionError"):
            await runtime.publish(TicketSold(0))


async def test_a_value_that_does_not_fit_its_field_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(InvalidPayload):
            await runtime.publish(Counted("a", "one"))  # type: ignore[arg-type]  # that is the point


async def test_a_type_that_is_not_registered_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal()) as runtime:
        with pytest.raises(UnknownType):
            await runtime.publish(TicketSold(1))


async def test_a_sender_that_may_not_wait_is_refused_when_the_intake_is_full(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = FaultyJournal(read_s=10)
    async with opened(journal, settings=settings(intake={"events_max": 1})) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(runtime.publish, Opened("a"))
        await trio.sleep(1)
        nursery.start_soon(runtime.publish, Opened("b"))
        await trio.sleep(1)
        with pytest.raises(Overloaded) as refused:
            await runtime.publish(Opened("c"), wait=False)
        assert refused.value.retry_after_s > 0


async def test_a_sender_that_may_wait_waits_and_is_accepted(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal(read_s=1)
    async with opened(journal, settings=settings(intake={"events_max": 1})) as runtime:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(runtime.publish, Opened(str(number)))
        assert len(await runtime.flows()) == 10


async def test_a_batch_larger_than_the_intake_is_accepted_when_it_is_empty(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened(MemoryJournal(), settings=settings(intake={"events_max": 1})) as runtime:
        assert len(await runtime.publish(numbered("a", range(10)))) == 10


async def test_one_event_concerns_several_flows_of_several_processes(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(MemoryJournal(), processes=[Tally, Audit]) as runtime:
        await runtime.publish([Opened("a"), Opened("b"), Shared(("a", "b", "c", "a"), 7)])
        await runtime.drain()
        for key in "ab":
            assert await story(runtime, key) == ["opened", "shared 7"]
            assert await story(runtime, key, "audit") == ["opened", "shared 7"]
        assert await story(runtime, "c", "audit") == ["shared 7"]
        assert await story(runtime, "c") == []


async def publish_and_tell(runtime: Runtime, heard: list[tuple[int, bool]]) -> None:
    position = await runtime.publish(Opened("a"), id="1")
    heard.append((int(position), position.duplicate))


class TicketSold(Event, name="ticket.sold"):
    number: int


def ticket(sold: TicketSold) -> int:
    return sold.number // (1 if sold.number else 0)


class Ticketed(ProcessManager, name="ticketed", key=ticket):
    """Its keys are numbers, computed."""

    @starts
    def sold(self, sold: TicketSold) -> None: ...


async def test_senders_that_wait_get_in_in_the_order_they_came(autojump_clock: trio.testing.MockClock) -> None:
    journal = FaultyJournal(read_s=1)
    async with opened(journal, settings=settings(intake={"events_max": 1})) as runtime:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(runtime.publish, Opened(str(number)))
                await trio.sleep(0.001)
        assert [flow.key for flow in await runtime.flows()] == [str(number) for number in range(10)]
