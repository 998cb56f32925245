"""Snapshots are a cache: what can't be kept in one is folded from its steps, and nobody notices."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from procession import (
    Aggregate,
    Command,
    Effects,
    Event,
    ProcessManager,
    Settings,
    applies,
    decides,
    end,
    ends,
    folds,
    on,
)
from procession import open_runtime as opened
from procession.journal.memory import MemoryJournal
from procession.settings import AggregatesSettings, FlowsSettings

OFTEN = Settings(
    flows=FlowsSettings(snapshot_every_steps=1), aggregates=AggregatesSettings(snapshot_every_events=1, cached_max=1)
)


class Doubled(Event, name="snapshots.doubled"):
    key: str


class Finished(Event, name="snapshots.finished"):
    key: str


class Double(Command, name="snapshots.double"):
    key: str


class Growing(ProcessManager, name="snapshots.growing", key="key"):
    """Its state is soon more than JSON holds."""

    number: int = 2**62

    @folds
    def doubled(self, doubled: Doubled) -> Growing:
        return self.evolve(number=self.number * 2)

    @on(missing="start")
    def more(self, doubled: Doubled) -> Effects:
        yield from ()

    @ends
    def finished(self, finished: Finished) -> None: ...


class Counting(ProcessManager, name="snapshots.counting", key="key"):
    """Ends as its state says."""

    times: int = 0

    @folds
    def doubled(self, doubled: Doubled) -> Counting:
        return self.evolve(times=self.times + 1)

    @on(missing="start")
    def more(self, doubled: Doubled) -> None: ...

    @on
    def finished(self, finished: Finished) -> Effects:
        yield end(f"{self.times} times")


class Stock(Aggregate, name="snapshots.stock", key="key"):
    number: int = 2**62

    @applies
    def doubled(self, doubled: Doubled) -> Stock:
        return self.evolve(number=self.number * 2)

    @decides
    def double(self, command: Double) -> Doubled:
        return Doubled(command.key)


async def test_a_state_that_json_can_not_hold_is_folded_instead() -> None:
    journal = MemoryJournal()
    async with opened(journal, processes=[Growing], aggregates=[Stock], settings=OFTEN) as runtime:
        for _ in range(5):
            await runtime.publish(Doubled("a"))
            await runtime.send(Double("s"))
        await runtime.drain()
        assert runtime.counters()["procession_snapshots_unwritable"] > 0
    async with opened(journal.reopened(), processes=[Growing], aggregates=[Stock], settings=OFTEN) as runtime:
        await runtime.publish(Finished("a"))
        assert await runtime.flow(Growing, "a").wait_ended(5) == "completed"
        await runtime.send(Double("s"))
        assert await runtime.aggregate(Stock, "s").version() == 6


async def test_a_damaged_snapshot_is_thrown_away(tmp_path: Path) -> None:
    settings = Settings(flows=FlowsSettings(snapshot_every_steps=1))
    async with opened(tmp_path / "a.db", processes=[Counting], settings=settings) as runtime:
        await runtime.publish([Doubled("a"), Doubled("a"), Doubled("a")])
        await runtime.drain()
    with closing(sqlite3.connect(tmp_path / "a.db")) as journal:
        assert journal.execute("update snapshot set state = replace(state, '3', '7')").rowcount == 1
        journal.commit()
    async with opened(tmp_path / "a.db", processes=[Counting], settings=settings) as runtime:
        await runtime.publish(Finished("a"))
        assert await runtime.flow(Counting, "a").wait_ended(30) == "3 times"
