"""A process with every kind of effect, the gateway that works for it, and journals that they leave."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import attrs
import trio

from procession import (
    Attempt,
    Command,
    Effects,
    Event,
    Gateway,
    ProcessManager,
    Refused,
    Runtime,
    after,
    cancel,
    end,
    ends,
    folds,
    on,
    open_runtime,
    record,
    starts,
)
from procession.engine.clock import TrioClock
from procession.journal.memory import MemoryJournal
from procession.primitives.registration import build_registry
from procession.primitives.registry import Registry
from procession.reading.rehearsal import Group, Rehearsal, Rehearser, Selection
from procession.settings import GatewaysSettings, Settings

HOUR = timedelta(hours=1)
SETTINGS = Settings(gateways=GatewaysSettings(jitter=0))


class RepairAsked(Event, name="repair.asked"):
    bike: str
    parts: tuple[str, ...]


class PartFetched(Event, name="repair.part_fetched"):
    bike: str
    part: str


class PartCounted(Event, name="repair.part_counted"):
    """A fact that the flow records itself."""

    bike: str
    part: str
    left: int


class RepairOverdue(Event, name="repair.overdue"):
    """A deadline."""

    bike: str


class RepairClosed(Event, name="repair.closed"):
    bike: str


class FetchPart(Command, name="store.fetch"):
    bike: str
    part: str


class TellOwner(Command, name="store.tell_owner"):
    bike: str


class Repair(ProcessManager, name="repair", key="bike"):
    missing: frozenset[str] = frozenset()

    @folds
    def asked(self, asked: RepairAsked) -> Repair:
        return self.evolve(missing=frozenset(asked.parts))

    @folds
    def arrived(self, counted: PartCounted) -> Repair:
        return self.evolve(missing=self.missing - {counted.part})

    @starts
    def order_parts(self, asked: RepairAsked) -> Effects:
        for part in asked.parts:
            yield FetchPart(asked.bike, part)
        yield after(timedelta(hours=1), RepairOverdue(asked.bike))

    @on
    def fetched(self, fetched: PartFetched) -> Effects:
        yield record(PartCounted(fetched.bike, fetched.part, len(self.missing) - 1))

    @on
    def count(self, counted: PartCounted) -> Effects:
        if not self.missing:
            yield cancel(RepairOverdue)
            yield end("repaired")

    @on
    def remind(self, overdue: RepairOverdue) -> Effects:
        yield TellOwner(overdue.bike)

    @ends(outcome="closed")
    def close(self, closed: RepairClosed) -> None: ...


class Store(Gateway, name="store", attempts_max=10, timeout_s=7200):
    """Has every part but a `sold out` one, which it refuses, and a `rare` one, which it can't find for a long time."""

    async def fetch(self, command: FetchPart, attempt: Attempt) -> PartFetched:
        if command.part == "sold out":
            raise Refused("there is none")
        if command.part == "rare":
            raise LookupError("not found yet")
        if command.part == "on its way":
            await trio.sleep_forever()
        return PartFetched(command.bike, command.part)

    async def tell_owner(self, command: TellOwner) -> None: ...


@contextlib.asynccontextmanager
async def opened(journal: MemoryJournal, process: type[ProcessManager] = Repair) -> AsyncIterator[Runtime]:
    """A runtime on virtual time."""
    async with open_runtime(
        journal, processes=[process], gateways=[Store()], settings=SETTINGS, clock=TrioClock()
    ) as runtime:
        yield runtime


async def journal_of(*events: Event, process: type[ProcessManager] = Repair) -> MemoryJournal:
    """What a runtime left that handled these events, and was stopped two seconds after the last."""
    journal = MemoryJournal(clock_us=TrioClock().now_us)
    async with opened(journal, process) as runtime:
        for event in events:
            await runtime.publish(event)
            await trio.sleep(2)
    return journal.reopened()


@attrs.frozen
class Said:
    """A difference in short."""

    handler: str
    what: str
    live: int
    ended: int


def registry_of(process: type[ProcessManager] = Repair, events: Sequence[type[Event]] = ()) -> Registry:
    return build_registry([process], [Store()], events)


async def rehearsed(
    journal: MemoryJournal, process: type[ProcessManager], selection: Selection | None = None
) -> Rehearsal:
    """What a rehearsal of this code finds."""
    registry = registry_of(process)
    return await Rehearser(journal, registry, SETTINGS, selection or Selection()).run()


def said(rehearsal: Rehearsal) -> list[Said]:
    """Its differences."""
    return [Said(group.handler, group.what, group.flows.live, group.flows.ended) for group in rehearsal.groups.values()]


def flows_in(group: Group) -> list[str]:
    """The flows that are named in a group."""
    return [example.flow for example in group.examples(99)]
