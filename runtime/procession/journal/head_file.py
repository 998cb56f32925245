"""The head file of a journal: how far its owner had come, beside the file that should hold all of it.

A write-ahead log that was deleted, replaced or hit leaves a whole journal as of an earlier commit, and nothing in the
file can tell. So the owner writes where it stands after each commit that returned: one small write into `FILE-head`,
never synced. The death of a process keeps it. After a power loss it may be older than the journal and never newer,
for what it tells of was durable before. A journal that is behind its head file has lost something.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from zlib import crc32

import attrs

from procession.journal.rows import Fault
from procession.journal.sqlite_schema import check_opened, uri_of
from procession.journal.sqlite_write import Tail, chain_start, read_tail
from procession.journal_errors import JournalDamaged

logger = logging.getLogger("procession.journal")

_MAGIC = b"PROCHEAD"
_FORMAT = 1
_RECORD = struct.Struct(">8sHH16sqqqIqI")
"""Magic, format, whether commits did not wait for the disk, id of the journal, epoch, `renewed_us`, ends of both
chains. A CRC-32 of it follows. 72 bytes from the beginning of the file: within one sector of any disk."""
_CRC_BYTES = 4
_BUSY_S = 5.0


@attrs.frozen
class Head:
    """Where a journal stands."""

    journal_id: bytes
    epoch: int
    renewed_us: int
    """Grows with each commit of an epoch, whatever the clock does."""
    tail: Tail
    lossy: bool = False
    """Commits did not wait for the disk: a power loss may take the last ones back."""

    @property
    def told(self) -> str:
        """For people."""
        at = f"event {self.tail.position} and step {self.tail.step_seq}"
        return f"{at}, committed {_when(self.renewed_us)}" if self.epoch else at


@attrs.frozen
class Behind:
    """What a journal lacks of what its head file says."""

    found: str
    cure: str
    head: Head
    older: bool
    """It ends before; else it went on in another way."""

    @property
    def faults(self) -> list[Fault]:
        """None where a power loss may take commits back: that was chosen."""
        return [] if self.head.lossy else [Fault("behind", self.found, self.cure)]


def head_path(path: str) -> str:
    """The head file of a journal's file."""
    return f"{path}-head"


def read_head(path: str) -> Head | None:
    """What the head file of a journal says; None where there is none, or none that can be understood."""
    found = _understood(path)
    return found if isinstance(found, Head) else None


def _understood(path: str) -> Head | str:
    """The same; else why it says nothing, which is empty where there is nothing to understand."""
    try:
        with open(head_path(path), "rb") as file:
            content = file.read(_RECORD.size + _CRC_BYTES)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"can't be read ({error.strerror or error})"
    if not content:
        return ""  # made, and nothing was committed yet
    if content[: len(_MAGIC)] == _MAGIC and content[8:10] != _FORMAT.to_bytes(2, "big"):
        return "is of another version"
    record, crc = content[: _RECORD.size], content[_RECORD.size :]
    if len(crc) < _CRC_BYTES or crc32(record) != int.from_bytes(crc, "big"):
        return "is torn or damaged"
    _, _, lossy, journal_id, epoch, renewed_us, *tail = _RECORD.unpack(record)
    return Head(journal_id, epoch, renewed_us, Tail._make(tail), bool(lossy))


def head_of(connection: sqlite3.Connection) -> Head:
    """Where a journal stands by its own rows.

    Raises:
        sqlite3.Error: they can't be read.
    """
    row = connection.execute(
        "select journal.id, epoch, renewed_us, position, event_crc, step_seq, step_crc"
        " from journal left join owner on owner.one = 1 where journal.one = 1"
    ).fetchone()
    if row is None or not isinstance(row[0], bytes):
        raise sqlite3.DatabaseError("the journal's id can't be read")
    if row[1] is None:
        return Head(row[0], 0, 0, chain_start(row[0]))
    if not all(isinstance(number, int) for number in row[1:]):
        raise sqlite3.DatabaseError("what the owner row says is no number")
    return Head(row[0], row[1], row[2], Tail._make(row[3:]))


def behind(connection: sqlite3.Connection, path: str, head: Head) -> Behind | None:
    """What a journal lacks of its head file, which was read before this connection looked; None where nothing.

    Raises:
        sqlite3.Error: the journal can't be read.
    """
    stands = head_of(connection)
    if stands.journal_id != head.journal_id:
        return None
    if _is_older(stands, head):
        found = f"it is at {stands.told}, and had been at {head.told}"
        return Behind(found, _cure(path, "its write-ahead log, or a newer copy of both,"), head, older=True)
    for table, place, at, crc in (
        ("event", "position", head.tail.position, head.tail.event_crc),
        ("step", "seq", head.tail.step_seq, head.tail.step_crc),
    ):
        row = connection.execute(f"select crc from {table} where {place} = ?", (at,)).fetchone()
        if row is not None and row[0] != crc:
            found = f"{table} {at} is not the one that its owner committed {_when(head.renewed_us)}"
            cure = _cure(path, "the file and the write-ahead log that belong together")
            return Behind(found, cure, head, older=False)
    return None


def behind_as_read(connection: sqlite3.Connection, path: str, head: Head) -> Behind | None:
    """The same for who only reads: where it can't be told, other checks tell why."""
    with suppress(sqlite3.DatabaseError):
        return behind(connection, path, head)
    return None


def warn_reader(connection: sqlite3.Connection, path: str, head: Head) -> None:
    """A reader refuses nothing, and says what it reads."""
    found = behind_as_read(connection, path, head)
    if found is not None and not head.lossy:
        logger.warning("%s is read as it is: %s; %s", path, found.found, found.cure)


def lacked(connection: sqlite3.Connection, path: str, journal_id: bytes) -> Behind | None:
    """The same for a salvage: where the owner row can't be read, the head file is all that tells of the end."""
    head = read_head(path)
    if head is None or head.journal_id != journal_id:
        return None
    try:
        return behind(connection, path, head)
    except sqlite3.DatabaseError:
        return Behind(f"where it ends can't be read, and it had been at {head.told}", "", head, older=True)


def _is_older(stands: Head, head: Head) -> bool:
    if stands.tail.position < head.tail.position or stands.tail.step_seq < head.tail.step_seq:
        return True
    return (stands.epoch, stands.renewed_us) < (head.epoch, head.renewed_us)


def _cure(path: str, what: str) -> str:
    return f"put {what} back, or, if this older one is meant, remove {head_path(path)}"


def gone(path: str) -> Behind | None:
    """What is lost where there is no journal's file any more, or an empty one; None where nothing tells of one."""
    head = None if _is_filled(path) else read_head(path)
    if head is None:
        return None
    cure = f"put it back with its write-ahead log, or, to begin a new one, remove {head_path(path)}"
    return Behind(f"its file is missing or empty, and had been at {head.told}", cure, head, older=True)


def refuse_older(path: str) -> None:
    """Look, as its owner and before anything is written, whether a journal is what it was. Waits for the disk.

    Raises:
        JournalDamaged: it is behind its head file.
        NotAJournal, JournalTooNew: as they say.
        sqlite3.Error: it can't be read.
    """
    found = gone(path)
    if found is not None:
        raise JournalDamaged(path, found.found, found.cure)
    head = _understood(path)
    if isinstance(head, str):
        if head:
            logger.warning("%s %s: nothing tells if the journal is older than it was", head_path(path), head)
        return
    # One that only reads: with another one the log would be folded into the file when it is closed.
    reading = sqlite3.connect(uri_of(path, "mode=ro"), uri=True, isolation_level=None, timeout=_BUSY_S)
    with closing(reading):
        check_opened(reading, path)
        if head_of(reading).journal_id != head.journal_id:
            logger.warning("%s is of another journal, which lay here before; it is written anew", head_path(path))
        found = behind(reading, path, head)
    if found is None:
        return
    if not head.lossy:
        raise JournalDamaged(path, found.found, found.cure)
    said = "it was written with synchronous = NORMAL, and a power loss may take the last commits back; it goes on so"
    logger.warning("%s: %s; %s", path, found.found, said)


def check_tail(connection: sqlite3.Connection, path: str) -> None:
    """Look whether a journal ends where its owner row says.

    Raises:
        JournalDamaged: it does not.
    """
    if connection.execute("select count(*) from owner").fetchone()[0] == 0:
        return
    tail = read_tail(connection)
    position, seq = connection.execute(
        "select max(coalesce((select max(position) from event), 0),"
        " coalesce((select last from event_tombstone order by first desc limit 1), 0)),"
        " max(coalesce((select max(seq) from step), 0),"
        " coalesce((select last from step_tombstone order by first desc limit 1), 0))"
    ).fetchone()
    if (position, seq) != (tail.position, tail.step_seq):
        raise JournalDamaged(
            path, f"it ends at event {position} and step {seq}, the last commit at {tail.position} and {tail.step_seq}"
        )


class HeadFile:
    """The owner's side. Failing to write it stops no commit: it is told once, and the file goes."""

    def __init__(self, path: str, clock_us: Callable[[], int], *, lossy: bool) -> None:
        self._path = path
        self._clock_us = clock_us
        self._lossy = lossy
        self._descriptor = -1
        self._id = b""
        self._epoch = 0
        self._stamp_us = 0
        self._noted: tuple[int, Tail] | None = None
        """What returned last, also where it could not be written."""

    def stamp(self) -> int:
        """The time at which a commit renews the owner row: later than that of any commit of this owner before."""
        self._stamp_us = max(self._clock_us(), self._stamp_us + 1)
        return self._stamp_us

    def begin(self, journal_id: bytes, epoch: int, started_us: int, tail: Tail) -> None:
        """The journal was taken over, durably, at that time."""
        self._id, self._epoch, self._stamp_us = journal_id, epoch, started_us
        self.resume(tail)

    def resume(self, tail: Tail) -> None:
        """Write on, also where writing failed before."""
        if self._descriptor < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                # As SQLite does with its own: whoever may read the journal may read this.
                self._descriptor = os.open(head_path(self._path), flags, os.stat(self._path).st_mode & 0o666)
            except OSError as error:
                self._give_up(error.strerror or str(error))
        self.note(tail)

    def note(self, tail: Tail) -> None:
        """The commit that the last stamp was for is durable, and this is where the chains end."""
        self._noted = (self._stamp_us, tail)
        if self._descriptor < 0:
            return
        record = _RECORD.pack(_MAGIC, _FORMAT, self._lossy, self._id, self._epoch, self._stamp_us, *tail)
        content = record + crc32(record).to_bytes(_CRC_BYTES, "big")
        try:
            written = os.pwrite(self._descriptor, content, 0)
        except OSError as error:
            self._give_up(error.strerror or str(error))
        else:
            if written != len(content):
                self._give_up("only a part of it was written")

    def refuse_older(self, connection: sqlite3.Connection) -> None:
        """Look, where the journal was opened again and before anything is written, whether all that returned is there.

        Raises:
            JournalDamaged: it is not.
            sqlite3.Error: it can't be read.
        """
        assert self._noted is not None, "the journal was taken over"
        renewed_us, tail = self._noted
        found = behind(connection, self._path, Head(self._id, self._epoch, renewed_us, tail, self._lossy))
        if found is not None and not self._lossy:
            raise JournalDamaged(self._path, found.found, found.cure)

    def end(self, *, whole: bool) -> None:
        """Close it. Where the journal is one whole file again, with no log that could be lost, it goes."""
        self._close()
        if whole and not _is_filled(f"{self._path}-wal"):
            there = read_head(self._path)
            if there is None or (there.journal_id, there.epoch) == (self._id, self._epoch):  # no new owner's
                self._remove()

    def _give_up(self, why: str) -> None:
        logger.warning(
            "%s can't be written (%s): until this is opened again, nothing tells if its write-ahead log is lost",
            head_path(self._path),
            why,
        )
        self._close()
        self._remove()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _remove(self) -> None:
        with suppress(OSError):  # what stays tells of an earlier commit: it asks for less than it could, and is right
            os.unlink(head_path(self._path))


def _is_filled(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def _when(at_us: int) -> str:
    try:
        return datetime.fromtimestamp(at_us / 1_000_000, tz=UTC).isoformat(timespec="microseconds")
    except (OverflowError, ValueError, OSError):
        return f"at {at_us} microseconds"
