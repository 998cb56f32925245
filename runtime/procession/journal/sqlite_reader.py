"""Reading a SQLite journal from trio: a pool of connections, and a reader that works beside a running owner."""

# Names go to SQLite and the OS as they are, and these calls do not wait for a disk.
# ruff: noqa: ASYNC240
# A reader is opened by functions of its own module.
# ruff: noqa: SLF001

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import attrs
import trio

from procession.errors import RuntimeClosed
from procession.journal import head_file, ownership, sqlite_archived, sqlite_load, sqlite_read, sqlite_schema
from procession.journal.archive_folder import ArchiveFolder
from procession.journal.rows import (
    ArmedTimer,
    ConcernRow,
    Delivered,
    DeliveryState,
    EventRow,
    Fault,
    FlowRow,
    Heads,
    JournalCounts,
    LoadedFlow,
    LookUp,
    OpenCommand,
    OwnerInfo,
    ShortFlow,
    Standing,
    Stepped,
    TimerRow,
    TypeInUse,
    TypeRow,
    UnhandledRow,
)
from procession.journal.second_look import answer, in_transaction, opened_again
from procession.journal.sqlite_in_use import types_in_use
from procession.journal.sqlite_lanes import close_all, opened
from procession.journal.sqlite_pauses import pauses
from procession.journal.sqlite_schema import FileUse
from procession.journal.sqlite_search import SqliteSearch
from procession.journal.sqlite_thread import Lane, LoopThread
from procession.journal.sqlite_undone import sizes_of, undone
from procession.journal.undone import Undone
from procession.journal_errors import CommitFailed, JournalDamaged, JournalUnwritable, NotAJournal

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BUSY_S = 5.0
"""How long SQLite itself waits for a lock before it reports an error."""


_TOGETHER_MAX = 200
"""Questions answered in one hop: enough to hide it, few enough that the first of them does not wait for long."""


class _Asked(Generic[T]):
    """A question that waits for a free connection."""

    def __init__(self, work: Work[T]) -> None:
        self.work = work
        self.answered = trio.Event()
        self.results: list[T] = []
        self.error: Exception | None = None


class SqliteReader(SqliteSearch):
    """A journal file as a reader sees it: never written, whoever owns it. Made by `read_sqlite`."""

    def __init__(self, path: str, thread: LoopThread, use: FileUse) -> None:
        self._use = use
        self._path = path
        self._thread = thread
        self._lanes: list[Lane] = []
        self._asked: deque[_Asked[Any]] = deque()
        self._id = b""
        self.immutable = False
        """Its folder can't be written and nobody writes it: it is read as it stood when it was opened."""
        self.archives = ArchiveFolder(path)
        """The files of flows that were archived."""

    @property
    def id(self) -> bytes:
        return self._id

    @property
    def path(self) -> str:
        """The journal's file."""
        return self._path

    async def _read(self, work: Work[T]) -> T:
        """Ask on a connection that is free, in a read transaction; else wait for one, together with all who wait."""
        if not self._thread.running:
            raise RuntimeClosed
        if not self._lanes:
            raise CommitFailed("the journal is not reopened yet")
        lane = next((lane for lane in self._lanes if not lane.busy), None)
        try:
            if lane is None:
                return await self._ask_together(work)
            lane.busy = True
            return await self._thread.hop(lane, partial(in_transaction, work), partial(self._serve, lane))
        except sqlite3.Error as error:
            raise self._read_error(error) from error

    async def _ask_together(self, work: Work[T]) -> T:
        asked = _Asked(work)
        self._asked.append(asked)
        await asked.answered.wait()
        if asked.error is not None:
            raise asked.error
        return asked.results[0]

    def _serve(self, lane: Lane) -> None:
        """A connection is free: it answers all who waited for one, in one transaction and one hop."""
        lane.busy = bool(self._asked)
        if not self._asked:
            return
        together = [self._asked.popleft() for _ in range(min(len(self._asked), _TOGETHER_MAX))]

        def answered() -> None:
            for asked in together:
                asked.answered.set()
            self._serve(lane)

        try:
            self._thread.post(lane, partial(_all_in_transaction, together), answered)
        except sqlite3.ProgrammingError as error:
            for asked in together:
                asked.error = error
            answered()

    def _read_error(self, error: sqlite3.Error) -> JournalUnwritable | JournalDamaged | RuntimeClosed | CommitFailed:
        if isinstance(error, sqlite3.ProgrammingError):  # its connection was closed
            return CommitFailed("the journal is being reopened") if self._thread.running else RuntimeClosed()
        if isinstance(error, sqlite3.OperationalError):
            return JournalUnwritable(self._path, f"reading failed: {error}")
        return JournalDamaged(self._path, str(error))

    async def ask(self, work: Work[T]) -> T:
        """Run a question of this package's own in one read transaction."""
        return await self._read(work)

    async def heads(self) -> Heads:
        return await self._read(sqlite_read.heads)

    async def pauses(self) -> list[EventRow]:
        return await self._read(pauses)

    async def look_up(self, ids: Sequence[tuple[str, str]], flows: Sequence[tuple[str, str]]) -> LookUp:
        return await self._read(partial(sqlite_read.look_up, ids=ids, flows=flows))

    async def load(self, process: str, key: str, steps_max: int) -> LoadedFlow:
        return await self._read(partial(sqlite_read.load, process=process, key=key, steps_max=steps_max))

    async def load_many(self, flows: Sequence[tuple[str, str]], steps_max: int) -> dict[tuple[str, str], ShortFlow]:
        return await self._read(partial(sqlite_load.load_many, flows=flows, steps_max=steps_max))

    async def steps(self, flow: int, after_version: int, limit: int) -> list[Stepped]:
        return await self._read(
            partial(sqlite_archived.steps, folder=self.archives, flow=flow, after_version=after_version, limit=limit)
        )

    async def steps_of(self, flows: Sequence[int], after_version: int, limit: int) -> list[Stepped]:
        return await self._read(
            partial(
                sqlite_archived.steps_of,
                folder=self.archives,
                flows=flows,
                after_version=after_version,
                limit=limit,
            )
        )

    async def deliveries(
        self, flow: int, after_position: int, limit: int, states: Sequence[DeliveryState]
    ) -> list[Delivered]:
        return await self._read(
            partial(sqlite_read.deliveries, flow=flow, after_position=after_position, limit=limit, states=states)
        )

    async def flows_with_deliveries(self, state: DeliveryState, after_flow: int, limit: int) -> list[FlowRow]:
        return await self._read(
            partial(sqlite_read.flows_with_deliveries, state=state, after_flow=after_flow, limit=limit)
        )

    async def open_commands(
        self, gateway: str, due_us_max: int, limit: int, known: Collection[int] = ()
    ) -> list[OpenCommand]:
        asked = partial(
            sqlite_read.open_commands, gateway=gateway, due_us_max=due_us_max, limit=limit, known=tuple(known)
        )
        return await self._read(asked)

    async def command(self, command_id: bytes) -> OpenCommand | None:
        return await self._read(partial(sqlite_read.command, command_id=command_id))

    async def commands(self, flow: int, after_seq: int, limit: int) -> list[OpenCommand]:
        return await self._read(
            partial(sqlite_archived.commands, folder=self.archives, flow=flow, after_seq=after_seq, limit=limit)
        )

    async def timers(self, after: tuple[int, int, str], limit: int) -> list[ArmedTimer]:
        return await self._read(partial(sqlite_read.timers, after=after, limit=limit))

    async def timers_of(self, flow: int) -> list[TimerRow]:
        return await self._read(partial(sqlite_read.timers_of, flow=flow))

    async def columns(
        self,
        names: Sequence[str],
        after_position: int,
        limit: int,
        types: Sequence[str] = (),
        until_position: int | None = None,
    ) -> list[tuple[Any, ...]]:
        return await self._read(
            partial(
                sqlite_archived.columns,
                folder=self.archives,
                names=names,
                after_position=after_position,
                limit=limit,
                types=types,
                until_position=until_position,
            )
        )

    async def standing_of(self, flows: Sequence[int], timers_max: int) -> list[Standing]:
        return await self._read(partial(sqlite_read.standing_of, flows=flows, timers_max=timers_max))

    async def events(
        self, after_position: int, limit: int, types: Sequence[str] = (), until_position: int | None = None
    ) -> list[EventRow]:
        return await self._read(
            partial(
                sqlite_archived.events,
                folder=self.archives,
                after_position=after_position,
                limit=limit,
                types=types,
                until_position=until_position,
            )
        )

    async def unhandled(
        self, process: str | None, key: str | None, after_position: int, limit: int
    ) -> list[UnhandledRow]:
        return await self._read(
            partial(sqlite_read.unhandled, process=process, key=key, after_position=after_position, limit=limit)
        )

    async def counts(self) -> JournalCounts:
        return await self._read(sqlite_archived.counts)

    async def undone(self) -> Undone:
        return await self._read(lambda connection: attrs.evolve(undone(connection), file=sizes_of(self._path)))

    async def types(self) -> list[TypeRow]:
        return await self._read(sqlite_read.types)

    async def concerns(self) -> list[ConcernRow]:
        return await self._read(sqlite_read.concerns)

    async def types_in_use(self) -> list[TypeInUse]:
        return await self._read(types_in_use)

    async def owner(self) -> OwnerInfo | None:
        found = await self._read(sqlite_read.owner)
        holder = ownership.holder_of(self._path)
        return found if found is None or holder is None else attrs.evolve(found, running=holder.running)

    async def behind(self) -> head_file.Behind | None:
        """What it lacks of what its head file says; None where nothing, or where nothing tells."""
        head = head_file.read_head(self._path)  # before the journal, which an owner may take further meanwhile
        return None if head is None else await self._read(partial(head_file.behind_as_read, path=self._path, head=head))

    async def verify(self) -> list[Fault]:
        from procession.journal import sqlite_verify  # noqa: PLC0415 - only where somebody verifies

        behind = await self.behind()
        faults: list[Fault] = [] if behind is None else behind.faults
        for check in sqlite_verify.checks(self.archives):
            while (found := await self._read(check)) is not None:
                faults += found
        if any(fault.code.startswith(("pages", "event_", "step_")) for fault in faults):
            from procession.journal.damage import named_damage  # noqa: PLC0415 - as above

            faults = await self._read(named_damage) + faults
        return faults

    async def backup(self, target: str) -> None:
        from procession.journal.sqlite_backup import write_backup  # noqa: PLC0415 - only where somebody asks for one

        await self._read(partial(write_backup, target=target, folder=self.archives))

    async def close(self) -> None:
        await self._thread.close()
        self._use.release()

    async def _open_lane(self, query: str) -> None:
        lane = Lane()
        self._lanes.append(lane)
        await lane.connect(sqlite_schema.uri_of(self._path, query), BUSY_S)
        await lane.run(partial(sqlite_schema.prepare_reader, path=self._path))

    async def _close_lanes(self) -> None:
        lanes, self._lanes = self._lanes, []
        await close_all(lanes)


def _all_in_transaction(together: Sequence[_Asked[Any]], connection: sqlite3.Connection) -> None:
    """Answer each; an error is that of the one who asked, or of all where no transaction could be had."""
    try:
        for asked in together:
            if not connection.in_transaction:  # at the beginning; and where SQLite ended it, since its disk failed
                connection.execute("begin")
            _answer(asked, connection)
        if connection.in_transaction:
            connection.execute("rollback")
    except sqlite3.Error as error:
        for asked in together:
            if not asked.results:
                asked.error = asked.error or error


def _answer(asked: _Asked[Any], connection: sqlite3.Connection) -> None:
    try:
        asked.results.append(answer(asked.work, connection))
    except Exception as error:  # noqa: BLE001 - carried over, and raised to the one who asked
        asked.error = error


@opened_again
async def read_sqlite(path: str | os.PathLike[str]) -> SqliteReader:
    """Open a journal to read it, beside a running owner or with none. Takes no ownership and writes nothing.

    Where no owner runs, SQLite may make an empty `-wal` and a `-shm` file beside it and leave them; both are harmless.

    Raises:
        NotAJournal, JournalTooNew: the file is something else, or of a newer version.
        JournalUnwritable: there is no such file, or it can't be read.
        JournalDamaged: SQLite can't make sense of it.
    """
    name = os.path.realpath(path)
    if not os.path.exists(name):
        raise JournalUnwritable(name, "there is no such file")
    if not os.path.isfile(name):
        raise JournalUnwritable(name, "it is no file")
    use = FileUse(name)
    reader: SqliteReader | None = None
    try:
        if use.first:
            sqlite_schema.check_header(name)
        thread = LoopThread(name)
        opening = SqliteReader(name, thread, use)
        thread.end_with(opening._close_lanes)
        await opened(thread, partial(_open_to_read, opening, name))
        reader = opening
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
            raise NotAJournal(name, "its process ended while it was made; the next owner makes it") from error
        raise JournalUnwritable(name, f"reading failed: {error}") from error
    except sqlite3.DatabaseError as error:
        raise JournalDamaged(name, str(error)) from error
    finally:
        if reader is None:
            use.release()
    return reader


async def _open_to_read(reader: SqliteReader, path: str) -> None:
    head = head_file.read_head(path)
    try:
        await reader._open_lane("mode=ro")
    except sqlite3.OperationalError:
        # A read-only folder without the files of a write-ahead log: nobody can be writing, so what the file holds
        # stands still.
        if os.path.exists(f"{path}-wal") or os.access(os.path.dirname(path), os.W_OK):
            raise
        await reader._close_lanes()
        await reader._open_lane("mode=ro&immutable=1")
        reader.immutable = True
    reader._id = await reader._lanes[0].run(sqlite_read.journal_id)
    if head is not None:
        await reader._lanes[0].run(partial(head_file.warn_reader, path=path, head=head))
