"""Fifteen further faults: of what outlives a process, and of what is told, sent and ended."""

# What is broken here is private, and has no types of its own.
# ruff: noqa: ANN401

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import trio

from procession.actors.mailbox import Mailbox
from procession.engine import engine
from procession.engine.answers import Answers, Verdict
from procession.engine.flow import Flow
from procession.engine.flow_host import FlowHost
from procession.engine.ids import Ids
from procession.engine.intake import Submission
from procession.engine.ledger import Batch, Ledger, Released
from procession.engine.state_snapshots import StateSnapshots
from procession.engine.stream import Stream
from procession.engine.timers import Timers
from procession.engine.turns import Turns
from procession.journal.rows import Commit, OpenCommand, SnapshotRow
from procession.journal_errors import CommitFailed
from procession.testing.simulation.disk import DiskJournal

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


def answer_lost_with_its_commit(patch: pytest.MonkeyPatch) -> None:
    """What was answered when a commit failed is asked for again."""
    whole = Verdict.failed

    def failed(self: Verdict, error: Exception) -> None:
        if self.state == "answered":
            self.withdraw()
        else:
            whole(self, error)

    patch.setattr(Verdict, "failed", failed)


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


def commands_lost_at_restart(patch: pytest.MonkeyPatch) -> None:
    """A start does not read which commands are open."""

    async def none(self: DiskJournal, *_: Any) -> list[OpenCommand]:
        return []

    patch.setattr(DiskJournal, "open_commands", none)


def timers_outlive_their_flow(patch: pytest.MonkeyPatch) -> None:
    whole = Timers.disarm

    def disarm(self: Timers, flow: Flow, name: str) -> None:
        if name:
            whole(self, flow, name)

    patch.setattr(Timers, "disarm", disarm)


def waiting_comes_last(patch: pytest.MonkeyPatch) -> None:
    """What waited for the start of a flow is handled after what came since."""
    whole = Turns._take_waiting  # noqa: SLF001 - that is the fault

    def take_waiting(self: Turns, flow: Flow) -> None:
        newer = list(flow.mailbox)
        flow.mailbox.refill((), more=flow.mailbox.more)
        whole(self, flow)
        flow.mailbox.put_first([*newer, *_emptied(flow.mailbox)])

    patch.setattr(Turns, "_take_waiting", take_waiting)


def full_mailbox_drops(patch: pytest.MonkeyPatch) -> None:
    """What does not fit is not read from the journal later."""
    whole = Mailbox.post

    def post(self: Mailbox[Any], item: Any) -> bool:
        fits = whole(self, item)
        self.more = False
        return fits

    patch.setattr(Mailbox, "post", post)


def nothing_taken_up_at_a_start(patch: pytest.MonkeyPatch) -> None:
    """What the last process left unhandled waits for ever."""

    async def none(_: Any, __: Any, ___: Any, host: FlowHost) -> None:
        await trio.lowlevel.checkpoint()
        host.recoveries -= 1

    patch.setattr(engine, "take_up", none)


def last_come_first_served(patch: pytest.MonkeyPatch) -> None:
    def take(self: Mailbox[Any]) -> Any:
        *older, last = self
        self.refill(older, more=self.more)
        return last

    patch.setattr(Mailbox, "take", take)


def given_up_without_a_word(patch: pytest.MonkeyPatch) -> None:
    """A command is given up, and its flow does not hear of it."""
    whole = Answers.write

    def write(self: Answers, verdict: Any) -> None:
        if verdict.state == "given_up":
            verdict.answer = ()
        whole(self, verdict)

    patch.setattr(Answers, "write", write)


def snapshot_one_version_ahead(patch: pytest.MonkeyPatch) -> None:
    """It is sealed in order, and a turn is missing in it."""
    whole = StateSnapshots.take

    def take(self: StateSnapshots, stream: Stream, text: str) -> SnapshotRow | None:
        stream.version += isinstance(stream, Flow)
        row = whole(self, stream, text)
        stream.version -= isinstance(stream, Flow)
        return row

    patch.setattr(StateSnapshots, "take", take)


def snapshot_a_turn_behind(patch: pytest.MonkeyPatch) -> None:
    """It is sealed in order and of the right version, and holds the state before its turn."""
    whole = StateSnapshots.due

    def due(self: StateSnapshots, stream: Stream, state: Any, *rest: Any) -> str | None:
        return whole(self, stream, stream.state or state, *rest)

    patch.setattr(StateSnapshots, "due", due)


def _emptied(mailbox: Mailbox[Any]) -> list[Any]:
    found = list(mailbox)
    mailbox.refill((), more=mailbox.more)
    return found


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
    answer_lost_with_its_commit,
    command_ids_by_chance,
    unhandled_not_recorded,
    waiting_not_stored,
    commands_lost_at_restart,
    timers_outlive_their_flow,
    waiting_comes_last,
    full_mailbox_drops,
    nothing_taken_up_at_a_start,
    last_come_first_served,
    given_up_without_a_word,
    snapshot_one_version_ahead,
    snapshot_a_turn_behind,
)
