"""Faults of aggregates, planted in each life of the process that is killed: what `deciding` must find."""

# What is replaced is no name for users.
# ruff: noqa: SLF001

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio

from procession.engine import decisions
from procession.engine.aggregate_inbox import AggregateInbox
from procession.engine.decide import Verdict, decide
from procession.engine.decisions import AggregateStream, Asked, Decisions
from procession.engine.ids import Ids
from procession.engine.intake import Intake, Submission
from procession.engine.ledger import Ledger, Released
from procession.engine.state_snapshots import StateSnapshots
from procession.engine.stream import Stream
from procession.journal import sqlite_schema
from procession.journal.rows import CommandState
from procession.primitives.command import Command
from procession.primitives.state import State
from tests.crash.planting import by_name, plant
from tests.engine.bank import Withdraw, Withdrawn


def answers_before_the_commit() -> None:
    """Senders hear what was decided when it is only about to be durable."""
    when_durable = Ledger.when_durable

    def tell(ledger: Ledger, waiter: Released) -> None:
        if isinstance(waiter, Submission):
            ledger.wake()
            waiter.durable()
        else:
            when_durable(ledger, waiter)

    plant(Ledger, "when_durable", tell)


def decides_again_after_a_start() -> None:
    """What an earlier life decided is decided again when it is sent again, and the journal takes an id twice."""
    init, look_up, statements_of = Intake.__init__, Intake._look_up, sqlite_schema.statements_of
    begun_at: list[int] = []

    def begin(intake: Intake, ledger: Ledger, *given: Any, **named: Any) -> None:  # noqa: ANN401 - whatever it takes
        init(intake, ledger, *given, **named)
        begun_at.append(ledger.position)

    async def forgetful(intake: Intake, *given: Any) -> dict[tuple[str, str], tuple[int, bytes]]:  # noqa: ANN401
        found = await look_up(intake, *given)
        return {name: known for name, known in found.items() if known[0] > begun_at[-1]}

    def lax(script: str) -> list[str]:
        return [
            one.replace("create unique index event_source", "create index event_source")
            for one in statements_of(script)
        ]

    plant(Intake, "__init__", begin)
    plant(Intake, "_look_up", forgetful)
    plant(sqlite_schema, "statements_of", lax)


def ids_by_chance() -> None:
    """The id of a flow's command is another each time its turn runs."""

    def by_chance(ids: Ids, event_id: bytes, process: str, key: str, index: int) -> bytes:
        return ids.fresh()

    plant(Ids, "command", by_chance)


def keeps_what_it_refused() -> None:
    """What a sender was refused happens all the same."""

    def both(definition: Any, state: Any, command: Command, *given: Any) -> Verdict:  # noqa: ANN401
        verdict = decide(definition, state, command, *given)
        if verdict.refusal is None or not isinstance(command, Withdraw) or command.transfer_id:
            return verdict
        return attrs.evolve(verdict, events=(Withdrawn(command.account_id, command.amount_cents),))

    plant(decisions, "decide", both)


def snapshots_lag_behind() -> None:
    """A snapshot holds the state before the decision whose version it has."""
    due = StateSnapshots.due

    def lagging(snapshots: StateSnapshots, stream: Stream, state: State, *given: Any) -> str | None:  # noqa: ANN401
        before = stream.state if isinstance(stream, AggregateStream) else None
        return due(snapshots, stream, before or state, *given)

    plant(StateSnapshots, "due", lagging)


def reads_no_open_commands() -> None:
    """Commands that are in the journal alone, after a kill or for want of room, are never read."""

    async def skip(inbox: AggregateInbox) -> None:
        inbox._more.clear()
        await trio.lowlevel.checkpoint()

    plant(AggregateInbox, "read_on", skip)


@attrs.frozen
class _Later:
    """The end of a command, written when its decision is durable."""

    host: Decisions
    asked: Asked
    state: CommandState
    end: Callable[[Decisions, Asked, CommandState], None]

    def durable(self) -> None:
        self.end(self.host, self.asked, self.state)

    def failed(self, error: Exception) -> None:
        """Nothing to do: it is written down nowhere."""


def ends_commands_later() -> None:
    """What became of a flow's command is written in a commit of its own, after what was decided."""
    end = Decisions._end

    def later(host: Decisions, asked: Asked, state: CommandState) -> None:
        asked.done = True
        host._ledger.when_durable(_Later(host, asked, state, end))

    plant(Decisions, "_end", later)


FAULTS = by_name(
    answers_before_the_commit,
    decides_again_after_a_start,
    ids_by_chance,
    keeps_what_it_refused,
    snapshots_lag_behind,
    reads_no_open_commands,
    ends_commands_later,
)
