"""The folder of archive files beside a journal: their names, what is left of files half made, and a cache of blocks."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TypeVar

from procession.journal.archive_file import (
    ArchivedEvent,
    ArchivedFlow,
    ArchiveWriter,
    Block,
    Index,
    read_events,
    read_flows,
    read_index,
)
from procession.journal_errors import ArchiveUnreadable, JournalUnwritable

T = TypeVar("T")

_NAME = re.compile(r"(?P<number>\d{6,})\.jsonl\.gz(?P<half>\.half)?")
_CACHED_BYTES_MAX = 8_000_000
"""Compressed; in memory, about ten times that."""
_INDEXES_MAX = 64


def folder_of(journal: str) -> str:
    """The folder of a journal's archive files."""
    return f"{journal}.archive"


def name_of(number: int) -> str:
    """The name of an archive file in its folder."""
    return f"{number:06d}.jsonl.gz"


class ArchiveFolder:
    """Reads archive files, from any thread. What it has read it keeps for a while: events are mostly read in order."""

    def __init__(self, journal: str) -> None:
        self.path = folder_of(journal)
        self._gate = threading.Lock()
        self._indexes: OrderedDict[int, Index] = OrderedDict()
        self._flows: _Cache[list[ArchivedFlow]] = _Cache()
        self._events: _Cache[list[ArchivedEvent]] = _Cache()

    def file(self, number: int) -> str:
        """The path of an archive file."""
        return os.path.join(self.path, name_of(number))

    def index(self, number: int, journal_id: bytes) -> Index:
        """What a file holds.

        Raises:
            ArchiveUnreadable: it is missing, damaged, or another journal's.
        """
        with self._gate:
            found = self._indexes.get(number)
            if found is not None:
                self._indexes.move_to_end(number)
                return found
        found = read_index(self.file(number))
        if (found.journal, found.number) != (journal_id, number):
            raise ArchiveUnreadable(self.file(number), "it is of another journal, or has another's name")
        with self._gate:
            self._indexes[number] = found
            while len(self._indexes) > _INDEXES_MAX:
                self._indexes.popitem(last=False)
        return found

    def flow(self, number: int, journal_id: bytes, flow: int) -> ArchivedFlow | None:
        """A flow of a file; None where the file does not have it."""
        block = self.index(number, journal_id).flow_block(flow)
        rows = [] if block is None else self.flows(number, block)
        return next((row for row in rows if row.row.id == flow), None)

    def flows(self, number: int, block: Block) -> list[ArchivedFlow]:
        """The flows of a block."""
        with self._gate:
            found = self._flows.find(number, block)
        if found is None:
            found = read_flows(self.file(number), block)
            with self._gate:
                self._flows.keep(number, block, found)
        return found

    def events(self, number: int, block: Block) -> list[ArchivedEvent]:
        """The events of a block."""
        with self._gate:
            found = self._events.find(number, block)
        if found is None:
            found = read_events(self.file(number), block)
            with self._gate:
                self._events.keep(number, block, found)
        return found

    def events_between(
        self, number: int, journal_id: bytes, first: int, last: int, types: Sequence[str] = ()
    ) -> Iterator[ArchivedEvent]:
        """Events of a file from one position to another, in order; only of these types where some are named."""
        for block in self.index(number, journal_id).event_blocks(first, last):
            if types and not any(name in types for name in block.types):
                continue
            for event in self.events(number, block):
                if first <= event.row.position <= last and (not types or event.row.type in types):
                    yield event

    def strangers(self, known: set[int]) -> list[str]:
        """Files in the folder that the journal does not name: what a process left that died while it made them."""
        found: list[str] = []
        for name in sorted(os.listdir(self.path)) if os.path.isdir(self.path) else ():
            made = _NAME.fullmatch(name)
            if made is not None and (made["half"] or int(made["number"]) not in known):
                found.append(os.path.join(self.path, name))
        return found

    def tidy(self, known: set[int], journal_id: bytes) -> int:
        """Remove the files that the journal does not name; all that they hold is still in it. Returns how many.

        Raises:
            ArchiveUnreadable: one of them is another journal's: the folder is not this journal's, or not its alone.
        """
        strangers = self.strangers(known)
        for path in strangers:
            if not path.endswith(".half") and read_index(path).journal != journal_id:
                raise ArchiveUnreadable(path, "it is of another journal")
        for path in strangers:
            os.unlink(path)
        return len(strangers)

    def begin(self, number: int, journal_id: bytes, made_us: int, mode: int) -> ArchiveWriter:
        """Begin a new file, in a folder that is made where there is none.

        Raises:
            JournalUnwritable: the folder or file can't be made.
        """
        try:
            if not os.path.isdir(self.path):
                os.mkdir(self.path, 0o700 | (mode & 0o077) | ((mode & 0o044) >> 2))
                _sync(os.path.dirname(self.path))
            return ArchiveWriter(f"{self.file(number)}.half", journal_id, number, made_us, mode)
        except OSError as error:
            raise JournalUnwritable(self.path, error.strerror or str(error)) from error

    def publish(self, number: int, writer: ArchiveWriter) -> bytes:
        """Make a file that was written whole durable under its name. Returns its SHA-256."""
        try:
            digest = writer.finish()
            os.rename(writer.path, self.file(number))
            _sync(self.path)
        except OSError as error:
            raise JournalUnwritable(self.path, error.strerror or str(error)) from error
        return digest


class _Cache(dict[tuple[int, int], tuple[int, T]]):
    """Blocks by file and place, the one longest unused first; within a bound of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def find(self, number: int, block: Block) -> T | None:
        found = self.pop((number, block.at), None)
        if found is None:
            return None
        self[number, block.at] = found
        return found[1]

    def keep(self, number: int, block: Block, rows: T) -> None:
        old = self.pop((number, block.at), None)
        self._bytes += block.size - (0 if old is None else old[0])
        self[number, block.at] = (block.size, rows)
        while self._bytes > _CACHED_BYTES_MAX and len(self) > 1:
            self._bytes -= self.pop(next(iter(self)))[0]


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
