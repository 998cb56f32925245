"""Operator acts, applied by the flow's own task: they race nothing. Each is itself an event in the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from procession.engine.acts import Act
from procession.engine.flow import Delivery, Flow
from procession.engine.ids import Ids
from procession.engine.ledger import Ledger
from procession.engine.rehydrate import Rehydrator
from procession.engine.router import Origin, Router
from procession.engine.turn import TurnFailed
from procession.engine.turns import Turns
from procession.errors import ActRefused, OutcomeUnknown, ProcessionError
from procession.journal.rows import CommandChange, CommandRow, DeliveryState, FlowStatus, OpenCommand, StepRow
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.event import (
    CancelRequested,
    CommandRetried,
    Event,
    EventSkipped,
    FlowReleased,
    FlowRetried,
)
from procession.telemetry.measures import CANCELLED, Measures
from procession.telemetry.names import Counters

_COMMANDS_PAGE = 500


class Commands(Protocol):
    """What acts need of the gateways."""

    def begin_read(self) -> None:
        """Somebody reads open commands: remember which end meanwhile."""
        ...

    def end_read(self) -> None:
        """What was read has been used."""
        ...

    def cancel(self, command: OpenCommand) -> bool:
        """Cancel an open command; False where it has ended meanwhile."""
        ...

    def check(self, command: OpenCommand) -> None:
        """Whether it can be read; raises what says that it can't be any more."""
        ...

    def send_again(self, ledger: Ledger, command: OpenCommand) -> None:
        """Send a command again once the batch is durable."""
        ...


class Operator:
    """Retry, skip, release and cancel flows; send a command again."""

    def __init__(
        self,
        ledger: Ledger,
        router: Router,
        turns: Turns,
        rehydrator: Rehydrator,
        commands: Commands,
        ids: Ids,
        codec: Codec,
        counters: Counters,
        measures: Measures,
    ) -> None:
        self._ledger = ledger
        self._router = router
        self._turns = turns
        self._rehydrator = rehydrator
        self._commands = commands
        self._ids = ids
        self._codec = codec
        self._counters = counters
        self._measures = measures

    async def apply(self, flow: Flow) -> None:
        """Do the first act that waits for this flow; its caller hears of it once it is durable."""
        act = flow.acts[0]
        try:
            self._codec.encode(CancelRequested(act.by, act.why, act.force))  # before anything is changed
            await self._ledger.wait_durable(flow.written_in)
            if not flow.known or (flow.id == 0 and flow.version == 0):
                raise ActRefused(act.kind, flow.name, "there is no such flow")
            if act.kind == "cancel":
                await self._cancel(flow, act)
            elif act.kind == "retry_command":
                await self._retry_command(flow, act)
            else:
                await self._repair(flow, act)
        except ProcessionError as error:
            flow.acts = flow.acts[1:]
            act.refuse(error)
            return
        flow.acts = flow.acts[1:]
        self._counters.acts_recorded += 1
        self._ledger.when_durable(Receipt(act))

    async def _repair(self, flow: Flow, act: Act) -> None:
        if flow.status != "quarantined":
            raise ActRefused(act.kind, flow.name, f"it is {flow.status}, not in quarantine")
        if flow.state is None:
            await self._load_again(flow, act)
        states: tuple[DeliveryState, ...] = ("quarantined", "pending")
        if flow.life == "unstarted":
            states = (*states, "waiting")
        heads = await self._ledger.journal.deliveries(flow.id, 0, 2, states)
        if act.kind == "skip" and not heads:
            raise ActRefused(act.kind, flow.name, "no event of it waits; release it")
        flow.status, flow.reason = _before_quarantine(flow), None
        if act.kind == "release" or not heads:
            self._record(flow, act, FlowReleased(act.by, act.why))
            self._release(flow)
            return
        head = Delivery(flow, heads[0].event, None, timer=heads[0].row.timer, stored=True)
        if act.kind == "skip":
            self._skip(flow, act, head)
        else:
            self._record(flow, act, FlowRetried(act.by, act.why))
            flow.fired += head.timer is not None
            self._turns.handle(flow, head)
        if flow.is_set_aside():
            return
        if len(heads) == 1:
            self._release(flow)
        else:
            flow.status, flow.reason = "quarantined", "its head is done; later events wait: release it"
            self._ledger.touch(flow)

    def _skip(self, flow: Flow, act: Act, head: Delivery) -> None:
        """A step without effects, never folded, in the head's place."""
        self._record(flow, act, EventSkipped(head.event.position, act.by, act.why))
        flow.version += 1
        self._ledger.step(StepRow(flow.id, flow.version, head.event.position, "skipped", "skipped", None), flow, head)

    def _release(self, flow: Flow) -> None:
        self._ledger.touch(flow)
        self._ledger.filling.commit.resumed.add(flow.id)
        self._counters.flows_released += 1
        flow.mailbox.leave_to_store()

    async def _load_again(self, flow: Flow, act: Act) -> None:
        if act.kind == "skip":
            raise ActRefused("skip", flow.name, "its past can't be folded, and the past can't be skipped")
        try:
            await self._rehydrator.load(flow)
        except (TurnFailed, ProcessionError) as error:
            if not self._rehydrator.is_fault_of_flow(error):
                raise
            raise ActRefused(act.kind, flow.name, f"its past still can't be folded: {error}") from error

    async def _cancel(self, flow: Flow, act: Act) -> None:
        if flow.outcome is not None:
            raise ActRefused("cancel", flow.name, f"it has ended already ({flow.outcome})")
        asked = CancelRequested(act.by, act.why, act.force)
        if not act.force and flow.status == "active" and flow.definition.handles_cancel():
            payload = self._codec.encode(asked).decode()
            row, delivery = self._router.note(asked, payload, Origin(self._ids.fresh()), flow)
            delivery.message = asked
            act.position = row.position
            self._turns.handle(flow, delivery)
            return
        self._commands.begin_read()
        try:
            commands = await self._commands_where(flow, lambda row: row.state == "open")
            self._record(flow, act, asked)
            for command in commands:
                self._cancel_one(command)
        finally:
            self._commands.end_read()
        flow.status, flow.outcome, flow.reason = "cancelled", "cancelled", None
        if flow.started_us == 0:
            flow.started_us = self._ledger.filling.commit.events[-1].recorded_us
        filling = self._ledger.filling
        self._turns.disarm_all(flow)
        filling.ended.append(flow)
        self._ledger.touch(flow)
        self._counters.flows_cancelled += 1
        alive_us = self._ids.now_us() - flow.started_us
        self._measures.processes[flow.process].end(CANCELLED, alive_us / 1_000_000)
        filling.commit.resumed.add(flow.id)
        flow.forget_waiting()
        flow.mailbox.leave_to_store()  # what it has not handled is recorded as late
        if flow.state is None:
            flow.state = flow.definition.cls()

    def _cancel_one(self, command: OpenCommand) -> None:
        try:
            self._commands.cancel(command)
        except ProcessionError:  # it can't be read any more: nobody has it in hand, and its row is all there is
            row = command.row
            change = CommandChange(row, "cancelled", row.attempts, row.due_us, row.log)
            self._ledger.filling.commit.command_changes.append(change)
            self._counters.commands_cancelled += 1
            if row.gateway in self._measures.gateways:
                self._measures.gateways[row.gateway].cancelled += 1

    async def _commands_where(self, flow: Flow, wanted: Callable[[CommandRow], bool]) -> list[OpenCommand]:
        found: list[OpenCommand] = []
        seq = 0
        while True:
            page = await self._ledger.journal.commands(flow.id, seq, _COMMANDS_PAGE)
            found.extend(command for command in page if wanted(command.row))
            if len(page) < _COMMANDS_PAGE:
                return found
            seq = page[-1].row.seq

    async def _retry_command(self, flow: Flow, act: Act) -> None:
        named = await self._commands_where(flow, lambda row: row.id == act.command_id)
        if not named:
            raise ActRefused("retry", act.command_id.hex(), f"{flow.name} has no such command")
        command = named[0]
        if command.row.state != "given_up":
            raise ActRefused("retry", act.command_id.hex(), f"it is {command.row.state}, not given up")
        states: tuple[DeliveryState, ...] = ("quarantined", "pending")
        waiting = await self._ledger.journal.deliveries(flow.id, 0, _COMMANDS_PAGE, states)
        given_up = [found for found in waiting if found.event.caused_by == act.command_id]
        if flow.status != "quarantined" or not given_up:
            raise ActRefused("retry", act.command_id.hex(), "its flow has handled that it was given up")
        self._commands.check(command)
        self._record(flow, act, CommandRetried(act.command_id.hex(), act.by, act.why))
        for found in given_up:
            delivery = Delivery(flow, found.event, None, stored=True)
            self._turns.unhandled(delivery, "withdrawn")
        row = command.row._replace(log=_counted_again(command.row.log))
        command = command._replace(row=row)
        now_us = self._ledger.filling.commit.events[-1].recorded_us
        change = CommandChange(row, "open", 0, now_us, row.log)
        self._ledger.filling.commit.command_changes.append(change)
        self._commands.send_again(self._ledger, command)
        flow.status, flow.reason = "active", None
        self._release(flow)

    def _record(self, flow: Flow, act: Act, event: Event) -> None:
        """The act as an event of the flow, with a step of its own that is never folded."""
        payload = self._codec.encode(event).decode()
        row, delivery = self._router.note(event, payload, Origin(self._ids.fresh()), flow)
        act.position = row.position
        flow.version += 1
        self._ledger.step(StepRow(flow.id, flow.version, row.position, "act", act.kind, None), flow, delivery)


def _counted_again(log: str | None) -> str:
    """A command's log, whose first entry, which always stays, counts how often the command was sent again."""
    entries: list[dict[str, Any]] = from_json(log) if log else [{"n": 0, "at_us": 0, "found": "no attempt was made"}]
    entries[0]["sent_again"] = entries[0].get("sent_again", 0) + 1
    return to_json(entries).decode()


def _before_quarantine(flow: Flow) -> FlowStatus:
    if flow.outcome is not None:
        return "ended"
    return "active" if flow.started_us else "unstarted"


class Receipt:
    """Tells an act's caller that it is durable."""

    def __init__(self, act: Act) -> None:
        self._act = act

    def durable(self) -> None:
        """The act stands."""
        self._act.done.set()

    def failed(self, error: Exception) -> None:
        """Its commit failed; whether it stands is not known."""
        self._act.refuse(OutcomeUnknown((self._act.kind,), str(error)))
