"""Twelve faults of an engine, each planted by a small patch of a real part. None of them is made up: each is a way in
which such an engine is built wrong.
"""

# What is broken here is private, and has no types of its own.
# ruff: noqa: SLF001, ANN401

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from procession.engine import gateway_host
from procession.engine.answers import Answers, Verdict
from procession.engine.command_window import Handle
from procession.engine.delivery import Gateways
from procession.engine.flow import Flow
from procession.engine.flow_host import FlowHost
from procession.engine.intake import Intake
from procession.engine.ledger import Batch, Ledger
from procession.engine.rehydrate import Rehydrator
from procession.engine.timers import Timers
from procession.engine.turns import SentCommand
from procession.journal import memory
from procession.journal.memory_store import Store
from procession.journal.rows import Commit, DeliveryRow, SnapshotRow, TimerRow
from procession.primitives.gateway import Attempt
from procession.testing.simulation.disk import DiskJournal

Plant = Callable[[pytest.MonkeyPatch], None]


def outbox_in_a_second_commit(patch: pytest.MonkeyPatch) -> None:
    whole = DiskJournal.commit

    async def commit(self: DiskJournal, commit: Commit) -> None:
        commands, rest = commit.commands, attrs.evolve(commit, commands=[])
        await whole(self, rest)
        if commands:
            await whole(self, Commit(commands=commands))

    patch.setattr(DiskJournal, "commit", commit)


def command_before_its_commit(patch: pytest.MonkeyPatch) -> None:
    def send(self: Gateways, ledger: Ledger, sent: SentCommand) -> None:
        receiver = self._registry.receivers[type(sent.command)]
        flow, host = sent.flow, self.host(receiver.name)
        known = (flow.process, flow.key, sent.correlation, sent.trace, receiver.method)
        handle = Handle(host.window, sent.row, sent.command, *known)
        host.window.add(handle, self._clock.now_us())
        host.begin_ready()

    patch.setattr(Gateways, "send", send)


def timer_row_missing(patch: pytest.MonkeyPatch) -> None:
    whole = Timers.arm

    def arm(self: Timers, flow: Flow, row: TimerRow) -> None:
        whole(self, flow, row)
        del self._ledger.filling.commit.timers[flow.id, row.name]

    patch.setattr(Timers, "arm", arm)


def timer_twice_after_restart(patch: pytest.MonkeyPatch) -> None:
    whole = Timers._fire

    def fire(self: Timers, timer: Any) -> None:
        whole(self, timer)
        del self._ledger.filling.commit.timers[timer.row.flow, timer.row.name]

    patch.setattr(Timers, "_fire", fire)


def dedupe_in_memory_only(patch: pytest.MonkeyPatch) -> None:
    """The intake knows the ids of this life only, and the journal has no unique index to help it."""
    made, whole = Intake.__init__, Intake._look_up

    def init(self: Any, ledger: Ledger, *args: Any, **kwargs: Any) -> None:
        made(self, ledger, *args, **kwargs)
        self.opened_at = ledger.position

    async def look_up(self: Any, *args: Any) -> dict[tuple[str, str], tuple[int, bytes]]:
        found = await whole(self, *args)
        return {name: known for name, known in found.items() if known[0] > self.opened_at}

    def check(store: Store, commit: Commit) -> None:
        """No unique index."""

    patch.setattr(Intake, "__init__", init)
    patch.setattr(Intake, "_look_up", look_up)
    patch.setattr(memory, "check", check)


def delivery_row_dropped(patch: pytest.MonkeyPatch) -> None:
    _seal_without(patch, lambda _, row: row.state == "pending")


def stale_snapshot_used(patch: pytest.MonkeyPatch) -> None:
    """A snapshot is taken as it is, whatever code made it."""

    def fits(self: Any, flow: Flow, snapshot: SnapshotRow) -> bool:
        """Any does."""
        return True

    patch.setattr(Rehydrator, "_fits", fits)


def new_command_id_at_retry(patch: pytest.MonkeyPatch) -> None:
    def attempt(command_id: str, number: int, *rest: Any) -> Attempt:
        return Attempt(command_id if number == 1 else f"{int(command_id, 16) ^ 1:032x}", number, *rest)

    patch.setattr(gateway_host, "Attempt", attempt)


def order_lost_at_restart(patch: pytest.MonkeyPatch) -> None:
    """What is new is handled before what the crash left undone."""

    def later(self: FlowHost, flow: Flow) -> None:
        """Nothing stands before it."""

    patch.setattr(FlowHost, "_stored_first", later)


def quarantine_drops_later_events(patch: pytest.MonkeyPatch) -> None:
    def is_later(batch: Batch, row: DeliveryRow) -> bool:
        set_aside_now = {step.flow for step in batch.commit.steps if step.name == "quarantined"}
        return row.state == "quarantined" and row.flow not in set_aside_now

    _seal_without(patch, is_later)


def cancel_outside_the_commit(patch: pytest.MonkeyPatch) -> None:
    whole = Timers.disarm

    def disarm(self: Timers, flow: Flow, name: str) -> None:
        whole(self, flow, name)
        ledger = self._ledger
        if (flow.id, name) in ledger.filling.commit.timers:
            del ledger.filling.commit.timers[flow.id, name]
            ledger.when_durable(_Later(ledger, flow.id, name))

    patch.setattr(Timers, "disarm", disarm)


def answer_without_completing_its_command(patch: pytest.MonkeyPatch) -> None:
    whole = Answers.write

    def write(self: Answers, verdict: Verdict) -> None:
        whole(self, verdict)
        assert self.desk is not None
        if verdict.state == "answered":
            self.desk.ledger.filling.commit.command_changes.pop()

    patch.setattr(Answers, "write", write)


def _seal_without(patch: pytest.MonkeyPatch, is_dropped: Callable[[Batch, DeliveryRow], bool]) -> None:
    whole = Ledger._seal

    def seal(self: Ledger) -> Batch:
        batch = whole(self)
        deliveries = batch.commit.deliveries
        for place in [place for place, row in deliveries.items() if row is not None and is_dropped(batch, row)]:
            del deliveries[place]
        return batch

    patch.setattr(Ledger, "_seal", seal)


@attrs.define(eq=False)
class _Later:
    """A timer that goes with the commit after that of its step."""

    ledger: Ledger
    flow: int
    name: str

    def durable(self) -> None:
        self.ledger.filling.commit.timers[self.flow, self.name] = None
        self.ledger.wake()

    def failed(self, error: Exception) -> None:
        """It is forgotten."""


PLANTS: tuple[Plant, ...] = (
    outbox_in_a_second_commit,
    command_before_its_commit,
    timer_row_missing,
    timer_twice_after_restart,
    dedupe_in_memory_only,
    delivery_row_dropped,
    stale_snapshot_used,
    new_command_id_at_retry,
    order_lost_at_restart,
    quarantine_drops_later_events,
    cancel_outside_the_commit,
    answer_without_completing_its_command,
)
