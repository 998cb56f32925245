"""One flow's recorded events through the code at hand, turn by turn, beside what its steps recorded."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs

from procession.actors.mailbox import Mailbox
from procession.engine.envelopes import envelope_of, message_of
from procession.engine.flow import Delivery, Flow
from procession.engine.ids import Ids
from procession.engine.outbox import NewFact, Orders, Outbox
from procession.engine.payloads import Payloads
from procession.engine.turn import Life, Turn, TurnFailed, fold, place, run_turn
from procession.errors import InvalidPayload, ProcessionError, UnknownType
from procession.journal.rows import EventRow, FlowRow, Stepped, TimerRow
from procession.laws.secret_marks import Marks
from procession.primitives.codec import from_json, to_json
from procession.primitives.definition import Definition, Reaction
from procession.primitives.event import Event
from procession.primitives.handlers import trigger_name, trigger_of
from procession.primitives.process import ProcessManager
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.reading.comparison import Change, asked_for, changes_of, commands_in, fields_changed, shortened


@attrs.define
class _Moment:
    """The time of the turn that is run, for the outbox: when its event was accepted."""

    us: int = 0
    drifts: bool = False

    def now_us(self) -> int:
        return self.us


class Code:
    """The code at hand: its classes, and the outbox that writes what they yield as the engine's does."""

    def __init__(
        self, registry: Registry, journal_id: bytes, *, payload_bytes_max: int, effects_per_turn_max: int
    ) -> None:
        self._moment = _Moment()
        self._ids = Ids(self._moment, journal_id)
        quiet = Payloads(payload_bytes_max, payload_bytes_max, {})  # the engine told of those that are large
        self._outbox = Outbox(registry, self._ids, self._moment, quiet)
        self._effects_max = effects_per_turn_max
        self.registry = registry
        messages = (*registry.events.values(), *registry.commands.values(), *registry.refusals.values())
        self.marks = Marks.of_classes(messages)
        """What is not to be shown of what it reads and yields."""

    def run(self, definition: Definition, state: ProcessManager, event: Event, life: Life, row: EventRow) -> Turn:
        """One turn; raises as `run_turn` does."""
        return run_turn(definition, state, event, life, lambda: envelope_of(row), self._effects_max)

    def orders(self, flow: Flow, row: EventRow, event: Event, turn: Turn) -> Orders:
        """What the engine would write of a turn; raises as the outbox does."""
        self._moment.us = row.recorded_us
        return self._outbox.orders(Delivery(flow, row, event), turn)

    def today(self, effect: dict[str, Any]) -> dict[str, Any]:
        """A recorded effect by the types of today: a deadline of a type that is lifted is one of the newer type."""
        if "timer" not in effect:
            return effect
        try:
            event = self.read(effect["event"], effect["version"], to_json(effect["data"]).decode())
            data = from_json(self.registry.codec.encode(event))
        except ProcessionError:
            return effect  # it shows as it is, and differs from all that today's types can say
        stored = stored_of(type(event))
        timer = stored.name if effect["timer"] == effect["event"] else effect["timer"]
        return {**effect, "timer": timer, "event": stored.name, "version": stored.version, "data": data}

    def read(self, name: str, version: int, payload: str) -> Event:
        """An event as handlers see it; raises as `message_of`."""
        return message_of(self.registry, _NOWHERE._replace(type=name, version=version, payload=payload))

    def deadline(self, flow: FlowRow, timer: TimerRow) -> EventRow:
        """The event that an armed timer becomes, as if it fired when it is due."""
        keys = to_json({flow.process: [flow.key]}).decode()
        named = (timer.type, timer.version, timer.payload, keys, timer.id, timer.correlation, timer.due_us, None)
        return EventRow(0, self._ids.deadline(timer.id), None, None, None, *named)


@attrs.frozen
class Difference:
    """One way in which the code at hand does not take steps of a flow as they were taken, with the first of them."""

    handler: str
    """As the step names it."""
    event: str
    change: Change
    version: int
    position: int
    commands_gone: list[str]
    """Of all these steps: ids of recorded commands that are not asked for like that any more."""


@attrs.frozen
class Prospect:
    """What the code at hand makes of something that a flow waits for, as the flow stands now."""

    waits: Literal["event", "deadline"]
    """An event that has come and is not handled, or a deadline that is armed."""
    type: str
    then: str
    """In words that hold for every flow of this prospect."""
    fails: bool
    """The flow would go to quarantine, or nothing handles what it armed."""
    found: str = ""
    """The error, where there is one."""


class Replay:
    """A flow on its way from its first step to its last."""

    def __init__(self, code: Code, definition: Definition, row: FlowRow) -> None:
        self._code = code
        self._definition = definition
        self._row = row
        self._flow = Flow(definition=definition, key=row.key, mailbox=Mailbox(1))
        self._state: ProcessManager = definition.cls()
        self._life: Life = "unstarted"
        self._last: tuple[Stepped, str | None] | None = None
        """The last step, where it has a turn, and how the code at hand ends the flow with it."""
        self._facts: dict[bytes, tuple[Stepped, NewFact]] = {}
        """Facts that were recorded and did not come yet: by their id, with the step and the fact of today."""
        self.found: dict[tuple[str, str, str], Difference] = {}
        """By handler, event and what differs."""
        self.lost = False
        """It can't be folded: nothing after that is compared."""

    def take(self, stepped: Stepped) -> None:
        """Compare the next step. Acts and skipped events are never folded, so they change nothing here."""
        if stepped.step.outcome != "handled" or self.lost:
            return
        if self._last is not None and self._last[1] is not None:
            self._note(self._last[0], Change("ends the flow, which went on", None, self._last[1]))
        self._last = None
        try:
            event = message_of(self._code.registry, stepped.event)
        except ProcessionError as error:
            self._lose(stepped, f"can't read the event: {_why_unread(error)}", str(error))
            return
        if self._facts:
            self._check_fact(stepped.event, event)
        reaction = self._definition.reaction(event)
        where, life = place(self._life, reaction, event), self._life
        self._life = "active"
        if where != "step":
            self._note(stepped, _lost_turn(f"has no turn for {_shown(event)} any more: {_FATES[where]}", stepped, None))
            self._fold(stepped, reaction, event)
            return
        try:
            turn = self._code.run(self._definition, self._state, event, life, stepped.event)
        except TurnFailed as error:
            if self._fold(stepped, reaction, event):
                self._note(stepped, _lost_turn(f"fails: {_kind(error)}", stepped, error.found))
            return
        self._state = turn.state
        self._last = (stepped, turn.outcome)
        if turn.effects or stepped.step.effects is not None:
            self._compare(stepped, event, turn)

    def finish(self) -> None:
        """Compare how the flow ended, or that it goes on."""
        if self.lost or self._last is None:
            return
        stepped, now = self._last
        recorded = None if self._row.status == "cancelled" else self._row.outcome
        if recorded == now:
            return
        if recorded is None:
            what = "ends the flow, which went on"
        else:
            what = f"does not end the flow, which ended as {recorded}" if now is None else f"ends the flow as {now}"
            what += "" if now is None else f", which ended as {recorded}"
        self._note(stepped, Change(what, recorded, now))

    def prospect_of(self, row: EventRow) -> Prospect:
        """What would become of an event that waits for the flow."""
        return self._prospect("event", row)

    def prospect_of_timer(self, timer: TimerRow) -> Prospect:
        """What would become of an armed deadline."""
        return self._prospect("deadline", self._code.deadline(self._row, timer))

    def _prospect(self, waits: Literal["event", "deadline"], row: EventRow) -> Prospect:
        try:
            event = message_of(self._code.registry, row)
        except ProcessionError as error:
            return Prospect(waits, row.type, f"can't be read: {_why_unread(error)}", fails=True, found=str(error))
        row_life: Life = "ended" if self._row.outcome is not None else "active" if self._row.started_us else "unstarted"
        where = place(row_life, self._definition.reaction(event), event)
        if where != "step":
            fails = where in ("quarantine", "given_up") or waits == "deadline"
            return Prospect(waits, row.type, _FATES[where], fails)
        try:
            turn = self._code.run(self._definition, self._state, event, row_life, row)
            orders = self._code.orders(self._flow, row, event, turn)
        except TurnFailed as error:
            return Prospect(waits, row.type, f"fails: {_kind(error)} in {error.handler}", fails=True, found=error.found)
        return Prospect(waits, row.type, _then(orders, turn.outcome), fails=False)

    def _compare(self, stepped: Stepped, event: Event, turn: Turn) -> None:
        try:
            orders = self._code.orders(self._flow, stepped.event, event, turn)
        except TurnFailed as error:
            self._note(stepped, _lost_turn("yields what can't be written", stepped, error.found))
            return
        for fact in orders.facts:
            self._facts[fact.id] = (stepped, fact)
        while len(self._facts) > _FACTS_MAX:  # no turn handled the oldest, else it had come by now
            del self._facts[next(iter(self._facts))]
        code = self._code
        for change in changes_of(
            stepped.step.effects, orders.effects, stepped.event.recorded_us, code.today, code.marks.effect
        ):
            self._note(stepped, change)

    def _check_fact(self, row: EventRow, event: Event) -> None:
        """A step holds only the name of a fact; its data is in the event that follows."""
        if row.id not in self._facts:
            return
        stepped, fact = self._facts.pop(row.id)
        before = from_json(row.payload)
        after: object = from_json(fact.payload)
        stored = stored_of(type(fact.event))
        if before != after and event != self._code.read(stored.name, stored.version, fact.payload.decode()):
            what = f"event {row.type} has another {fields_changed(before, after)}"
            before = self._code.marks.event_data(row.type, row.version, before)
            after = self._code.marks.event_data(stored.name, stored.version, after)
            self._note(stepped, Change(what, shortened(before), shortened(after)))

    def _fold(self, stepped: Stepped, reaction: Reaction | None, event: Event) -> bool:
        """Fold alone, as a replay does whatever becomes of the reaction; False where that fails too."""
        try:
            self._state = fold(reaction, self._state, event)
        except TurnFailed as error:
            self._lose(stepped, f"fails in the fold {error.handler}: {_kind(error)}", error.found)
            return False
        return True

    def _lose(self, stepped: Stepped, what: str, found: str) -> None:
        self.lost = True
        self._note(stepped, Change(f"{what}; the flow can't be loaded", None, found))

    def _note(self, stepped: Stepped, change: Change) -> None:
        step, event = stepped.step, stepped.event.type
        name = (step.name, event, change.what)
        known = self.found.get(name)
        if known is None:
            self.found[name] = Difference(*name[:2], change, step.version, step.position, list(change.commands_gone))
        else:
            known.commands_gone.extend(change.commands_gone)


def _lost_turn(what: str, stepped: Stepped, found: str | None) -> Change:
    """A turn that asks for nothing now: all its recorded commands would not have been sent."""
    return Change(what, None, found, commands_in(stepped.step.effects))


def _shown(event: Event) -> str:
    return trigger_name(trigger_of(event))


def _kind(error: TurnFailed) -> str:
    """What an error is, and where, without the values in its text: flows that fail in one way are one group."""
    raised = _RAISED.fullmatch(error.found)
    return f"{raised['name']} at {raised['place']}" if raised else error.found[:_KIND_CHARS_MAX]


def _why_unread(error: ProcessionError) -> str:
    if isinstance(error, UnknownType):
        return "no class has its name and version"
    return "its data does not fit its class" if isinstance(error, InvalidPayload) else type(error).__name__


def _then(orders: Orders, outcome: str | None) -> str:
    """What a turn does, by types."""
    parts = asked_for(orders.effects)
    if outcome is not None:
        parts.append(f"ends the flow as {outcome}")
    return ", ".join(parts) or "is handled, nothing follows"


_NOWHERE = EventRow(0, bytes(16), None, None, None, "", 0, "", "{}", None, None, 0, None)
_RAISED = re.compile(r"(?P<name>\w+)(: .*)? at (?P<place>\S+:\d+)", re.DOTALL)
_KIND_CHARS_MAX = 80
_FACTS_MAX = 1_000
_FATES: dict[str, str] = {
    "wait": "it would wait for the start of its flow",
    "quarantine": "its flow would go to quarantine",
    "late": "it would be recorded as late",
    "missing": "it would be recorded as missing",
    "already_started": "it would be recorded as already started",
    "ignored": "it would be ignored",
    "given_up": "no handler answers that the command was given up, so its flow would go to quarantine",
}
