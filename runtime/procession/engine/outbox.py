"""What a turn asks for, as rows: encoded and bounded before any of it joins a batch."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

from procession.engine.clock import Clock
from procession.engine.flow import Delivery
from procession.engine.ids import Ids
from procession.engine.payloads import Payloads
from procession.engine.turn import Turn, TurnFailed, shown
from procession.errors import InvalidKey, InvalidPayload, WiringError
from procession.journal.rows import TimerRow
from procession.primitives.codec import to_json
from procession.primitives.command import Command
from procession.primitives.effects import After, At, Cancel, End, Record
from procession.primitives.event import Event
from procession.primitives.registry import Decider, Receiver, Registry
from procession.primitives.stored import stored_of

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_DUE_US_MAX = 253_402_300_800_000_000
"""The year 10000: later deadlines can't be shown as a date."""


class NewCommand(NamedTuple):
    """A command that a turn yielded."""

    at: int
    id: bytes
    command: Command
    type: str
    """Its stored name."""
    receiver: Receiver | Decider


class NewFact(NamedTuple):
    """An event that a turn recorded."""

    at: int
    id: bytes
    event: Event
    payload: bytes


class Orders(NamedTuple):
    """The effects of one turn, ready to be written."""

    effects: str | None
    """JSON for the step."""
    commands: tuple[NewCommand, ...]
    timers: tuple[tuple[str, TimerRow | None], ...]
    """(name, row to set or None to cancel), in the order yielded."""
    facts: tuple[NewFact, ...]


_NOTHING = Orders(None, (), (), ())


class Outbox:
    """Turns effects into rows; changes nothing itself."""

    def __init__(self, registry: Registry, ids: Ids, clock: Clock, payloads: Payloads) -> None:
        self._registry = registry
        self._codec = registry.codec
        self._ids = ids
        self._clock = clock
        self._payloads = payloads

    def orders(self, delivery: Delivery, turn: Turn) -> Orders:
        """The rows for a turn's effects.

        Raises:
            TurnFailed: an effect can't be written: it does not fit its type, is too large, or has no receiver.
        """
        if not turn.effects:
            return _NOTHING
        parts: list[bytes] = []
        commands: list[NewCommand] = []
        timers: list[tuple[str, TimerRow | None]] = []
        facts: list[NewFact] = []
        for index, effect in enumerate(turn.effects):
            try:
                if isinstance(effect, Command):
                    parts.append(self._command(delivery, index, effect, commands))
                elif isinstance(effect, (After, At)):
                    parts.append(self._timer(delivery, index, effect, timers))
                elif isinstance(effect, Cancel):
                    timers.append((effect.name, None))
                    parts.append(b'{"cancel":%s}' % to_json(effect.name))
                elif isinstance(effect, Record):
                    parts.append(self._fact(delivery, index, effect, facts))
                elif isinstance(effect, End):
                    parts.append(b'{"end":%s}' % to_json(effect.outcome))
            except (InvalidPayload, InvalidKey, WiringError) as error:
                raise TurnFailed(turn.name, str(error)) from error
            except (TypeError, ValueError) as error:  # a name of a timer that is no text, for example
                raise TurnFailed(
                    turn.name, f"what it asked for can't be written: {shown(error, hands=(effect,))}"
                ) from error
        return Orders((b"[%s]" % b",".join(parts)).decode(), tuple(commands), tuple(timers), tuple(facts))

    def _command(self, delivery: Delivery, index: int, command: Command, commands: list[NewCommand]) -> bytes:
        receiver = self._registry.receivers.get(type(command)) or self._decider(command)
        flow = delivery.flow
        command_id = self._ids.command(delivery.event.id, flow.process, flow.key, index)
        stored = stored_of(type(command))
        commands.append(NewCommand(index, command_id, command, stored.name, receiver))
        return b'{"command":%s,"version":%d,"id":"%s","data":%s}' % (
            to_json(stored.name),
            stored.version,
            command_id.hex().encode(),
            self._bounded(stored.name, self._codec.encode(command)),
        )

    def _decider(self, command: Command) -> Decider:
        """The aggregate that decides a command; its key is found good here, where the flow can be told."""
        decider = self._registry.deciders.get(type(command))
        if decider is None:
            found = f"{type(command).__name__} has no receiver"
            raise WiringError(found, "give the runtime the gateway whose method takes it, or the aggregate")
        decider.definition.key_of(command)
        return decider

    def _timer(
        self, delivery: Delivery, index: int, effect: After | At, timers: list[tuple[str, TimerRow | None]]
    ) -> bytes:
        flow, stored = delivery.flow, stored_of(type(effect.event))
        if flow.definition.reaction(self._registry.lifted(effect.event)) is None:
            found = f"{type(effect.event).__name__} is armed as a deadline and nothing handles it"
            raise WiringError(found, "give the process a handler for it")
        asked = b""
        if isinstance(effect, After):
            after_us = effect.delay // _MICROSECOND
            due_us = self._clock.now_us() + after_us
            asked = b'"after_us":%d,' % after_us  # what was asked for: a replay can't tell it from the time it fell due
        else:
            due_us = (effect.when - _EPOCH) // _MICROSECOND
        due_us = max(0, min(due_us, _DUE_US_MAX))
        timer_id = self._ids.timer(delivery.event.id, flow.process, flow.key, index)
        payload = self._bounded(stored.name, self._codec.encode(effect.event))
        correlation = delivery.event.correlation or delivery.event.id
        row = TimerRow(0, effect.name, timer_id, due_us, stored.name, stored.version, payload.decode(), correlation)
        timers.append((effect.name, row))
        return b'{"timer":%s,"id":"%s","due_us":%d,%s"event":%s,"version":%d,"data":%s}' % (
            to_json(effect.name),
            timer_id.hex().encode(),
            due_us,
            asked,
            to_json(stored.name),
            stored.version,
            payload,
        )

    def _fact(self, delivery: Delivery, index: int, effect: Record, facts: list[NewFact]) -> bytes:
        flow, stored = delivery.flow, stored_of(type(effect.event))
        if (stored.name, stored.version) not in self._registry.events:
            found = f"{type(effect.event).__name__} is recorded and not registered"
            raise WiringError(found, "give some process a handler for it, or name it in events=")
        payload = self._bounded(stored.name, self._codec.encode(effect.event))
        fact_id = self._ids.fact(delivery.event.id, flow.process, flow.key, index)
        facts.append(NewFact(index, fact_id, effect.event, payload))
        return b'{"record":%s,"id":"%s"}' % (to_json(stored.name), fact_id.hex().encode())

    def _bounded(self, name: str, payload: bytes) -> bytes:
        if not self._payloads.fit(name, len(payload)):
            found = f"{len(payload)} bytes, at most {self._payloads.bytes_max} (payload_bytes_max)"
            raise InvalidPayload(name, found)
        return payload


def command_of(registry: Registry, effect: Mapping[str, Any]) -> Command:
    """The command in an effect of a stored step.

    Raises:
        InvalidPayload: it does not fit its class any more.
        WiringError: its class is not registered.
    """
    cls = registry.commands.get(effect["command"])
    if cls is None:
        raise WiringError(f"the command type {effect['command']!r} is not registered", "register its gateway")
    return registry.codec.structure(cls, effect["data"])
