"""A state has a bound: the turn that passes it is not taken, its flow is set aside, and what came is kept."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from procession import (
    Aggregate,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    ProcessManager,
    Runtime,
    Settings,
    applies,
    decides,
    end,
    ends,
    folds,
    on,
    open_runtime,
)
from procession.errors import FlowQuarantined
from procession.journal.memory import MemoryJournal
from procession.laws.histories import LAWS, Past
from procession.reading.rehearsal import Rehearser, Selection
from procession.send_errors import DecisionFailed
from procession.settings import AggregatesSettings, FlowsSettings

STEPS = 3
"""A snapshot is due after so many."""


class Came(Event, name="bulk.came"):
    bag: str
    text: str = ""


class Emptied(Event, name="bulk.emptied"):
    bag: str


class Weighed(Event, name="bulk.weighed"):
    bag: str


class Closed(Event, name="bulk.closed"):
    bag: str
    text: str = ""


class Asked(Event, name="bulk.asked"):
    bag: str
    text: str = ""


class Fill(Command, name="bulk.fill"):
    bag: str
    text: str


class Bag(ProcessManager, name="bulk", key="bag"):
    """Keeps all that came."""

    texts: tuple[str, ...] = ()

    @folds
    def came(self, came: Came) -> Bag:
        return self.evolve(texts=(*self.texts, came.text))

    @on(missing="start")
    def more(self, came: Came) -> None: ...

    @folds
    def emptied(self, emptied: Emptied) -> Bag:
        return self.evolve(texts=())

    @on
    def empty(self, emptied: Emptied) -> None: ...

    @on
    def weigh(self, weighed: Weighed) -> Effects:
        yield end(" ".join(str(len(text)) for text in self.texts))

    @folds
    def closed(self, closed: Closed) -> Bag:
        return self.evolve(texts=(*self.texts, closed.text))

    @ends
    def close(self, closed: Closed) -> None: ...

    @on
    def ask(self, asked: Asked) -> Effects:
        yield Fill(asked.bag, asked.text)

    @on
    def refused(self, given_up: CommandGivenUp[Fill]) -> Effects:
        yield end(f"{given_up.reason}: {given_up.found}"[:100])


class Sack(Aggregate, name="bulk_sack", key="bag"):
    texts: tuple[str, ...] = ()

    @applies
    def came(self, came: Came) -> Sack:
        return self.evolve(texts=(*self.texts, came.text))

    @applies
    def emptied(self, emptied: Emptied) -> Sack:
        return self.evolve(texts=())

    @decides
    def fill(self, fill: Fill) -> Came | Emptied:
        return Came(fill.bag, fill.text) if fill.text else Emptied(fill.bag)


def limits(bytes_max: int = 1_024, every: int = STEPS, cached_max: int = 100) -> Settings:
    return Settings(
        flows=FlowsSettings(snapshot_every_steps=every, state_bytes_max=bytes_max, cached_max=cached_max),
        aggregates=AggregatesSettings(snapshot_every_events=every, state_bytes_max=bytes_max),
    )


def opened(where: Path | MemoryJournal, settings: Settings) -> AbstractAsyncContextManager[Runtime]:
    return open_runtime(where, processes=[Bag], aggregates=[Sack], settings=settings)


async def reason_of(runtime: Runtime, bag: str) -> str:
    await runtime.drain()
    summary = await runtime.flow(Bag, bag).summary()
    assert summary.status == "quarantined"
    return summary.reason or ""


# Flows.


async def test_a_flow_that_grows_too_large_is_set_aside_alone_and_goes_on_when_it_may(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db", limits()) as runtime:
        for bag in ("big", "small"):
            await runtime.publish([Came(bag, "x" * (500 if bag == "big" else 5)) for _ in range(4)])
            await runtime.publish(Weighed(bag))
        assert await runtime.flow(Bag, "small").wait_ended(30) == "5 5 5 5"
        reason = await reason_of(runtime, "big")
        with pytest.raises(FlowQuarantined):
            await runtime.flow(Bag, "big").wait_ended(30)
    size = len('{"texts":["","","",""]}') + 4 * 500
    assert reason == (
        f"more: its state would have {size} bytes as JSON, at most 1024 (flows.state_bytes_max);"
        " have it keep less, or raise the setting, start again and try again"
    )
    async with opened(tmp_path / "a.db", limits(10_000)) as runtime:
        flow = runtime.flow(Bag, "big")
        await flow.retry(by="ann", why="the limit was raised")
        await flow.release(by="ann", why="the rest too")
        assert await flow.wait_ended(30) == "500 500 500 500"


async def test_under_the_same_limit_it_fails_again_and_what_made_it_too_large_may_be_skipped() -> None:
    async with opened(MemoryJournal(), limits()) as runtime:
        await runtime.publish([Came("a", "x" * 500), Came("a", "y" * 400), Came("a", "z" * 300), Weighed("a")])
        before = await reason_of(runtime, "a")
        await runtime.flow(Bag, "a").retry(by="ann", why="to see")
        assert await reason_of(runtime, "a") == before
        await runtime.flow(Bag, "a").skip(by="ann", why="it is too much")
        await runtime.flow(Bag, "a").release(by="ann", why="the rest fits")
        assert await runtime.flow(Bag, "a").wait_ended(30) == "500 400"


@pytest.mark.parametrize("cached_max", [100, 1], ids=["in memory", "read again"])
async def test_large_events_are_measured_long_before_a_snapshot_is_due(tmp_path: Path, cached_max: int) -> None:
    """So much, and one event more, is all that a state may pass its bound by."""
    limit, kept = 10_000, 0
    async with opened(tmp_path / "a.db", limits(limit, every=1_000_000, cached_max=cached_max)) as runtime:
        for _ in range(50):
            await runtime.publish([Came("a", "x" * 900), Came("other")])
            await runtime.drain()
            if (await runtime.flow(Bag, "a").summary()).status == "quarantined":
                break
            kept += 900
        assert "flows.state_bytes_max" in await reason_of(runtime, "a")
    assert limit < kept < 2 * limit


async def test_a_flow_that_empties_itself_goes_on_for_ever() -> None:
    async with opened(MemoryJournal(), limits()) as runtime:
        for _ in range(10):
            await runtime.publish([Came("a", "x" * 900), Emptied("a")])
        await runtime.publish([Came("a", "x"), Weighed("a")])
        assert await runtime.flow(Bag, "a").wait_ended(30) == "1"


async def test_the_turn_that_ends_a_flow_is_not_measured() -> None:
    async with opened(MemoryJournal(), limits(every=1)) as runtime:
        await runtime.publish([Came("a", "x"), Closed("a", "y" * 2_000)])
        assert await runtime.flow(Bag, "a").wait_ended(30) == "completed"


async def test_a_lower_limit_is_no_fault_of_what_is_past() -> None:
    """Histories are folded, and rehearsed, as they were: a limit says what may come."""
    journal = MemoryJournal()
    async with opened(journal, limits(10_000)) as runtime:
        await runtime.publish([Came("a", "x" * 900) for _ in range(4)])
        await runtime.drain()
    again = journal.reopened()
    async with opened(again, limits()) as runtime:
        rehearser = Rehearser(runtime.journal, runtime.registry, limits(), Selection())
        assert (await rehearser.run()).same
        await runtime.publish(Weighed("a"))
        assert await runtime.flow(Bag, "a").wait_ended(30) == "900 900 900 900"
    assert [breach for law in LAWS for breach in law(Past(again.contents()))] == []


async def test_a_history_with_a_state_that_was_refused_keeps_all_laws() -> None:
    journal = MemoryJournal()
    async with opened(journal, limits()) as runtime:
        await runtime.publish([Came("a", "x" * 500) for _ in range(5)])
        await reason_of(runtime, "a")
    assert [breach for law in LAWS for breach in law(Past(journal.contents()))] == []


# Aggregates.


async def test_a_decision_that_makes_its_aggregate_too_large_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db", limits()) as runtime:
        await runtime.send(Fill("big", "x" * 500))
        await runtime.send(Fill("big", "x" * 400))
        with pytest.raises(
            DecisionFailed, match=r"would have 13\d\d bytes as JSON, at most 1024 \(aggregates\.state_b"
        ):
            await runtime.send(Fill("big", "x" * 400))
        assert await runtime.aggregate(Sack, "big").version() == 2
        await runtime.send(Fill("small", "x"))
        await runtime.send(Fill("big", "x"))  # what fits is decided
        await runtime.send(Fill("big", ""))
        assert await runtime.aggregate(Sack, "big").version() == 4
    async with opened(tmp_path / "a.db", limits(10_000)) as runtime:
        for _ in range(4):
            await runtime.send(Fill("big", "x" * 400))
        assert await runtime.aggregate(Sack, "big").version() == 8


async def test_a_flow_hears_that_its_aggregate_would_be_too_large() -> None:
    async with opened(MemoryJournal(), limits(every=1)) as runtime:
        await runtime.publish([Came("a"), Asked("a", "x" * 1_100)])
        outcome = await runtime.flow(Bag, "a").wait_ended(30)
        assert outcome.startswith("refused: fill: its state would have 11")
        assert await runtime.aggregate(Sack, "a").version() == 0


async def test_large_events_of_an_aggregate_are_measured_long_before_a_snapshot_is_due() -> None:
    async with opened(MemoryJournal(), limits(10_000, every=1_000_000)) as runtime:
        for _ in range(21):
            await runtime.send(Fill("a", "x" * 900))
        with pytest.raises(DecisionFailed, match=r"aggregates\.state_bytes_max"):
            await runtime.send(Fill("a", "x" * 900))
        assert await runtime.aggregate(Sack, "a").version() == 21
