"""One store of one projection in use: its place, the thread that folds into it, and the connections that read it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

import attrs
import trio

from procession.journal.fork_gate import inside
from procession.primitives.projection import Projection
from procession.primitives.projector import Projector
from procession.projection_errors import QueryRefused, StoreUnusable
from procession.projections.folder import StoreFile
from procession.projections.store import Place, ProjectionStore, QueryConnection, file_uri

T = TypeVar("T")


class Work(Protocol):
    """How blocking work is run: in a thread, or right here where the store is in memory."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


def threaded(limiter: trio.CapacityLimiter) -> Work:
    """In threads, as many at one time as the limiter says. What has begun ends, whoever is cancelled."""

    async def run(work: Callable[[], T], /) -> T:
        return await trio.to_thread.run_sync(inside, work, limiter=limiter)

    return run


def abandonable(limiter: trio.CapacityLimiter) -> Work:
    """As `threaded`, but who is cancelled does not wait for its end; the work must see itself that nobody wants it."""

    async def run(work: Callable[[], T], /) -> T:
        return await trio.to_thread.run_sync(inside, work, limiter=limiter, abandon_on_cancel=True)

    return run


async def at_once(work: Callable[[], T], /) -> T:
    """Right here: a store in memory waits for no disk, and a test in virtual time must not wait for threads."""
    await trio.lowlevel.checkpoint()
    return work()


class Retired(Exception):  # noqa: N818 - it says that another store took this one's place, and goes no further
    """A query came too late for this store; the one that took its place answers."""


@attrs.define(eq=False)
class Generation:
    """A store that is open."""

    file: StoreFile
    store: ProjectionStore
    place: Place
    projector: type[Projector]
    work: Work
    rows_max: int
    committed: int
    """The position that its store has; an event that concerns no handler moves the place alone."""
    _idle: list[QueryConnection] = attrs.field(factory=list)
    _gate: threading.Lock = attrs.field(factory=threading.Lock)
    _retired: bool = False

    def answer(self, question: Callable[[QueryConnection], T], wanted: Callable[[], bool]) -> T:
        """Answer a query, in the thread that calls.

        Raises:
            Retired: this store is no longer used.
            QueryRefused: it can't be answered.
        """
        connection = self._taken()
        try:
            return connection.ask(question, wanted)
        finally:
            self._give_back(connection)

    def _taken(self) -> QueryConnection:
        with self._gate:
            if self._retired:
                raise Retired
            return self._idle.pop() if self._idle else self._connect()

    def _give_back(self, connection: QueryConnection) -> None:
        with self._gate:
            if self._retired:
                connection.close()
            else:
                self._idle.append(connection)

    def _connect(self) -> QueryConnection:
        uri = file_uri(self.file.path, "ro") if self.file.path else self.file.uri
        try:
            return QueryConnection(uri, self.place.projector, self.rows_max)
        except sqlite3.Error as error:
            raise QueryRefused(self.place.projector, f"its store can't be read: {error}") from error

    def retire(self) -> None:
        """Close it; queries that run end, and close theirs. Its last position is kept."""
        with self._gate:
            self._retired = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with contextlib.suppress(sqlite3.Error):  # it saves some reading; without it the next start reads again
            self._note_place()
        self.store.close()

    def retire_whole(self) -> None:
        """As `retire`, and its one file is all of it then, whoever else has it open: it may be renamed.

        Raises:
            StoreUnusable: somebody reads it for long, or its disk fails; it is as it was.
        """
        try:
            self._note_place()
            self.store.settle()
        except sqlite3.Error as error:
            self.store.rollback()
            raise StoreUnusable(self.file.path or "memory", str(error), "mend the disk, or make room") from error
        self.retire()

    def _note_place(self) -> None:
        """Its position, where only that has moved."""
        place = self.place
        if self.committed != place.position:
            self.store.begin()
            self.store.commit(place.position, place.event_position, place.event_id, place.events)
            self.committed = place.position


async def make(file: StoreFile, projection: Projection, journal: bytes, work: Work, rows_max: int) -> Generation:
    """A new store with the projector's tables; raises as `open_existing`."""
    return await work(partial(made, file, projection, journal, rows_max, work))


async def open_existing(
    file: StoreFile, projection: Projection, journal: bytes, work: Work, rows_max: int
) -> Generation:
    """A store that is there; made where its process died before it was.

    Raises:
        StoreUnusable: it can't be opened, is no store, or `tables` can't be made in it.
        StoreRefused: `tables` does something else than making tables.
    """

    def begin(store: ProjectionStore) -> Place:
        return store.open() or store.make(projection, journal)

    return await work(lambda: _opened(file, projection, rows_max, work, begin))


def made(file: StoreFile, projection: Projection, journal: bytes, rows_max: int, work: Work = at_once) -> Generation:
    """As `make`, in the thread that calls."""
    return _opened(file, projection, rows_max, work, lambda store: store.make(projection, journal))


def _opened(
    file: StoreFile, projection: Projection, rows_max: int, work: Work, begin: Callable[[ProjectionStore], Place]
) -> Generation:
    store: ProjectionStore | None = None
    opened: Generation | None = None
    try:
        store = ProjectionStore(file.uri, file.path, projection.name, rows_max)
        place = begin(store)
        opened = Generation(file, store, place, projection.cls, work, rows_max, place.position)
    except sqlite3.Error as error:
        raise StoreUnusable(file.path or "memory", str(error), "mend `tables` of its projector, or the disk") from error
    finally:
        if opened is None and store is not None:
            store.close()
    return opened
