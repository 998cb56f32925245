"""Large journals, made quickly: the rows of many order sagas, through the journal's own commit and no engine.

Flows run a few hundred at a time, as they do in a busy service, so the events of neighbours alternate. Some stay active
for ever, spread over the whole journal. What is written folds, verifies, and opens with the classes of `saga`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import attrs

from procession import Event, Outside, open_runtime
from procession.journal.rows import CommandRow, Commit, EventRow, FlowRow, StepRow, TimerRow
from procession.journal.sqlite import open_sqlite
from procession.primitives.codec import Codec
from procession.primitives.registration import build_registry
from tests.bench import saga

AT_US = 1_700_000_000_000_000
FLOWS_PER_COMMIT = 500
_US_PER_EVENT = 50


@attrs.frozen
class Large:
    """How large, and how much of it stays open."""

    flows: int
    live_every: int
    """Every so many flows one never ends."""


async def write(path: Path, large: Large) -> None:
    """Write a new journal."""
    async with open_runtime(path, processes=[saga.Order], gateways=gateways()):
        pass  # the types and what the process is concerned by
    journal = await open_sqlite(path, clock_us=lambda: AT_US, synchronous="NORMAL")
    try:
        for commit in _Rows(large).commits():
            await journal.commit(commit)
        await journal.close_clean()
    finally:
        await journal.close()


def gateways() -> list[saga.Warehouse | saga.Payments | saga.Carrier]:
    """What `saga.Order` sends its commands to."""
    return [saga.Warehouse(), saga.Payments(), saga.Carrier()]


_TYPES = ("order.placed", "stock.reserved", "payment.captured", "parcel.shipped")
_STEPS = ("reserve", "charge", "ship", "shipped")
_COMMANDS = (("stock.reserve", "warehouse"), ("card.charge", "payments"), ("parcel.ship", "carrier"))


def key_of(number: int) -> str:
    """The key of the flow with this id."""
    return f"{number:07}"


def placed(number: int) -> Outside:
    """The event that began a flow, as its sender has it."""
    return Outside(_placed(number), f"{key_of(number)}/placed", "shop")


def _placed(number: int) -> saga.OrderPlaced:
    return saga.OrderPlaced(key_of(number), f"article-{number % 97}", 1000 + number % 500)


def _event(number: int, version: int) -> Event:
    begun = _placed(number)
    events = (
        begun,
        saga.StockReserved(begun.order_id, begun.article),
        saga.PaymentCaptured(begun.order_id, begun.amount_cents),
        saga.ParcelShipped(begun.order_id),
    )
    return events[version - 1]


@attrs.define
class _Rows:
    large: Large
    codec: Codec = attrs.field(factory=lambda: build_registry([saga.Order], gateways()).codec)
    position: int = 0
    seq: int = 0
    began_us: dict[int, int] = attrs.field(factory=dict)
    """When the flows of these commits began."""

    def commits(self) -> Iterator[Commit]:
        """Four commits for each few hundred flows: all begin, all go on, all end."""
        for first in range(1, self.large.flows + 1, FLOWS_PER_COMMIT):
            numbers = range(first, min(first + FLOWS_PER_COMMIT, self.large.flows + 1))
            self.began_us.clear()
            for version in range(1, 5):
                commit = Commit()
                for number in numbers:
                    if version == 1 or number % self.large.live_every:
                        self.step(commit, number, version)
                yield commit

    def step(self, commit: Commit, number: int, version: int) -> None:
        """Put a flow's next event, and all that follows from it, into a commit."""
        self.position += 1
        at_us, key, ends = AT_US + self.position * _US_PER_EVENT, key_of(number), version == 4
        began_us = self.began_us.setdefault(number, at_us)
        first = _id(number, 0, at_us)
        event = _event(number, version)
        payload = self.codec.encode(event)
        commit.events.append(
            EventRow(
                self.position,
                first if version == 1 else _id(number, version, at_us),
                "shop" if version == 1 else None,
                f"{key}/placed" if version == 1 else None,
                self.codec.digest(_TYPES[0], payload) if version == 1 else None,
                _TYPES[version - 1],
                1,
                payload.decode(),
                json.dumps({"order": [key]}),
                None if version == 1 else _id(number, 10 + version - 1, at_us),
                None if version == 1 else first,
                at_us,
                None,
            )
        )
        effects: list[dict[str, object]] = []
        if not ends:
            self.seq += 1
            command_id, (name, gateway) = _id(number, 10 + version, at_us), _COMMANDS[version - 1]
            effects.append({"command": name, "version": 1, "id": command_id.hex(), "data": {"order_id": key}})
            row = CommandRow(self.seq, command_id, number, self.position, 0, name, gateway, "answered", 1, at_us, None)
            commit.commands.append(row)
        if version == 1:
            self._timer(commit, number, effects, at_us)
        stored = json.dumps(effects) if effects else None
        commit.steps.append(StepRow(number, version, self.position, "handled", _STEPS[version - 1], stored))
        status, outcome = ("ended", "shipped") if ends else ("active", None)
        commit.flows[number] = FlowRow(number, "order", key, version, status, outcome, None, began_us, at_us)  # type: ignore[arg-type]  # one of two

    def _timer(self, commit: Commit, number: int, effects: list[dict[str, object]], at_us: int) -> None:
        name, due_us, timer_id = "payment.window_closed", 2 * AT_US, _id(number, 20, at_us)
        data: dict[str, object] = {"order_id": key_of(number)}
        effects.append(
            {"timer": name, "id": timer_id.hex(), "due_us": due_us, "event": name, "version": 1, "data": data}
        )
        if number % self.large.live_every == 0:
            row = TimerRow(number, name, timer_id, due_us, name, 1, json.dumps(data), None)
            commit.timers[number, name] = row


def _id(number: int, part: int, at_us: int) -> bytes:
    """16 bytes led by the time, as those of the engine are, and as hard to compress."""
    scattered = (number * 0x9E3779B97F4A7C15 + part * 0xBF58476D1CE4E5B9) & 0xFFFF_FFFF_FFFF_FFFF
    return struct.pack(">QQ", (at_us // 1000 << 16) | 0x7000 | part, scattered)
