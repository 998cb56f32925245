"""Who takes commands, as operator acts need them: gateways, and aggregates."""

from __future__ import annotations

from procession.engine.aggregate_inbox import AggregateInbox
from procession.engine.decisions import Decisions
from procession.engine.delivery import Gateways
from procession.engine.ledger import Ledger
from procession.journal.rows import OpenCommand
from procession.primitives.registry import Registry


class Receivers:
    """Cancels a command, or sends it again, wherever it goes."""

    def __init__(self, gateways: Gateways, inbox: AggregateInbox, decisions: Decisions, registry: Registry) -> None:
        self._gateways = gateways
        self._inbox = inbox
        self._decisions = decisions
        self._aggregates = frozenset(registry.aggregates)

    def begin_read(self) -> None:
        """Somebody reads open commands: remember which end meanwhile."""
        self._gateways.begin_read()
        self._inbox.begin_read()

    def end_read(self) -> None:
        """What was read has been used."""
        self._gateways.end_read()
        self._inbox.end_read()

    def cancel(self, command: OpenCommand) -> bool:
        """Cancel an open command; False where it has ended meanwhile."""
        if command.row.gateway not in self._aggregates:
            return self._gateways.cancel(command)
        asked = self._inbox.find(command)
        if asked is None:
            return False
        self._decisions.cancel(asked)
        self._inbox.decided(asked)
        return True

    def check(self, command: OpenCommand) -> None:
        """Whether it can be read.

        Raises:
            InvalidPayload, UnknownType, WiringError: it can't be any more.
        """
        if command.row.gateway not in self._aggregates:
            self._gateways.check(command)
        else:
            self._inbox.check(command)

    def send_again(self, ledger: Ledger, command: OpenCommand) -> None:
        """Send a command again once the batch is durable."""
        if command.row.gateway not in self._aggregates:
            self._gateways.send_again(ledger, command)
        else:
            self._inbox.send_again(command)
