"""Rows and commits of a small journal, each in a word: what the tests of a journal are written with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from procession.journal.journal import Journal
from procession.journal.rows import (
    CommandChange,
    CommandRow,
    CommandState,
    Commit,
    DeliveryRow,
    DeliveryState,
    EventRow,
    FlowRow,
    FlowStatus,
    StepRow,
    TimerRow,
    UnhandledReason,
    UnhandledRow,
)
from procession.journal_errors import CommitRejected

PROCESS = "order"
NOW_US = 1_700_000_000_000_000


def id_of(*parts: object) -> bytes:
    """16 bytes that tell what they name."""
    return "/".join(map(str, parts)).encode().rjust(16, b".")[-16:]


def event(position: int, key: str = "k1", *, type: str = "order.paid", source_id: str | None = None) -> EventRow:
    """An outside event for one flow of `order`; with a source and digest where it has an id."""
    return EventRow(
        position=position,
        id=id_of("e", position),
        source=None if source_id is None else "shop",
        source_id=source_id,
        digest=None if source_id is None else id_of("digest", source_id),
        type=type,
        version=1,
        payload='{"amount_cents":500}',
        keys=json.dumps({PROCESS: [key]}),
        caused_by=None,
        correlation=None,
        recorded_us=NOW_US,
        trace=None,
    )


def step(flow: int, version: int, position: int, *effects: dict[str, object]) -> StepRow:
    """A handled step with these effects."""
    return StepRow(flow, version, position, "handled", "paid", json.dumps(effects) if effects else None)


def flow(number: int, version: int, key: str | None = None, status: FlowStatus = "active") -> FlowRow:
    """A row of an `order`; its key is `k` and its number unless given."""
    outcome = "done" if status == "ended" else None
    return FlowRow(number, PROCESS, key or f"k{number}", version, status, outcome, None, NOW_US, NOW_US + version)


def command(seq: int, flow: int, position: int, idx: int = 0, *, gateway: str = "bank", due_us: int = 0) -> CommandRow:
    """An open command `payment.charge`, as `command_effect` has it."""
    kind = "payment.charge"
    return CommandRow(seq, id_of("c", flow, position, idx), flow, position, idx, kind, gateway, "open", 0, due_us, None)


def command_effect(flow: int, position: int, idx: int = 0) -> dict[str, object]:
    """The effect that a command comes from."""
    return {"command": "payment.charge", "version": 2, "id": id_of("c", flow, position, idx).hex(), "data": {}}


def change(row: CommandRow, state: CommandState, attempts: int = 1, due_us: int = 0) -> CommandChange:
    """A compare-and-set of a command."""
    return CommandChange(row, state, attempts, due_us, None)


def timer(flow: int, name: str, due_us: int) -> TimerRow:
    """An armed timer, as `timer_effect` has it."""
    return TimerRow(flow, name, id_of("t", flow, name), due_us, "order.overdue", 3, "{}", None)


def timer_effect(flow: int, name: str, due_us: int) -> dict[str, object]:
    """The effect that a timer comes from."""
    timed: dict[str, object] = {"timer": name, "id": id_of("t", flow, name).hex(), "due_us": due_us}
    return {**timed, "event": "order.overdue", "version": 3, "data": {}}


def delivery(flow: int, position: int, state: DeliveryState = "pending", timer: str | None = None) -> DeliveryRow:
    """An event that waits for its flow."""
    return DeliveryRow(flow, position, state, timer, 0)


def unhandled(position: int, key: str = "k1", reason: UnhandledReason = "late") -> UnhandledRow:
    """An event that no turn handled."""
    return UnhandledRow(position, PROCESS, key, reason)


def started(number: int, position: int, *effects: dict[str, object]) -> Commit:
    """A commit of one event that starts one flow."""
    return Commit(
        events=[event(position, f"k{number}", source_id=f"s{position}")],
        steps=[step(number, 1, position, *effects)],
        flows={number: flow(number, 1)},
    )


async def rejected(journal: Journal, commit: Commit) -> str:
    """What a commit was rejected for; fails where it was not."""
    try:
        await journal.commit(commit)
    except CommitRejected as error:
        return error.found
    raise AssertionError("the commit was not rejected")


class JournalCase:
    """How a group of tests gets its journal. A subclass says how to `open`."""

    async def open(self) -> Journal:
        """Open the journal of this test: empty at first, later as the last owner left it."""
        raise NotImplementedError

    async def take_over(self) -> Journal:
        """Open it once more while its owner has it open: as where nothing but the epoch keeps that owner out.

        Where a lock beside the journal would refuse this, take it away first, as an operator may.
        """
        return await self.open()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Journal]:
        """A journal that is closed in the end, as a crash would leave it."""
        journal = await self.open()
        try:
            yield journal
        finally:
            await journal.close()
