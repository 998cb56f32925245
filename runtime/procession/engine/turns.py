"""What a flow makes of a delivery: a step, a place among the waiting, or a record that no turn handled it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import NamedTuple

from procession.engine.clock import Clock
from procession.engine.envelopes import envelope_of, message_of
from procession.engine.flow import Delivery, Flow
from procession.engine.guard import Guard
from procession.engine.histories import DurableTurn
from procession.engine.ledger import Ledger
from procession.engine.outbox import NewFact, Orders, Outbox
from procession.engine.quarantine import Quarantine
from procession.engine.router import Origin, Router
from procession.engine.shadow_host import Shadow
from procession.engine.state_snapshots import StateSnapshots
from procession.engine.tracing import Tracing, TurnSpan
from procession.engine.turn import FACTS_DEPTH_MAX, Place, Turn, TurnFailed, place, run_turn, shown
from procession.engine.turn_watch import AtWork
from procession.errors import ImpureTurn, ProcessionError
from procession.journal.rows import CommandRow, DeliveryRow, StepRow, TimerRow, UnhandledReason
from procession.primitives.codec import bytes_of
from procession.primitives.command import Command
from procession.primitives.definition import Reaction
from procession.primitives.event import CommandRefused, Event
from procession.primitives.history import Turned
from procession.primitives.registry import Registry
from procession.settings import FlowsSettings
from procession.telemetry.measures import Measures
from procession.telemetry.names import Counters
from procession.telemetry.trace_context import within


class SentCommand(NamedTuple):
    """A command whose row joins the batch; it leaves when the batch is durable."""

    row: CommandRow
    command: Command
    flow: Flow
    correlation: bytes
    trace: str | None


class Turns:
    """Runs turns and puts what they leave into the ledger. Synchronous: one delivery is answered whole."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        router: Router,
        outbox: Outbox,
        quarantine: Quarantine,
        counters: Counters,
        measures: Measures,
        clock: Clock,
        *,
        send: Callable[[SentCommand], None],
        arm: Callable[[Flow, TimerRow], None],
        disarm: Callable[[Flow, str], None],
        snapshots: StateSnapshots,
        limits: FlowsSettings,
        guard: Guard,
        shadow: Shadow | None,
        at_work: AtWork,
        tracing: Tracing | None = None,
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._router = router
        self._outbox = outbox
        self._quarantine = quarantine
        self._counters = counters
        self._measures = {registry.processes[name]: found for name, found in measures.processes.items()}
        self._clock = clock
        self._send = send
        self._arm = arm
        self._disarm = disarm
        self._snapshots = snapshots
        self._effects_max = limits.effects_per_turn_max
        self._waiting_max = limits.waiting_events_max
        self._guard = guard
        self._shadow = shadow
        self._tracing = tracing
        self._at_work = at_work

    def handle(self, flow: Flow, delivery: Delivery) -> None:
        """Answer one delivery of a flow that is known and not in quarantine."""
        if delivery.settled:
            return
        if delivery.timer is not None:
            flow.fired -= 1
        try:
            event = delivery.message if delivery.message is not None else message_of(self._registry, delivery.event)
        except ProcessionError as error:
            self._quarantine.set_aside(flow, delivery, "decode", str(error))
            return
        reaction = flow.definition.reaction(event)
        where = place(flow.life, reaction, event)
        if where == "step":
            self._step(flow, delivery, event, reaction, depth=0)
        elif where == "wait":
            self._wait(flow, delivery)
        elif where == "quarantine":
            self._quarantine.set_aside(flow, delivery, "policy", f"{delivery.event.type} came {_when(flow)}")
        elif where == "given_up":
            self._quarantine.set_aside(flow, delivery, "given_up", _unanswered(event))
        else:
            self.unhandled(delivery, _reason(where, flow, delivery))

    def unhandled(self, delivery: Delivery, reason: UnhandledReason) -> None:
        """Record that no turn handles this delivery, and count it."""
        self._ledger.unhandled(delivery, reason)
        if reason == "late_answer":
            self._counters.answers_late += 1
        else:
            name = f"events_{reason}"
            setattr(self._counters, name, getattr(self._counters, name) + 1)

    def disarm_all(self, flow: Flow) -> None:
        """No timer of this flow fires any more."""
        self._disarm(flow, "")

    def _wait(self, flow: Flow, delivery: Delivery) -> None:
        if len(flow.waiting) >= self._waiting_max:
            self.unhandled(delivery, "missing")
            return
        self._ledger.touch(flow)
        flow.keep_waiting(delivery)
        if delivery.stored:  # it came as one of many that are pending
            row = DeliveryRow(flow.id, delivery.event.position, "waiting", delivery.timer, delivery.marks)
            self._ledger.filling.commit.deliveries[flow.id, delivery.event.position] = row

    def _step(self, flow: Flow, delivery: Delivery, event: Event, reaction: Reaction | None, depth: int) -> None:
        if flow.version == 0:
            flow.trace = delivery.event.trace
        tracing = self._tracing
        span = None if tracing is None or flow.trace is None else tracing.begin_turn(flow)
        if span is None:
            self._take(flow, delivery, event, reaction, depth, None)
        else:
            with within(flow.name, span.context):
                self._take(flow, delivery, event, reaction, depth, span)

    def _take(
        self,
        flow: Flow,
        delivery: Delivery,
        event: Event,
        reaction: Reaction | None,
        depth: int,
        span: TurnSpan | None,
    ) -> None:
        assert flow.state is not None, "a flow is folded before it takes a turn"
        measures = self._measures[flow.definition]
        waited_us, began = self._clock.now_us() - delivery.event.recorded_us, perf_counter()
        flow.unsaved_bytes += bytes_of(delivery.event.payload)
        try:
            turn, orders, snapshot = self._run(flow, delivery, event)
        except TurnFailed as error:
            self._quarantine.set_aside(flow, delivery, error.handler, str(error))
            if self._tracing is not None and span is not None:
                self._tracing.turn_failed(self._ledger, flow, span, delivery.event, error)
            return
        measures.turn.observe(perf_counter() - began)
        measures.wait.observe(waited_us / 1_000_000)
        self._went_well(flow, reaction, turn)
        started = flow.started_us == 0
        if started:
            flow.started_us, flow.status = delivery.event.recorded_us, "active"
            self._counters.flows_started += 1
            measures.started += 1
        flow.state = turn.state
        flow.version += 1
        self._ledger.touch(flow)
        step = StepRow(flow.id, flow.version, delivery.event.position, "handled", turn.name, orders.effects)
        self._ledger.step(step, flow, delivery)
        if flow.process in self._registry.invariants:
            turned = Turned(event, turn.name, turn.effects, turn.outcome)
            self._ledger.filling.turned.append((flow, DurableTurn(flow.version, delivery.event, turned)))
        if self._tracing is not None and span is not None:
            self._tracing.turned(self._ledger, flow, span, delivery.event, turn.name, orders)
        self._order(flow, delivery, orders)
        if turn.outcome is not None:
            self._end(flow, turn.outcome)
        elif snapshot is not None and (row := self._snapshots.take(flow, snapshot)) is not None:
            self._ledger.filling.commit.snapshots.append(row)
        for fact in orders.facts:
            self._fact(flow, delivery, fact, depth, flow.trace if span is None else span.context.text)
        if started and flow.waiting:
            self._take_waiting(flow)

    def _went_well(self, flow: Flow, reaction: Reaction | None, turn: Turn) -> None:
        self._quarantine.handled(flow.process, turn.name)
        if reaction is not None and reaction.fold is not None and reaction.fold.name != turn.name:
            self._quarantine.handled(flow.process, reaction.fold.name)  # its failures are counted under its own name
        self._counters.turns_handled += 1

    def _run(self, flow: Flow, delivery: Delivery, event: Event) -> tuple[Turn, Orders, str | None]:
        """The turn, tried twice: a pure turn fails the same way again, and then it is the flow's fault.

        With it, what it leaves: rows, and a snapshot's text where one is due.

        One that is not pure is not tried again: what it did may be hidden in a cache by then.
        """
        assert flow.state is not None, "a flow is folded before it takes a turn"
        sampled = None if self._shadow is None else self._shadow.begin(flow, delivery, event)
        at_work = self._at_work
        for last in (False, True):
            at_work.count += 1
            at_work.what, at_work.position = flow, delivery.event.position
            try:
                turn = run_turn(
                    flow.definition,
                    flow.state,
                    event,
                    flow.life,
                    lambda: envelope_of(delivery.event),
                    self._effects_max,
                    self._guard,
                )
                orders = self._outbox.orders(delivery, turn)
                snapshot = None
                if turn.outcome is None:
                    snapshot = self._snapshots.due(flow, turn.state, turn.name, 1)
            except TurnFailed as failed:
                self._counters.turns_failed += 1
                if last or isinstance(failed.__cause__, ImpureTurn):
                    raise
            else:
                if self._shadow is not None and sampled is not None:
                    self._shadow.offer(flow, sampled, turn)
                return turn, orders, snapshot
            finally:
                at_work.what = None
        raise AssertionError("a turn is tried twice")

    def _order(self, flow: Flow, delivery: Delivery, orders: Orders) -> None:
        commit = self._ledger.filling.commit
        correlation = delivery.event.correlation or delivery.event.id
        for new in orders.commands:
            row = CommandRow(
                self._ledger.next_command(),
                new.id,
                flow.id,
                delivery.event.position,
                new.at,
                new.type,
                new.receiver.name,
                "open",
                0,
                delivery.event.recorded_us,
                None,
            )
            commit.commands.append(row)
            trace = flow.trace
            if trace is not None and self._tracing is not None:
                trace = self._tracing.of_effect(trace, new.id)
            self._send(SentCommand(row, new.command, flow, correlation, trace))
        for name, timer in orders.timers:
            for older in self._registry.older_names(name):
                self._withdraw(flow, older)
                self._disarm(flow, older)
            self._withdraw(flow, name)
            if timer is None:
                self._disarm(flow, name)
            else:
                self._arm(flow, TimerRow(flow.id, *timer[1:]))

    def _withdraw(self, flow: Flow, name: str) -> None:
        """A deadline that has fired and is not handled is withdrawn with its timer."""
        if flow.fired:
            for delivery in [held for held in flow.mailbox if held.timer == name]:
                flow.mailbox.remove(delivery)
                flow.fired -= 1
                self.unhandled(delivery, "withdrawn")
        if flow.mailbox.more:
            for delivery in self._ledger.withdraw(flow, name):
                self.unhandled(delivery, "withdrawn")

    def _fact(self, flow: Flow, cause: Delivery, fact: NewFact, depth: int, trace: str | None) -> None:
        correlation = cause.event.correlation or cause.event.id
        origin = Origin(fact.id, caused_by=cause.event.id, correlation=correlation, trace=trace)
        _, delivery = self._router.note(fact.event, fact.payload.decode(), origin, flow)
        self._counters.facts_recorded += 1
        if flow.status == "quarantined":
            return
        if depth >= FACTS_DEPTH_MAX:
            self._quarantine.set_aside(flow, delivery, "record", f"recorded facts {FACTS_DEPTH_MAX} deep")
            return
        event = delivery.message
        if event is None:
            found = f"{type(fact.event).__name__} was recorded, and can't be lifted"
            self._quarantine.set_aside(flow, delivery, "decode", found)
            return
        reaction = flow.definition.reaction(event)
        where = place(flow.life, reaction, event)
        if where == "step":
            self._step(flow, delivery, event, reaction, depth + 1)
        else:
            self.unhandled(delivery, _reason(where, flow, delivery))

    def _end(self, flow: Flow, outcome: str) -> None:
        flow.status, flow.outcome = "ended", outcome
        self._disarm(flow, "")
        self._ledger.filling.ended.append(flow)
        self._counters.flows_ended += 1
        self._measures[flow.definition].end(outcome, (self._clock.now_us() - flow.started_us) / 1_000_000)

    def _take_waiting(self, flow: Flow) -> None:
        """Events that waited for the start follow it, in journal order, before anything newer."""
        self._ledger.filling.commit.resumed.add(flow.id)
        waiting: Iterable[Delivery] = [flow.waiting[position] for position in sorted(flow.waiting)]
        flow.forget_waiting()
        flow.mailbox.put_first(waiting)


def _unanswered(event: Event) -> str:
    if isinstance(event, CommandRefused):
        return f"{event.aggregate}/{event.key} refused a command and no handler answers: {shown(event.refusal, repr)}"
    return f"a command was given up and no handler answers: {getattr(event, 'found', '')}"


def _when(flow: Flow) -> str:
    return "before its flow started" if flow.life == "unstarted" else "after its flow ended"


def _reason(where: Place, flow: Flow, delivery: Delivery) -> UnhandledReason:
    if where == "late":
        return "late" if delivery.event.caused_by is None else "after_end"
    if where == "missing":
        return "missing"
    if where == "already_started":
        return "already_started"
    return "after_end" if flow.life == "ended" and delivery.event.caused_by is not None else "ignored"
