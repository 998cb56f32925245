"""Further faults: of what outlives a process, and of what is told, sent and ended."""

# What is broken here is private, and has no types of its own.
# ruff: noqa: ANN401

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio

from procession.actors.mailbox import Mailbox
from procession.engine.answers import Answers
from procession.engine.flow import Flow
from procession.engine.ids import Ids
from procession.engine.intake import Submission
from procession.engine.ledger import Batch, Ledger, Released
from procession.engine.turns import Turns
from procession.journal.rows import ArmedTimer, Commit, Delivered, DeliveryState, OpenCommand
from procession.journal_errors import CommitFailed
from procession.testing.simulation.disk import DiskJournal, ReadError

Plant = Callable[[pytest.MonkeyPatch], None]


def acknowledged_before_its_commit(patch: pytest.MonkeyPatch) -> None:
    when_durable = Ledger.when_durable

    def tell(self: Ledger, waiter: Released) -> None:
        if isinstance(waiter, Submission):
            self.wake()
            waiter.durable()
        else:
            when_durable(self, waiter)

    patch.setattr(Ledger, "when_durable", tell)


def failed_commit_taken_for_done(patch: pytest.MonkeyPatch) -> None:
    whole = DiskJournal.commit

    async def commit(self: DiskJournal, commit: Commit) -> None:
        with contextlib.suppress(CommitFailed):
            await whole(self, commit)

    patch.setattr(DiskJournal, "commit", commit)


def command_ids_by_chance(patch: pytest.MonkeyPatch) -> None:
    """Another one whenever the turn runs."""

    whole = Ids.command

    def command(self: Ids, event_id: bytes, process: str, key: str, index: int) -> bytes:
        judged = not trio.lowlevel.in_trio_run()
        return whole(self, event_id, process, key, index) if judged else self.fresh()

    patch.setattr(Ids, "command", command)


def unhandled_not_recorded(patch: pytest.MonkeyPatch) -> None:
    def drop(batch: Batch) -> None:
        batch.commit.unhandled.clear()

    _sealing(patch, drop)


def waiting_not_stored(patch: pytest.MonkeyPatch) -> None:
    """An event that waits for the start of its flow does so in memory only."""

    def drop(batch: Batch) -> None:
        deliveries = batch.commit.deliveries
        for place in [place for place, row in deliveries.items() if row is not None and row.state == "waiting"]:
            del deliveries[place]

    _sealing(patch, drop)


def cancelled_command_stays_open(patch: pytest.MonkeyPatch) -> None:
    def drop(batch: Batch) -> None:
        changes = batch.commit.command_changes
        changes[:] = [change for change in changes if change.state != "cancelled"]

    _sealing(patch, drop)


def commands_lost_at_restart(patch: pytest.MonkeyPatch) -> None:
    """A start does not read which commands are open."""

    async def none(self: DiskJournal, *_: Any) -> list[OpenCommand]:
        return []

    patch.setattr(DiskJournal, "open_commands", none)


def timers_lost_at_restart(patch: pytest.MonkeyPatch) -> None:
    """A start does not read which timers are armed."""

    async def none(self: DiskJournal, *_: Any) -> list[ArmedTimer]:
        return []

    patch.setattr(DiskJournal, "timers", none)


def unreadable_taken_for_empty(patch: pytest.MonkeyPatch) -> None:
    whole = DiskJournal.deliveries

    async def read(
        self: DiskJournal, flow: int, after: int, limit: int, states: Sequence[DeliveryState]
    ) -> list[Delivered]:
        try:
            return await whole(self, flow, after, limit, states)
        except ReadError:
            return []

    patch.setattr(DiskJournal, "deliveries", read)


def timers_outlive_their_flow(patch: pytest.MonkeyPatch) -> None:
    def disarm_all(self: Turns, flow: Flow) -> None:
        """They stay armed."""

    patch.setattr(Turns, "disarm_all", disarm_all)


def last_come_first_served(patch: pytest.MonkeyPatch) -> None:
    def take(self: Mailbox[Any]) -> Any:
        return self._items.pop()  # noqa: SLF001 - that is the fault

    patch.setattr(Mailbox, "take", take)


def given_up_without_a_word(patch: pytest.MonkeyPatch) -> None:
    """A command is given up, and its flow does not hear of it."""
    whole = Answers.write

    def write(self: Answers, verdict: Any) -> None:
        if verdict.state == "given_up":
            return
        whole(self, verdict)

    patch.setattr(Answers, "write", write)


def snapshot_of_another_version(patch: pytest.MonkeyPatch) -> None:
    def shift(batch: Batch) -> None:
        snapshots = batch.commit.snapshots
        snapshots[:] = [row._replace(version=row.version + 1) for row in snapshots]

    _sealing(patch, shift)


def _sealing(patch: pytest.MonkeyPatch, change: Callable[[Batch], None]) -> None:
    whole = Ledger._seal  # noqa: SLF001 - that is the fault

    def seal(self: Ledger) -> Batch:
        batch = whole(self)
        change(batch)
        return batch

    patch.setattr(Ledger, "_seal", seal)


PLANTS: tuple[Plant, ...] = (
    acknowledged_before_its_commit,
    failed_commit_taken_for_done,
    command_ids_by_chance,
    unhandled_not_recorded,
    waiting_not_stored,
    cancelled_command_stays_open,
    commands_lost_at_restart,
    timers_lost_at_restart,
    unreadable_taken_for_empty,
    timers_outlive_their_flow,
    last_come_first_served,
    given_up_without_a_word,
    snapshot_of_another_version,
)
