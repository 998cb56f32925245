"""Opening a runtime: its journal looked at, its engine run, both closed in order."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import trio

from procession.engine.clock import Clock, SystemClock
from procession.engine.engine import Engine
from procession.engine.opening import Opening, Since, check
from procession.facade import Runtime
from procession.journal.journal import Journal, JournalReader
from procession.primitives.aggregate import Aggregate
from procession.primitives.event import Event
from procession.primitives.gateway import Gateway
from procession.primitives.invariant import Invariant
from procession.primitives.lifts import AnyLift
from procession.primitives.process import ProcessManager
from procession.primitives.registry import Registry, build_registry
from procession.settings import Settings


@contextlib.asynccontextmanager
async def open_runtime(
    journal: str | Path | Journal,
    *,
    processes: Sequence[type[ProcessManager]] = (),
    gateways: Sequence[Gateway] = (),
    events: Sequence[type[Event]] = (),
    lifts: Sequence[AnyLift] = (),
    invariants: Sequence[Invariant] = (),
    aggregates: Sequence[type[Aggregate]] = (),
    settings: Settings | None = None,
    since: Mapping[str, Since] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Runtime]:
    """Open a runtime on a journal; leaving the block closes it in order.

        async with open_runtime("orders.db", processes=[Order], gateways=[Payments(client)]) as runtime:
            await runtime.publish(OrderPlaced("421", 4200), id="421/placed", source="shop")

    Args:
        journal: path of an SQLite file, made where there is none; or an open journal, which is closed at the end.
        processes: the process managers.
        gateways: one instance each; with the aggregates they take every command that the processes send.
        events: further event types that may be published.
        lifts: from event types of old to those that handlers take.
        invariants: what must hold of every flow; judged after each durable step, beside the turns. When one breaks:
            an ERROR in the log, a counter, and the event `procession.invariant_broken`, once for each flow.
        aggregates: what decides commands, from flows and from `send`.
        settings: default: the defaults.
        since: for a process that is new to a journal with history: `{"order": "now"}`, or a position.
        clock: default: the machine's.

    Raises:
        DefinitionError, WiringError: the classes can't work, or break a law for certain; nothing was written.
        JournalOwned: another process owns the journal.
        JournalError: the journal can't be used; says why.
        RuntimeFailed: infrastructure failed more often than `supervision` allows.

    Cancellation: the grace is skipped; the last commit is shielded, bounded by `shutdown.last_commit_s`.
    """
    settings = settings or Settings()
    clock = clock or SystemClock()
    registry = build_registry(processes, gateways, events, lifts, invariants, aggregates)
    _refuse_breaches(registry)
    opening: Opening | None = None
    if isinstance(journal, str | Path):
        journal, opening = await _opened(str(journal), registry, settings, since or {}, clock)
    try:
        engine = Engine(journal, registry, settings, clock)
    except BaseException:
        await journal.close()
        raise
    async with running(engine, since or {}, opening) as runtime:
        yield runtime


def _refuse_breaches(registry: Registry) -> None:
    # Code is read where a runtime opens, not where classes are only named.
    from procession.laws.purity import (  # noqa: PLC0415
        refuse_impure,
        refuse_impure_aggregate,
        refuse_impure_lift,
    )

    for definition in registry.processes.values():
        refuse_impure(definition)
    for aggregate in registry.aggregates.values():
        refuse_impure_aggregate(aggregate)
    for lift in registry.chains:
        refuse_impure_lift(lift)


async def _opened(
    path: str, registry: Registry, settings: Settings, since: Mapping[str, Since], clock: Clock
) -> tuple[Journal, Opening | None]:
    """The journal of a file, and how it fits these classes where there was one: looked at before it is taken over."""
    from procession.journal.sqlite import open_sqlite  # noqa: PLC0415 - a journal in memory needs no SQLite and asyncio

    found: list[Opening] = []

    async def look(reader: JournalReader) -> None:
        found.append(await check(reader, registry, since))

    journal = await open_sqlite(
        path,
        clock_us=clock.now_us,
        synchronous="NORMAL" if settings.journal.synchronous == "NORMAL" else "FULL",
        readers=settings.journal.readers,
        unclean_period_s=settings.journal.unclean_period_s,
        wal_pages_max=settings.journal.wal_pages_max,
        check=look,
    )
    return journal, found[-1] if found else None


@contextlib.asynccontextmanager
async def running(engine: Engine, since: Mapping[str, Since], opening: Opening | None = None) -> AsyncIterator[Runtime]:
    """Run an engine for as long as the block; raises as `open_runtime` while it opens and after."""
    with plain_errors():
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run, dict(since), opening)
            try:
                yield Runtime(engine)
            finally:
                await engine.close()


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """One error, whether it comes from the caller's block or from the engine, comes out as it is, in no group."""
    try:
        yield
    except BaseExceptionGroup as group:
        found: BaseException = group
        while isinstance(found, BaseExceptionGroup) and len(found.exceptions) == 1:
            found = found.exceptions[0]
        if found is group:
            raise
        raise found from found.__cause__
