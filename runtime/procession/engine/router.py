"""Routing, decided at acceptance: which flows an event concerns, and how it gets to them."""

from __future__ import annotations

from typing import NamedTuple

from procession.engine.clock import Clock
from procession.engine.flow import Delivery, Flow
from procession.engine.flow_table import FlowTable
from procession.engine.ledger import Ledger
from procession.engine.stream import Stream
from procession.errors import InvalidKey, LiftFailed, TooLarge
from procession.journal.rows import EventRow, UnhandledRow
from procession.primitives.codec import to_json
from procession.primitives.definition import Definition, Folding
from procession.primitives.event import Event
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.telemetry.names import Counters

Target = tuple[Definition, str]
Named = tuple[Folding, str]
"""What an event names in its keys: the flows that it concerns, and the aggregate in whose stream it stands."""


class Origin(NamedTuple):
    """Where an event comes from."""

    id: bytes
    source: str | None = None
    source_id: str | None = None
    digest: bytes | None = None
    caused_by: bytes | None = None
    correlation: bytes | None = None
    trace: str | None = None


class Router:
    """Appends events, and hands each to the flows it concerns, in one stretch without a checkpoint."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        table: FlowTable,
        clock: Clock,
        counters: Counters,
        *,
        keys_per_event_max: int,
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._table = table
        self._clock = clock
        self._counters = counters
        self._keys_max = keys_per_event_max

    def accept(self, event: Event, payload: str, origin: Origin, targets: tuple[Target, ...]) -> EventRow:
        """Append an outside event and hand it to its flows."""
        row = self._append(type(event), payload, origin, targets)
        seen = self._seen(event)
        for definition, key in targets:
            self._hand(Delivery(self._table.flow(definition, key), row, seen))
        return row

    def address(self, event: Event, payload: str, origin: Origin, flow: Flow, *, timer: str | None = None) -> EventRow:
        """Append an answer, a deadline or the like: to the flow that asked, and by key to other processes only."""
        return self._address(type(event), self._seen(event), payload, origin, flow, timer)

    def address_unread(
        self, cls: type[Event], payload: str, origin: Origin, flow: Flow, *, timer: str | None = None
    ) -> EventRow:
        """As `address`, of data that its class does not take any more: its flow is told when its turn comes."""
        return self._address(cls, None, payload, origin, flow, timer)

    def _address(
        self, cls: type[Event], seen: Event | None, payload: str, origin: Origin, flow: Flow, timer: str | None
    ) -> EventRow:
        others, refused = self._others(cls, seen, flow.definition)
        row = self._append(cls, payload, origin, ((flow.definition, flow.key), *others))
        self._hand(Delivery(flow, row, seen, timer=timer))
        for definition, key in others:
            self._hand(Delivery(self._table.flow(definition, key), row, seen))
        for process in refused:
            self._ledger.filling.commit.unhandled.append(UnhandledRow(row.position, process, "", "unroutable"))
            self._counters.events_unroutable += 1
        return row

    def note(self, event: Event, payload: str, origin: Origin, flow: Flow) -> tuple[EventRow, Delivery]:
        """Append an event whose flow handles it here and now; other processes get it by key."""
        seen = self._seen(event)
        others, refused = self._others(type(event), seen, flow.definition)
        row = self._append(type(event), payload, origin, ((flow.definition, flow.key), *others))
        delivery = Delivery(flow, row, seen)
        self._ledger.expect(delivery)
        for definition, key in others:
            self._hand(Delivery(self._table.flow(definition, key), row, seen))
        for process in refused:
            self._ledger.filling.commit.unhandled.append(UnhandledRow(row.position, process, "", "unroutable"))
            self._counters.events_unroutable += 1
        return row, delivery

    def decided(self, event: Event, payload: str, origin: Origin, stream: Stream, asking: Flow | None) -> EventRow:
        """Append an event of an aggregate: to its stream, to the flow that asked, and by key to all others.

        The caller leaves the step of the stream, in the same stretch.
        """
        seen = self._seen(event)
        others, refused = self._others(type(event), seen, None if asking is None else asking.definition)
        asked: tuple[Target, ...] = () if asking is None else ((asking.definition, asking.key),)
        row = self._append(type(event), payload, origin, ((stream.definition, stream.key), *asked, *others))
        if asking is not None:
            self._hand(Delivery(asking, row, seen))
        for definition, key in others:
            self._hand(Delivery(self._table.flow(definition, key), row, seen))
        for process in refused:
            self._ledger.filling.commit.unhandled.append(UnhandledRow(row.position, process, "", "unroutable"))
            self._counters.events_unroutable += 1
        return row

    def log(self, event: Event, payload: str, origin: Origin) -> EventRow:
        """Append an event that concerns no flow: an act on a gateway or a process."""
        return self._append(type(event), payload, origin, ())

    def report(self, event: Event, payload: str, origin: Origin, definition: Definition, key: str) -> EventRow:
        """Append an event that tells of a flow; the flow does not handle it, and a row says so."""
        row = self._append(type(event), payload, origin, ((definition, key),))
        self._ledger.filling.commit.unhandled.append(UnhandledRow(row.position, definition.name, key, "alert"))
        return row

    def _seen(self, event: Event) -> Event | None:
        """The event as handlers see it. None where it can't be lifted: each flow is told so when its turn comes."""
        try:
            return self._registry.lifted(event)
        except LiftFailed:
            return None

    def _others(
        self, cls: type[Event], seen: Event | None, asking: Definition | None
    ) -> tuple[tuple[Target, ...], tuple[str, ...]]:
        found: list[Target] = []
        refused: list[str] = []
        newest = self._registry.chains.newest(cls) if seen is None else type(seen)
        for definition in self._registry.concerned.get(newest, ()):
            if definition is asking:
                continue
            if seen is None:
                refused.append(definition.name)
                continue
            try:
                found.extend((definition, key) for key in definition.keys(seen))
            except InvalidKey:
                refused.append(definition.name)
        if len(found) >= self._keys_max:
            refused.extend(dict.fromkeys(definition.name for definition, _ in found[self._keys_max - 1 :]))
            del found[self._keys_max - 1 :]
        return tuple(found), tuple(refused)

    def _append(self, cls: type[Event], payload: str, origin: Origin, targets: tuple[Named, ...]) -> EventRow:
        stored = stored_of(cls)
        row = EventRow(
            self._ledger.next_position(),
            origin.id,
            origin.source,
            origin.source_id,
            origin.digest,
            stored.name,
            stored.version,
            payload,
            _keys_json(targets),
            origin.caused_by,
            origin.correlation,
            self._clock.now_us(),
            origin.trace,
        )
        self._ledger.append(row)
        return row

    def _hand(self, delivery: Delivery) -> None:
        self._ledger.expect(delivery)
        self._table.post(delivery)


def targets_of(registry: Registry, event: Event, keys_max: int) -> tuple[Target, ...]:
    """The flows that an outside event concerns, by the keys of what it is lifted to.

    Raises:
        LiftFailed: it can't be lifted.
        InvalidKey: a key can't be computed, or is none.
        TooLarge: it has more keys than the settings allow.
    """
    found: list[Target] = []
    seen = registry.lifted(event)
    for definition in registry.concerned.get(type(seen), ()):
        found.extend((definition, key) for key in definition.keys(seen))
    if len(found) > keys_max:
        name = stored_of(type(event)).name
        raise TooLarge(f"the number of keys of {name!r}", len(found), keys_max, "intake.keys_per_event_max")
    return tuple(found)


def _keys_json(targets: tuple[Named, ...]) -> str:
    if len(targets) == 1:
        definition, key = targets[0]
        return to_json({definition.name: (key,)}).decode()
    keys: dict[str, list[str]] = {}
    for definition, key in targets:
        keys.setdefault(definition.name, []).append(key)
    return to_json(keys).decode()
