"""Opening a runtime: its journal looked at, its engine run, both closed in order."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import trio

from procession.engine.clock import Clock, SystemClock
from procession.engine.engine import Engine
from procession.engine.host_loop import refuse_hostless
from procession.engine.opening import Opening, Since, check
from procession.engine.turn_watch import SUFFIX, read_suspects, turns_watched
from procession.exporting import Exporting, exporting
from procession.facade import Runtime
from procession.journal.journal import Journal, JournalReader
from procession.journal.ownership import HeldJournal
from procession.measuring import measured
from procession.primitives.aggregate import Aggregate
from procession.primitives.event import Event
from procession.primitives.gateway import Gateway
from procession.primitives.injector import Injector, events_brought, refuse_namesakes
from procession.primitives.invariant import Invariant
from procession.primitives.lifts import AnyLift
from procession.primitives.process import ProcessManager
from procession.primitives.projector import Projector
from procession.primitives.registration import build_registry
from procession.primitives.registry import Registry
from procession.primitives.resources import Plan, plan_resources
from procession.projections.view import RunningProjections
from procession.settings import ResourcesSettings, Settings

logger = logging.getLogger("procession")


@contextlib.asynccontextmanager
async def open_runtime(
    journal: str | Path | HeldJournal | Journal,
    *,
    processes: Sequence[type[ProcessManager]] = (),
    gateways: Sequence[Gateway | type[Gateway]] = (),
    events: Sequence[type[Event]] = (),
    lifts: Sequence[AnyLift] = (),
    invariants: Sequence[Invariant] = (),
    projectors: Sequence[type[Projector]] = (),
    projections: str | Path | None = None,
    injectors: Sequence[Injector | type[Injector]] = (),
    resources: Mapping[str, object] | None = None,
    aggregates: Sequence[type[Aggregate]] = (),
    settings: Settings | None = None,
    since: Mapping[str, Since] | None = None,
    clock: Clock | None = None,
    tracer_provider: object | None = None,
) -> AsyncIterator[Runtime]:
    """Open a runtime on a journal; leaving the block closes it in order.

        async with open_runtime("orders.db", processes=[Order], gateways=[Payments(client)]) as runtime:
            await runtime.publish(OrderPlaced("421", 4200), id="421/placed", source="shop")

    Args:
        journal: path of an SQLite file, made where there is none, owned from before resources are opened until they are
            closed; or an open journal, which is closed at the end.
        processes: the process managers.
        gateways: one each; with the aggregates they take every command that the processes send. An instance, or a class
            whose fields are filled by name from the resources.
        events: further event types that may be published.
        lifts: from event types of old to those that handlers take.
        invariants: what must hold of every flow; judged after each durable step, beside the turns. When one breaks:
            an ERROR in the log, a counter, and the event `procession.invariant_broken`, once for each flow.
        projectors: what folds events into projections, which `Runtime.query` asks.
        projections: the folder in which their stores lie; default: `projectors.folder` of the settings, or a folder
            beside the journal. The stores of a journal in memory are in memory too, unless a folder is named.
        injectors: what brings outside facts in; instances or classes, as gateways.
        resources: what classes are given, by name: plain values, and factories of context managers, which may take
            other resources by their parameters' names. They are opened before anything runs, each after what it needs,
            and closed in the reverse order after the last commit.
        aggregates: what decides commands, from flows and from `send`.
        settings: default: the defaults.
        since: for a process that is new to a journal with history: `{"order": "now"}`, or a position.
        clock: default: the machine's.
        tracer_provider: of opentelemetry-sdk, for traces; default: as `telemetry.otlp_endpoint` of the settings says.

    Raises:
        DefinitionError, WiringError, SettingsError: what is given can't work, or breaks a law; nothing was written.
        ResourceFailed: a resource can't be opened (the journal was not touched), failed in use, or can't be closed.
        JournalOwned, JournalError: the journal is another process's, or can't be used; says why.
        StoreUnusable, ProjectionChanged: the store of a projection can't be used; nothing was written.
        RuntimeFailed: infrastructure failed more often than `supervision` allows.

    Cancellation: the grace is skipped; the last commit is shielded, bounded by `shutdown.last_commit_s`.
    """
    settings, clock, since = settings or Settings(), clock or SystemClock(), since or {}
    registry = build_registry(
        processes, gateways, (*events, *events_brought(injectors)), lifts, invariants, aggregates, projectors
    )
    _refuse_breaches(registry)
    plan = plan_resources(resources or {}, takers_of(gateways, injectors))
    with plain_errors():
        async with _surroundings(journal, clock, plan, settings, tracer_provider) as (place, ready, traces):
            brought = _made(plan, ready, registry, injectors)
            stores = _stores_of(registry, projections or settings.projectors.folder, place)
            engine, opening = await _engine_on(place, registry, settings, since, clock, traces)
            with _turns_watched(engine, place):
                async with running(engine, since, opening, brought, stores) as runtime:
                    traces.send(runtime.measuring)
                    yield runtime


def takers_of(
    gateways: Iterable[Gateway | type[Gateway]], injectors: Iterable[Injector | type[Injector]]
) -> list[tuple[str, type, str]]:
    """All that is given as a class, and so takes its fields from the resources: kind, class and site."""
    return [
        *(("gateway", one, one.__gateway__.site) for one in gateways if isinstance(one, type)),
        *(("injector", one, one.__injector__.site) for one in injectors if isinstance(one, type)),
    ]


@contextlib.asynccontextmanager
async def _surroundings(
    journal: str | Path | HeldJournal | Journal, clock: Clock, plan: Plan, settings: Settings, provider: object | None
) -> AsyncIterator[tuple[HeldJournal | Journal, Mapping[str, object], Exporting]]:
    """The journal, whose file is owned; then the resources: who is refused takes nothing that the owner needs."""
    owning: contextlib.AbstractAsyncContextManager[HeldJournal | Journal]
    if isinstance(journal, str | Path):
        from procession.journal.holding import held  # noqa: PLC0415 - as in `_opened`

        owning = held(journal, clock.now_us())
    else:
        owning = contextlib.nullcontext(journal)
    async with (
        exporting(settings, provider) as traces,
        owning as place,
        _resources_of(plan, settings.resources) as ready,
    ):
        yield place, ready, traces


def _made(
    plan: Plan,
    ready: Mapping[str, object],
    registry: Registry,
    injectors: Sequence[Injector | type[Injector]],
) -> list[Injector]:
    """Gateways in the registry, and injectors, that were given as classes, made of the resources that are ready."""
    registry.gateways |= {
        name: plan.made(one, ready) for name, one in registry.gateways.items() if isinstance(one, type)
    }
    brought = [plan.made(one, ready) if isinstance(one, type) else one for one in injectors]
    refuse_namesakes(brought)
    return brought


def _resources_of(
    plan: Plan, limits: ResourcesSettings
) -> contextlib.AbstractAsyncContextManager[Mapping[str, object]]:
    if not plan.factories:
        return contextlib.nullcontext(plan.values)
    # What opens resources is loaded where there are some.
    from procession.engine.resource_host import opened  # noqa: PLC0415

    return opened(plan, limits)


def _refuse_breaches(registry: Registry) -> None:
    refuse_hostless(registry.gateways)
    # Code is read where a runtime opens, not where classes are only named.
    from procession.laws.purity import refuse_impure, refuse_impure_aggregate, refuse_impure_lift  # noqa: PLC0415

    for definition in registry.processes.values():
        refuse_impure(definition)
    for aggregate in registry.aggregates.values():
        refuse_impure_aggregate(aggregate)
    for lift in registry.chains:
        refuse_impure_lift(lift)
    if registry.projections:
        from procession.laws.projector_scan import refuse_impure_projection  # noqa: PLC0415 - where there are some

        for projection in registry.projections.values():
            refuse_impure_projection(projection)


async def _engine_on(
    place: HeldJournal | Journal,
    registry: Registry,
    settings: Settings,
    since: Mapping[str, Since],
    clock: Clock,
    traces: Exporting,
) -> tuple[Engine, Opening | None]:
    """An engine on the journal, which is closed where none can be made; and what its opening found."""
    journal, opening = await _opened(place, registry, settings, since, clock)
    try:
        engine = Engine(journal, registry, settings, clock, spans=traces.spans)
    except BaseException:
        await journal.close()
        raise
    traces.count_in(engine)
    return engine, opening


async def _opened(
    place: HeldJournal | Journal, registry: Registry, settings: Settings, since: Mapping[str, Since], clock: Clock
) -> tuple[Journal, Opening | None]:
    """The journal of a file, and how it fits these classes where there was one: looked at before it is taken over."""
    if not isinstance(place, HeldJournal):
        return place, None
    from procession.journal.sqlite import open_sqlite  # noqa: PLC0415 - a journal in memory needs no SQLite and asyncio

    found: list[Opening] = []

    async def look(reader: JournalReader) -> None:
        found.append(await check(reader, registry, since))

    journal = await open_sqlite(
        place.path,
        clock_us=clock.now_us,
        synchronous="NORMAL" if settings.journal.synchronous == "NORMAL" else "FULL",
        readers=settings.journal.readers,
        unclean_period_s=settings.journal.unclean_period_s,
        wal_pages_max=settings.journal.wal_pages_max,
        check=look,
        lock=place.lock,
    )
    return journal, found[-1] if found else None


@contextlib.contextmanager
def _turns_watched(engine: Engine, place: HeldJournal | Journal) -> Iterator[None]:
    """Name turns that do not return, where there is a file beside which they can be written down."""
    if not isinstance(place, HeldJournal):
        yield
        return
    suspects = engine.lasting.suspects
    suspects.path = place.lock.path + SUFFIX
    suspects.found = read_suspects(suspects.path)
    for suspect in suspects.found.values():
        logger.warning("the last run ended in a turn that did not return: %s; that flow is set aside", suspect)
    with turns_watched(engine.lasting.at_work, suspects, engine.settings.flows.turn_returns_s):
        yield


@contextlib.asynccontextmanager
async def running(
    engine: Engine,
    since: Mapping[str, Since],
    opening: Opening | None = None,
    injectors: Sequence[Injector] = (),
    stores: str | None = None,
) -> AsyncIterator[Runtime]:
    """Run an engine for as long as the block; raises as `open_runtime` while it opens and after."""
    with plain_errors():
        async with _projections_of(engine, stores) as projections, trio.open_nursery() as nursery:
            await nursery.start(engine.run, dict(since), opening)
            runtime = Runtime(engine, projections)
            try:
                async with (
                    measured(runtime.measuring, engine.settings),
                    _projecting(engine, runtime, projections),
                    _injecting(engine, runtime, injectors, nursery),
                ):
                    yield runtime
            finally:
                await engine.close()


@contextlib.asynccontextmanager
async def _projections_of(engine: Engine, stores: str | None) -> AsyncIterator[RunningProjections | None]:
    """The stores of the projections, checked before the engine begins; closed when all has ended. None without any."""
    if not engine.registry.projections:
        yield None
        return
    # What folds events into stores is loaded where there are some.
    from procession.projections.projections import Projections  # noqa: PLC0415

    projections = Projections(engine.registry, engine.lasting.journal, engine.settings, engine.clock, stores)
    complete = False
    try:
        await projections.open()
        complete = True
        yield projections
    finally:
        await projections.close()
        if not complete:
            with trio.CancelScope(shield=True):
                await engine.lasting.journal.close_clean()


@contextlib.asynccontextmanager
async def _projecting(engine: Engine, runtime: Runtime, projections: RunningProjections | None) -> AsyncIterator[None]:
    """Keep the projections live for as long as the block."""
    if projections is None:
        yield
        return
    async with trio.open_nursery() as nursery:
        await nursery.start(projections.run, engine.watch, engine.counters)
        runtime.beside.append(projections.actor)
        try:
            yield
        finally:
            nursery.cancel_scope.cancel()


def _stores_of(registry: Registry, named: str | Path | None, place: HeldJournal | Journal) -> str | None:
    """The folder in which the stores of projections lie; None: in memory, or there are no projections.

    Raises:
        StoreUnusable: that folder can't be used.
    """
    beside = place.path if isinstance(place, HeldJournal) and not named else None
    if not registry.projections or not (named or beside):
        return None
    from procession.projections.folder import StoreFolder, folder_of  # noqa: PLC0415 - as above

    path = folder_of(beside) if beside else str(named)
    StoreFolder(path).check(make=beside is not None)
    return path


@contextlib.asynccontextmanager
async def _injecting(
    engine: Engine, runtime: Runtime, injectors: Sequence[Injector], nursery: trio.Nursery
) -> AsyncIterator[None]:
    """Injectors run for as long as the block, in the runtime's nursery; they end before anything else does."""
    if not injectors:
        yield
        return
    # What runs injectors is loaded where there are some.
    from procession.injecting import Injecting  # noqa: PLC0415

    injecting = Injecting(engine, runtime, injectors)
    runtime.beside.append(injecting.info)
    nursery.start_soon(injecting.run)
    try:
        yield
    finally:
        await injecting.close()


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
