"""Archiving: flows that ended long ago go from the journal to files beside it, bit by bit, while everything goes on."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import attrs
import trio

from procession.journal.archive_file import ArchiveWriter, Index
from procession.journal.archived import Archived
from procession.journal.sqlite import SqliteJournal
from procession.journal.sqlite_archive import (
    ArchiveQuery,
    ArchiveRow,
    Candidate,
    Gone,
    archives,
    candidates,
    events_at,
    flows_of,
    mark,
    move_events,
    move_flows,
    positions_of,
    record,
)
from procession.journal.sqlite_reader import SqliteReader
from procession.journal_errors import JournalUnwritable

T = TypeVar("T")

FILE_FLOWS_MAX = 20_000
FILE_STEPS_MAX = 200_000
"""A file ends with the flow that reaches one of these, so one flow of many steps is still whole."""
_WINDOW_FLOWS = 10_000
BLOCK_FLOWS_MAX = 128
_BLOCK_STEPS_MAX = 2000
_EVENTS_PER_BLOCK = 256


@attrs.frozen
class Survey:
    """What would go."""

    flows: int
    steps: int


async def survey(journal: SqliteReader, query: ArchiveQuery, flows_max: int | None = None) -> Survey:
    """Count what would go; changes nothing."""
    flows = steps = after = 0
    last = (await journal.heads()).flow
    while after < last and (flows_max is None or flows < flows_max):
        page = await journal.ask(partial(candidates, query=query, after_flow=after, until_flow=after + _WINDOW_FLOWS))
        if flows_max is not None:
            page = page[: flows_max - flows]
        flows += len(page)
        steps += sum(found.steps for found in page)
        after += _WINDOW_FLOWS
    return Survey(flows, steps)


@attrs.define(eq=False)
class Archiver:
    """One run. It may be stopped, or killed, at any instant: the next run goes on where it stopped."""

    journal: SqliteJournal
    made_us: int
    slice_s: float = 0.2
    """How long one transaction may hold up commits, about."""
    pause_s: float = 0.0
    """How long commits have the journal for themselves between two of them."""
    file_flows_max: int = FILE_FLOWS_MAX
    block_flows_max: int = BLOCK_FLOWS_MAX
    before_slice: Callable[[], object] = lambda: None
    """Called before each transaction; what it raises ends the run."""
    on_progress: Callable[[Archived], None] | None = None
    log: Callable[[ArchiveRow], Awaitable[None]] | None = None
    """Told of each file once it is durable, before anything of it goes from the journal; once more, where the process
    dies just then."""
    done: Archived = attrs.field(factory=Archived)

    async def run(
        self, query: ArchiveQuery, *, flows_max: int | None = None, stopped: Callable[[], bool] = lambda: False
    ) -> Archived:
        """Archive what the query says, at most so many flows, until there is nothing left or somebody stops it.

        Raises:
            ArchiveUnreadable: a file of an earlier run can't be read, or the folder holds another journal's.
            JournalUnwritable: the folder can't be written.
            CommitFailed, Fenced: as they say.
        """
        known = await self.journal.ask(archives)
        await self._in_thread(lambda _: self.journal.archives.tidy({row.number for row in known}, self.journal.id))
        for row in known:
            if not row.whole and not stopped():
                self.done.resumed += 1
                await self._move(row, stopped)
        number, after = max((row.number for row in known), default=0), 0
        while not stopped() and (flows_max is None or self.done.flows < flows_max):
            left = self.file_flows_max if flows_max is None else min(self.file_flows_max, flows_max - self.done.flows)
            chosen = await self._choose(query, after, left)
            if not chosen:
                break
            number, after = number + 1, chosen[-1].id
            await self._move(await self._make(number, chosen), stopped)
        return self.done

    async def _choose(self, query: ArchiveQuery, after: int, flows_max: int) -> list[Candidate]:
        """The next flows that fit into one file."""
        last = (await self.journal.heads()).flow
        chosen: list[Candidate] = []
        steps = 0
        while after < last:
            until = after + _WINDOW_FLOWS
            for found in await self.journal.ask(partial(candidates, query=query, after_flow=after, until_flow=until)):
                chosen.append(found)
                steps += found.steps
                if len(chosen) >= flows_max or steps >= FILE_STEPS_MAX:
                    return chosen
            after = until
        return chosen

    async def _make(self, number: int, chosen: Sequence[Candidate]) -> ArchiveRow:
        """Write a file, make it durable, log it, and name it in the journal."""
        folder, journal = self.journal.archives, self.journal
        mode = os.stat(journal.path).st_mode & 0o666
        writer = await self._in_thread(lambda _: folder.begin(number, journal.id, self.made_us, mode))
        try:
            making = _Making(writer)
            for ids in _portions(chosen, self.block_flows_max):
                await self._in_thread(partial(making.add_flows, ids=ids))
            positions = sorted(making.positions)
            for at in range(0, len(positions), _EVENTS_PER_BLOCK):
                await self._in_thread(partial(making.add_events, positions=positions[at : at + _EVENTS_PER_BLOCK]))
            digest = await self._in_thread(lambda _: folder.publish(number, writer))
        except OSError as error:
            raise JournalUnwritable(folder.path, error.strerror or str(error)) from error
        finally:
            writer.close()
            with suppress(FileNotFoundError):  # published: it has its name
                os.unlink(writer.path)
        row = making.row(number, digest, self.made_us)
        self.before_slice()
        if self.log is not None:
            await self.log(row)
        await journal.transact(partial(record, row=row))
        self.done.files += 1
        self.done.bytes += row.bytes
        return row

    async def _move(self, row: ArchiveRow, stopped: Callable[[], bool]) -> None:
        """Take out of the journal what a file has, first the flows, then the events that none of the others needs."""
        index = await self._in_thread(lambda _: self.journal.archives.index(row.number, self.journal.id))
        at, end = row.moved, len(index.flows) + len(index.events)
        while at < end:
            if stopped():
                return
            self.before_slice()
            at, gone = await self.journal.transact(partial(self._slice, number=row.number, index=index, at=at))
            self.done.flows += gone.flows
            self.done.events += gone.events
            if self.on_progress is not None:
                self.on_progress(self.done)
            await trio.sleep(self.pause_s)

    def _slice(self, connection: sqlite3.Connection, number: int, index: Index, at: int) -> tuple[int, Gone]:
        """Blocks from `at` on, one at least, until the slice of time is over; which block is next."""
        folder, until, begin = self.journal.archives, time.perf_counter() + self.slice_s, at
        path, flows, events = folder.file(number), 0, 0
        end = len(index.flows) + len(index.events)
        while at < end and (at == begin or time.perf_counter() < until):
            if at < len(index.flows):
                flows += move_flows(connection, number, path, folder.flows(number, index.flows[at])).flows
            else:
                block = index.events[at - len(index.flows)]
                events += move_events(connection, number, path, folder.events(number, block)).events
            at += 1
        mark(connection, number, at, whole=at == end)
        return at, Gone(flows, events)

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run something in the thread of a reading connection: files are written and read there too."""
        with trio.CancelScope(shield=True):  # a file must not be closed while it is being written
            found = await self.journal.ask(work)
        await trio.lowlevel.checkpoint_if_cancelled()
        return found


def _portions(chosen: Sequence[Candidate], flows_max: int) -> Iterator[list[int]]:
    """The ids of flows, block by block: so many flows, or fewer that have many steps."""
    ids: list[int] = []
    steps = 0
    for found in chosen:
        if ids and (len(ids) == flows_max or steps + found.steps > _BLOCK_STEPS_MAX):
            yield ids
            ids, steps = [], 0
        ids.append(found.id)
        steps += found.steps
    if ids:
        yield ids


@attrs.define(eq=False)
class _Making:
    """A file that is being written, and what it holds so far."""

    writer: ArchiveWriter
    positions: set[int] = attrs.field(factory=set)
    flows: int = 0
    steps: int = 0
    commands: int = 0
    events: int = 0
    last_command: int = 0

    def add_flows(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        flows = flows_of(connection, ids)
        self.writer.add_flows(flows)
        self.positions |= positions_of(connection, flows)
        self.flows += len(flows)
        for flow in flows:
            self.steps += len(flow.steps)
            self.commands += len(flow.commands)
            self.last_command = max(self.last_command, *(command.seq for command in flow.commands), 0)

    def add_events(self, connection: sqlite3.Connection, positions: Sequence[int]) -> None:
        events = events_at(connection, positions)
        if events:
            self.writer.add_events(events)
            self.events += len(events)

    def row(self, number: int, digest: bytes, made_us: int) -> ArchiveRow:
        return ArchiveRow(
            number,
            digest,
            self.writer.bytes,
            self.flows,
            self.steps,
            self.commands,
            self.events,
            self.last_command,
            made_us,
            0,
            0,
        )
