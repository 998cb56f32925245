"""Aggregates that break a law while they decide or apply, or as they are written; and twins that keep it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import attrs

from procession import (
    Aggregate,
    Command,
    Event,
    FailureEvent,
    FlowHandle,
    Refusal,
    Runtime,
    Wiring,
    applies,
    decides,
)
from tests.laws.planted.breach import Breach

SEEN: dict[str, int] = {}


class Reserve(Command, name="planted.reserve"):
    item_id: str
    number: int
    at: datetime = datetime(2026, 3, 1, tzinfo=UTC)


class Reserved(Event, name="planted.reserved"):
    item_id: str
    number: int
    at: datetime = datetime(2026, 3, 1, tzinfo=UTC)


class StockFailed(FailureEvent, name="planted.stock_failed"):
    item_id: str


class SoldOut(Refusal, name="planted.sold_out"):
    left: int


def wired(aggregate: type[Aggregate]) -> Wiring:
    return Wiring((), (), aggregates=(aggregate,))


class Clean(Aggregate, name="planted.clean", key="item_id"):
    """Does each of these things as it should be done: by what is in the command and the state."""

    left: int = 5
    last: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    @applies
    def reserved(self, reserved: Reserved) -> Clean:
        return self.evolve(left=self.left - reserved.number, last=reserved.at)

    @decides
    def reserve(self, command: Reserve) -> Reserved | SoldOut:
        if command.number > self.left:
            return SoldOut(self.left)
        return Reserved(command.item_id, command.number, command.at)


class DecidesByClock(Aggregate, name="planted.decides_by_clock", key="item_id"):
    @applies
    def reserved(self, reserved: Reserved) -> DecidesByClock:
        return self

    @decides
    def reserve(self, command: Reserve) -> Reserved | SoldOut:
        return SoldOut(0) if time.time() > 0 else Reserved(command.item_id, command.number)


class AppliesByClock(Aggregate, name="planted.applies_by_clock", key="item_id"):
    last: float = 0

    @applies
    def reserved(self, reserved: Reserved) -> AppliesByClock:
        return self.evolve(last=time.monotonic())

    @decides
    def reserve(self, command: Reserve) -> Reserved:
        return Reserved(command.item_id, command.number)


class CountsForAll(Aggregate, name="planted.counts_for_all", key="item_id"):
    @applies
    def reserved(self, reserved: Reserved) -> CountsForAll:
        return self

    @decides
    def reserve(self, command: Reserve) -> Reserved | SoldOut:
        SEEN[command.item_id] = SEEN.get(command.item_id, 0) + 1
        return Reserved(command.item_id, SEEN[command.item_id])


class ReadsStore(Aggregate, name="planted.reads_store", key="item_id"):
    @applies
    def reserved(self, reserved: Reserved) -> ReadsStore:
        return self

    @decides
    def reserve(self, command: Reserve) -> Reserved:
        return Reserved(command.item_id, len(Path("/srv/stock.json").read_text("utf-8")))


class ReadsFlows(Aggregate, name="planted.reads_flows", key="item_id"):
    @applies
    def reserved(self, reserved: Reserved) -> ReadsFlows:
        return self

    @decides
    def reserve(self, command: Reserve) -> Reserved:
        return Reserved(command.item_id, len(Runtime.flows.__qualname__))


class ReadsAFlow(Aggregate, name="planted.reads_a_flow", key="item_id"):
    @applies
    def reserved(self, reserved: Reserved) -> ReadsAFlow:
        return self.evolve()

    @decides
    def reserve(self, command: Reserve) -> Reserved:
        return Reserved(command.item_id, len(FlowHandle.summary.__qualname__))


class ChangesItself(Aggregate, name="planted.changes_itself", key="item_id"):
    left: int = 5

    @applies
    def reserved(self, reserved: Reserved) -> ChangesItself:
        return self

    @decides
    def reserve(self, command: Reserve) -> Reserved:
        object.__setattr__(self, "left", self.left - command.number)
        return Reserved(command.item_id, self.left)


class TakesMore(Aggregate, name="planted.takes_more", key="item_id"):
    @applies
    def reserved(self, reserved: Reserved) -> TakesMore:
        return self

    @decides
    def reserve(self, command: Reserve, stock: dict[str, int]) -> Reserved:
        return Reserved(command.item_id, stock[command.item_id])


class LacksKey(Aggregate, name="planted.lacks_key", key="shelf_id"):
    @applies
    def reserved(self, reserved: Reserved) -> LacksKey:
        return self

    @decides
    def reserve(self, command: Reserve) -> Reserved:
        return Reserved(command.item_id, command.number)


def applies_a_failure() -> object:
    class AppliesFailure(Aggregate, name="planted.applies_failure", key="item_id"):
        @applies
        def failed(self, failed: StockFailed) -> AppliesFailure:
            return self

    return AppliesFailure


def decides_async() -> object:
    class DecidesAsync(Aggregate, name="planted.decides_async", key="item_id"):
        @decides
        async def reserve(self, command: Reserve) -> Reserved:
            return Reserved(command.item_id, command.number)

    return DecidesAsync


def list_in_the_aggregate() -> object:
    class KeepsList(Aggregate, name="planted.keeps_list", key="item_id"):
        reserved: list[str] = attrs.field(factory=list)

    return KeepsList


def refusal_without_a_name() -> object:
    class NoName(Refusal):
        left: int

    return NoName


def clean() -> object:
    """Defined anew: whatever its neighbour breaks, it keeps."""

    class Kept(Aggregate, name="planted.kept", key="item_id"):
        reserved_items: tuple[str, ...] = ()

        @applies
        def reserved(self, reserved: Reserved) -> Kept:
            return self.evolve(reserved_items=(*self.reserved_items, reserved.item_id))

        @decides
        def reserve(self, command: Reserve) -> Reserved | SoldOut:
            return SoldOut(0) if self.reserved_items else Reserved(command.item_id, command.number)

    class NothingLeft(Refusal, name="planted.nothing_left"):
        left: int

    return Kept, NothingLeft


def planted(name: str, code: str, aggregate: type[Aggregate]) -> Breach:
    return Breach(name, code, "refused", lambda: wired(aggregate), lambda: wired(Clean), "wiring")


DECISIONS = (
    planted("clock in a decision", "LAW03", DecidesByClock),
    planted("clock where an aggregate applies", "LAW03", AppliesByClock),
    planted("a table that all aggregates share", "LAW03", CountsForAll),
    planted("decision that takes more", "LAW03", TakesMore),
    planted("file in a decision", "LAW04", ReadsStore),
    planted("Runtime.flows reached from a decision", "LAW07", ReadsFlows),
    planted("a flow's handle reached from a decision", "LAW07", ReadsAFlow),
    planted("decision that changes its aggregate", "LAW06", ChangesItself),
    planted("command without the aggregate's key", "LAW06", LacksKey),
    Breach("aggregate that applies a failure", "LAW02", "refused", applies_a_failure, clean, "class"),
    Breach("async decision", "LAW04", "refused", decides_async, clean, "class"),
    Breach("list in an aggregate", "LAW06", "refused", list_in_the_aggregate, clean, "class"),
    Breach("refusal without a stored name", "LAW08", "refused", refusal_without_a_name, clean, "class"),
)
