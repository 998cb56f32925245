"""Commands of flows on their way to aggregates: a bounded window on open commands; the rest is in the journal."""

from __future__ import annotations

import logging
from collections import deque

import attrs
import trio

from procession.engine.decisions import Asked
from procession.engine.ledger import Ledger
from procession.engine.outbox import command_of
from procession.engine.solo import MARKS_MAX
from procession.engine.tracing import Tracing
from procession.engine.turns import SentCommand
from procession.errors import ProcessionError, WiringError
from procession.journal.rows import CommandChange, OpenCommand
from procession.primitives.codec import from_json, to_json
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.registry import Registry

logger = logging.getLogger("procession.aggregates")
_PAGE = 500
_FOREVER_US = 2**62
_LOG_MAX = 20


@attrs.define(eq=False)
class _Durable:
    """A command whose end is in a batch: it is forgotten when that is durable."""

    inbox: AggregateInbox
    asked: Asked

    def durable(self) -> None:
        self.inbox.forget(self.asked)

    def failed(self, error: Exception) -> None:
        """Nothing to do: the next life reads what is open."""


@attrs.define(eq=False)
class _Sent:
    """A command that runs alone: it leaves when its commit is durable, as one to a gateway does."""

    inbox: AggregateInbox
    asked: Asked

    def durable(self) -> None:
        self.inbox.put(self.asked)

    def failed(self, error: Exception) -> None:
        """It was not asked: the turn runs again, or the journal has the command."""


class AggregateInbox:
    """Of all aggregates of one life. What is known here is open in the journal, or will be with the next commit."""

    def __init__(
        self, registry: Registry, ledger: Ledger, *, commands_max: int, tracing: Tracing | None = None
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._commands_max = commands_max
        self._tracing = tracing
        self._queue: deque[Asked] = deque()
        self._known: dict[int, Asked] = {}
        """By number: all that is in memory, until its end is durable."""
        self._more: set[str] = set(registry.aggregates)
        """Aggregates of which there may be open commands in the journal that are not here."""
        self._readers = 0
        self._forgotten: set[int] = set()
        self._closed = False
        self._work = trio.Event()
        self._work.set()

    def __len__(self) -> int:
        return len(self._queue)

    def idle(self) -> bool:
        """Nothing is open; or nothing more is decided."""
        return self._closed or (not self._known and not self._more and not self._readers)

    def close(self) -> None:
        """Nothing more is decided: what is open stays in the journal."""
        self._closed = True

    def place_of(self, asked: Asked) -> tuple[AggregateDefinition, str]:
        """The aggregate that a command is for.

        Raises:
            InvalidKey: it names none. It did when the flow asked: the class is another now.
        """
        definition = self._registry.deciders[type(asked.command)].definition
        return definition, definition.key_of(asked.command)

    def send(self, sent: SentCommand, *, alone: bool) -> None:
        """A turn asked: it may be decided in the same commit, unless things run alone."""
        asked = Asked(sent.row, sent.command, sent.flow.definition, sent.flow.key, sent.correlation, sent.trace)
        if alone:
            self._ledger.when_durable(_Sent(self, asked))
        else:
            self.put(asked)

    def check(self, command: OpenCommand) -> None:
        """Whether it can be read; raises what says that it can't be any more."""
        self._asked(command)

    def send_again(self, command: OpenCommand) -> None:
        """A command that was given up is decided anew, once the batch that opens it is durable."""
        row = command.row._replace(state="open", attempts=0)
        self._ledger.when_durable(_Sent(self, self._asked(command._replace(row=row))))

    def put(self, asked: Asked) -> None:
        """Take a command in, where there is room; else it stays in the journal."""
        if asked.row.seq in self._known or asked.row.seq in self._forgotten:
            return
        if len(self._known) >= self._commands_max:
            self._more.add(asked.row.gateway)
        else:
            self._known[asked.row.seq] = asked
            self._queue.append(asked)
        self._work.set()

    def take(self) -> Asked | None:
        """The next command to decide; None where there is none."""
        return self._queue.popleft() if self._queue and not self._closed else None

    def decided(self, asked: Asked) -> None:
        """What became of it is in the batch."""
        self._ledger.when_durable(_Durable(self, asked))

    def forget(self, asked: Asked) -> None:
        """It is done, and the journal says so."""
        if self._known.pop(asked.row.seq, None) is not None and self._readers:
            self._forgotten.add(asked.row.seq)
        if self._more:
            self._work.set()

    def find(self, command: OpenCommand) -> Asked | None:
        """A command that somebody read as open, between `begin_read` and `end_read`; None where it has ended since.

        Raises:
            ProcessionError: it can't be read.
        """
        seq = command.row.seq
        if seq in self._forgotten:
            return None
        known = self._known.get(seq)
        if known is None:
            known = self._known[seq] = self._asked(command)
        return None if known.done else known

    def begin_read(self) -> None:
        """Somebody reads open commands from the journal: remember what ends meanwhile."""
        self._readers += 1

    def end_read(self) -> None:
        """What was read has been used."""
        self._readers -= 1
        if not self._readers:
            self._forgotten.clear()

    async def wait_stirred(self) -> None:
        """Wait until something may be there to decide, or to read."""
        if (not self._queue or self._closed) and not self._may_read():
            self._work = trio.Event()
            await self._work.wait()

    async def read_on(self) -> None:
        """Take open commands from the journal, where there is room."""
        for name in sorted(self._more) if self._may_read() else ():
            self._more.discard(name)
            self.begin_read()
            try:
                limit = len(self._known) + min(_PAGE, self._commands_max)
                page = await self._ledger.journal.open_commands(name, _FOREVER_US, limit)
                if len(page) >= limit:
                    self._more.add(name)
                for command in page:
                    self._take_one(command)
            finally:
                self.end_read()

    def marks_of(self, asked: Asked) -> int:
        """How often the process died while this command was decided alone."""
        marks = 0
        for entry in reversed(from_json(asked.row.log) if asked.row.log else []):
            if entry["found"] != _MARK:
                break
            marks += 1
        return marks

    async def mark(self, asked: Asked) -> bool:
        """Mark a command before it is decided alone; False where the process died of it too often."""
        if self.marks_of(asked) >= MARKS_MAX:
            return False
        entries = from_json(asked.row.log) if asked.row.log else []
        log = to_json([*entries, {"n": 1, "at_us": asked.row.due_us, "found": _MARK}][-_LOG_MAX:]).decode()
        change = CommandChange(asked.row, "open", asked.row.attempts, asked.row.due_us, log)
        asked.row = asked.row._replace(log=log)
        self._ledger.filling.commit.command_changes.append(change)
        self._ledger.wake()
        await self._ledger.wait_durable(self._ledger.latest)
        return True

    def _may_read(self) -> bool:
        return bool(self._more) and not self._closed and len(self._known) <= self._commands_max // 2

    def _take_one(self, command: OpenCommand) -> None:
        try:
            self.put(self._asked(command))
        except ProcessionError as error:
            logger.error("command %s can't be decided: %s", command.row.id.hex(), error)  # noqa: TRY400 - no fault of ours

    def _asked(self, command: OpenCommand) -> Asked:
        message = command_of(self._registry, from_json(command.effects)[command.row.idx])
        process = self._registry.processes.get(command.process)
        if process is None:
            raise WiringError(
                f"the process {command.process!r} that asked is not given", "give it, or its commands wait"
            )
        trace = command.trace if self._tracing is None else self._tracing.of_effect(command.trace, command.row.id)
        return Asked(command.row, message, process, command.key, command.correlation, trace)


_MARK = "begun, alone, after the process had died"
