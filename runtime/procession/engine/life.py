"""One life of the engine: everything that a failed commit throws away and reads again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs

from procession.engine.aggregate_host import AggregateHost
from procession.engine.aggregate_inbox import AggregateInbox
from procession.engine.answers import Answers, Desk
from procession.engine.clock import Clock
from procession.engine.decisions import Decisions
from procession.engine.delivery import Gateways
from procession.engine.flow_host import FlowHost
from procession.engine.flow_table import FlowTable
from procession.engine.guard import Guard
from procession.engine.ids import Ids
from procession.engine.intake import Intake
from procession.engine.invariant_watch import InvariantWatch
from procession.engine.ledger import Ledger
from procession.engine.operator import Operator
from procession.engine.outbox import Outbox
from procession.engine.quarantine import Quarantine
from procession.engine.receivers import Receivers
from procession.engine.rehydrate import Rehydrator
from procession.engine.router import Router
from procession.engine.shadow_host import Shadow
from procession.engine.solo import Solo
from procession.engine.state_snapshots import StateSnapshots
from procession.engine.timers import Timers
from procession.engine.tracing import Tracing
from procession.engine.turn_watch import AtWork, Suspects
from procession.engine.turns import SentCommand, Turns
from procession.engine.watch import Watch
from procession.journal.journal import Journal
from procession.journal.rows import Heads
from procession.primitives.registry import Registry
from procession.settings import Settings
from procession.telemetry.measures import Measures
from procession.telemetry.names import Counters


@attrs.frozen
class Lasting:
    """What outlives a failed commit."""

    journal: Journal
    registry: Registry
    settings: Settings
    clock: Clock
    ids: Ids
    counters: Counters
    measures: Measures
    answers: Answers
    gateways: Gateways
    watch: Watch
    invariants: InvariantWatch
    fingerprints: Mapping[str, str]
    guard: Guard
    shadow: Shadow | None
    """None where no turn is replayed."""
    tracing: Tracing | None = None
    """None where no flow is traced."""
    guilty: dict[tuple[str, str], str] = attrs.field(factory=dict)
    """Flows whose commit was rejected while they ran alone."""
    at_work: AtWork = attrs.field(factory=AtWork)
    suspects: Suspects = attrs.field(factory=Suspects)


@attrs.frozen
class Life:
    """The parts of one life. Nothing in here is used again after a failed commit."""

    ledger: Ledger
    table: FlowTable
    router: Router
    quarantine: Quarantine
    timers: Timers
    turns: Turns
    host: FlowHost
    intake: Intake
    aggregates: AggregateHost
    solo: Solo

    @property
    def desk(self) -> Desk:
        """What answers are written to."""
        return Desk(self.ledger, self.router, self.table, self.turns, self.solo)

    def idle(self) -> bool:
        """No turn runs, nothing waits for a commit."""
        resting = self.table.awake == 0 and self.ledger.idle() and self.intake.idle() and not self.host.recovering
        return resting and self.aggregates.idle()


def assemble(lasting: Lasting, heads: Heads) -> Life:
    """Build the parts and connect them."""
    settings, counters, clock, ids = lasting.settings, lasting.counters, lasting.clock, lasting.ids
    registry, journal, flows = lasting.registry, lasting.journal, settings.flows
    measures = lasting.measures
    ledger = Ledger(journal, heads, clock, counters, measures)
    solo = Solo(ledger, lasting.guilty, lasting.answers.kept)
    table = FlowTable(counters, flows, lambda: ledger.durable_number)
    router = Router(registry, ledger, table, clock, counters, keys_per_event_max=settings.intake.keys_per_event_max)
    quarantine = Quarantine(ledger, router, ids, counters, measures, pause=table.paused.add, limits=settings.processes)
    tracing = lasting.tracing
    timers = Timers(
        registry,
        ledger,
        router,
        table,
        ids,
        clock,
        counters,
        measures,
        solo=solo,
        limits=settings.timers,
        tracing=tracing,
    )
    inbox = AggregateInbox(registry, ledger, commands_max=settings.aggregates.commands_loaded_max, tracing=tracing)
    turns = Turns(
        registry,
        ledger,
        router,
        Outbox(registry, ids, clock, lasting.answers.payloads),
        quarantine,
        counters,
        measures,
        clock,
        send=_sender(lasting, ledger, inbox, solo),
        arm=timers.arm,
        disarm=timers.disarm,
        snapshots=_flow_snapshots(lasting),
        limits=flows,
        guard=lasting.guard,
        shadow=lasting.shadow,
        tracing=tracing,
        at_work=lasting.at_work,
    )
    rehydrator = _rehydrator(lasting)
    decisions = _decisions(lasting, ledger, router, table)
    aggregates = AggregateHost(
        ledger,
        decisions,
        rehydrator,
        inbox,
        counters,
        solo=solo,
        suspects=lasting.suspects,
        cached_max=settings.aggregates.cached_max,
        slice_ms=flows.turn_slice_ms,
    )
    commands = Receivers(lasting.gateways, inbox, decisions, registry)
    operator = Operator(ledger, router, turns, rehydrator, commands, ids, registry.codec, counters, measures)
    host = FlowHost(
        table, ledger, turns, rehydrator, quarantine, operator, solo=solo, suspects=lasting.suspects, limits=flows
    )
    intake = _intake(lasting, ledger, router, table, aggregates, solo)
    ledger.subscribers.extend((lasting.gateways.on_durable, lasting.watch.on_durable, lasting.invariants.on_durable))
    if tracing is not None:
        ledger.subscribers.append(tracing.on_durable)
    ledger.run_ready = _run_ready(host, aggregates) if registry.aggregates else host.run_ready
    host.on_idle = lasting.watch.stir
    return Life(ledger, table, router, quarantine, timers, turns, host, intake, aggregates, solo)


def _intake(
    lasting: Lasting, ledger: Ledger, router: Router, table: FlowTable, aggregates: AggregateHost, solo: Solo
) -> Intake:
    return Intake(
        ledger,
        router,
        table,
        lasting.ids,
        lasting.counters,
        aggregates,
        solo=solo,
        events_max=lasting.settings.intake.events_max,
        rows_max=lasting.settings.commit.rows_max,
        payloads=lasting.answers.payloads,
        tracing=lasting.tracing,
    )


def _decisions(lasting: Lasting, ledger: Ledger, router: Router, table: FlowTable) -> Decisions:
    settings = lasting.settings
    return Decisions(
        lasting.registry,
        ledger,
        router,
        table,
        lasting.ids,
        lasting.counters,
        lasting.guard,
        snapshots=_aggregate_snapshots(lasting),
        limits=settings.aggregates,
        payloads=lasting.answers.payloads,
        at_work=lasting.at_work,
        tracing=lasting.tracing,
    )


def _flow_snapshots(lasting: Lasting) -> StateSnapshots:
    flows, of = lasting.settings.flows, (lasting.registry.codec, lasting.counters, lasting.fingerprints)
    return StateSnapshots(*of, flows.snapshot_every_steps, flows.state_bytes_max, "flows.state_bytes_max")


def _aggregate_snapshots(lasting: Lasting) -> StateSnapshots:
    limits, of = lasting.settings.aggregates, (lasting.registry.codec, lasting.counters, lasting.fingerprints)
    return StateSnapshots(*of, limits.snapshot_every_events, limits.state_bytes_max, "aggregates.state_bytes_max")


def _rehydrator(lasting: Lasting) -> Rehydrator:
    flows = lasting.settings.flows
    return Rehydrator(
        lasting.registry,
        lasting.journal,
        lasting.counters,
        lasting.fingerprints,
        slice_steps=flows.load_slice_steps,
        snapshot_every=flows.snapshot_every_steps,
        guard=lasting.guard,
    )


def _sender(lasting: Lasting, ledger: Ledger, inbox: AggregateInbox, solo: Solo) -> Callable[[SentCommand], None]:
    """Where the commands of turns go."""
    deciders = lasting.registry.deciders

    def to_gateway(sent: SentCommand) -> None:
        lasting.gateways.send(ledger, sent)

    def to_receiver(sent: SentCommand) -> None:
        if type(sent.command) in deciders:
            inbox.send(sent, alone=solo.active)
        else:
            to_gateway(sent)

    return to_receiver if deciders else to_gateway


def _run_ready(host: FlowHost, aggregates: AggregateHost) -> Callable[[], Awaitable[None]]:
    """Turns, the decisions that they ask for, and the turns of what was decided share a commit.

    No more rounds than that: a flow and an aggregate that answer each other for ever do not fill one for ever.
    """

    async def run() -> None:
        await host.run_ready()
        aggregates.run_ready()
        await host.run_ready()

    return run
