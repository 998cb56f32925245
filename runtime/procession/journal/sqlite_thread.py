"""The bridge from trio to aiosqlite: an asyncio loop in a thread of the journal's own, and connections behind it.

aiosqlite can't be awaited from trio, and replacing the asyncio of the whole host process is not for an embedded
library to do. So a plain asyncio loop runs in a thread, and each call is one hop: a function that runs whole in the
connection's thread.
"""

# Arguments pass through to sqlite3, errors of any kind to the caller.
# ruff: noqa: ANN401, BLE001

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import aiosqlite
import trio

from procession.journal.fork_gate import inside

T = TypeVar("T")


class StagedConnection(sqlite3.Connection):
    """A connection whose `commit` runs what is staged, for as long as the connection is open.

    aiosqlite runs `commit` in the connection's thread, so each staged function is one hop from whatever thread staged
    it, by public API alone; and no hop goes through the asyncio loop, which would be a third thread to wake.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.staged: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def commit(self) -> None:
        """Run staged functions, in order, until None is staged."""
        while (work := self.staged.get()) is not None:
            inside(work)

    def close(self) -> None:
        """Close it; not while the process forks."""
        inside(super().close)


class Lane:
    """One aiosqlite connection, and the functions that run in its thread."""

    def __init__(self) -> None:
        self.busy = False
        """It answers a question; read and written in trio's thread only."""
        self._made: list[StagedConnection] = []
        self._threads: list[threading.Thread] = []
        self._connection: aiosqlite.Connection | None = None
        self._serving: asyncio.Future[None] | None = None
        self._gate = threading.Lock()
        self._open = False

    async def connect(self, uri: str, busy_s: float) -> None:
        """Open the file; autocommit, so that transactions begin and end where the code says. In the loop's thread."""
        self._connection = await aiosqlite.connect(
            uri, uri=True, factory=self._make, isolation_level=None, timeout=busy_s, cached_statements=256
        )
        self._serving = asyncio.ensure_future(self._connection.commit())
        self._open = True

    def _make(self, *args: Any, **kwargs: Any) -> StagedConnection:
        self._threads.append(threading.current_thread())
        connection = inside(partial(StagedConnection, *args, **kwargs))
        self._made.append(connection)
        return connection

    def stage(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Have a function run in the connection's thread, after those staged before; from any thread.

        Raises:
            ProgrammingError: the connection is closed.
        """
        # Without the gate a function could be staged behind the end, and nobody would ever answer it.
        with self._gate:
            if not self._open:
                raise sqlite3.ProgrammingError("the connection is closed")
            raw = self._made[-1]
            raw.staged.put(lambda: work(raw))

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function in the connection's thread, and await it in the loop's."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[T] = loop.create_future()

        def answering(connection: sqlite3.Connection) -> None:
            try:
                result = work(connection)
            except Exception as error:  # carried over, and raised to the caller
                loop.call_soon_threadsafe(_settle, answered, None, error)
            else:
                loop.call_soon_threadsafe(_settle, answered, result, None)

        self.stage(answering)
        return await answered

    async def close(self) -> None:
        """Close the connection and wait for the end of its thread. In the loop's thread."""
        with self._gate:
            if self._open:
                self._made[-1].staged.put(None)
            self._open = False
        connection, self._connection = self._connection, None
        try:
            if self._serving is not None:
                await self._serving
            if connection is not None:
                await connection.close()
        finally:
            self._serving = None
            self._made.clear()
            while self._threads:
                self._threads.pop().join()


def _settle(answered: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if answered.cancelled():
        return
    if error is None:
        answered.set_result(result)
    else:
        answered.set_exception(error)


class _Bell:
    """Wakes the one trio task that waits for it, from another thread: one turn of the scheduler.

    trio's own way into its thread, `run_sync_soon`, takes three: to hear of it, to run it, to wake the task.
    """

    def __init__(self) -> None:
        self._heard, self._rung = socket.socketpair()
        self._heard.setblocking(False)  # noqa: FBT003 - positional only
        self._rung.setblocking(False)  # noqa: FBT003 - as above

    def ring(self) -> None:
        """From any thread, also when nobody waits any more."""
        with suppress(OSError):  # full: it rings; closed: nobody is left
            self._rung.send(b"\0")

    async def wait(self) -> None:
        """Until it rings. It may have rung for somebody who left: look whether what you wait for is there."""
        await trio.lowlevel.wait_readable(self._heard)
        with suppress(BlockingIOError):
            self._heard.recv(_RINGS_MAX)

    def close(self) -> None:
        self._heard.close()
        self._rung.close()


class _Call(Generic[T]):
    """One answer on its way from another thread to a waiting trio task; the first one counts."""

    def __init__(self, token: trio.lowlevel.TrioToken, done: Callable[[], None] | None, bell: _Bell | None) -> None:
        self._token = token
        self._done = done
        self._bell = bell
        """None: the caller is told by way of trio's queue."""
        self._answered = trio.Event()
        self._results: list[T] = []
        self._errors: list[BaseException] = []

    def answer(self, result: T) -> None:
        self._results.append(result)
        self._tell()

    def fail(self, error: BaseException) -> None:
        if not self._results and not self._errors:
            self._errors.append(error)
            self._tell()

    def _tell(self) -> None:
        bell = self._bell
        if bell is not None:
            bell.ring()
            return
        try:
            self._token.run_sync_soon(self._end)
        except trio.RunFinishedError:
            return  # nobody is left to tell

    def _end(self) -> None:
        if self._done is not None:
            self._done()
            self._done = None
        self._answered.set()

    async def wait(self) -> T:
        """The answer. A caller that leaves is told of, all the same, by `done`."""
        if self._bell is None:
            await self._answered.wait()
        else:
            await self._listen(self._bell)
        if self._errors:
            try:
                raise self._errors[0]
            finally:
                self._errors.clear()  # no cycle of error, frame and list
        return self._results[0]

    async def _listen(self, bell: _Bell) -> None:
        try:
            if self._results or self._errors:
                await trio.lowlevel.checkpoint()
            while not self._results and not self._errors:
                await bell.wait()
        finally:
            # In this order: whoever answers from now on, and finds no bell, comes by way of trio's queue.
            self._bell = None
            if self._results or self._errors:
                self._end()


class LoopThread:
    """A thread that runs an asyncio loop, for one trio run. Ends with that run at the latest."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.SelectorEventLoop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._token = trio.lowlevel.current_trio_token()
        self._ending: Callable[[], Awaitable[None]] | None = None
        self._over = trio.Event()
        self._bells: list[_Bell] = []
        """Those that nobody waits for."""
        self._bells_made = 0
        self._thread = threading.Thread(target=self._main, name=f"procession-journal {name}", daemon=True)
        self._thread.start()
        trio.lowlevel.spawn_system_task(self._guard, name=f"journal guard {name}")

    def _main(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _guard(self) -> None:
        # The threads of aiosqlite are no daemons: one that is left over would hang the interpreter at its exit.
        # trio cancels system tasks once the main task has ended, and then nobody is left to close the journal.
        try:
            await self._over.wait()
        finally:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._begin, self._end())
                self._thread.join()
            self._silence()

    def end_with(self, ending: Callable[[], Awaitable[None]]) -> None:
        """What to run in the loop before the thread ends: closing the connections."""
        self._ending = ending

    @property
    def running(self) -> bool:
        """Whether calls are taken."""
        return not self._over.is_set()

    async def call(self, work: Callable[[], Awaitable[T]], done: Callable[[], None] | None = None) -> T:
        """Await something in the loop; `done` is called back in trio's thread, also where the caller is gone.

        Cancellation: the caller leaves, the work goes on without effect on anybody.
        """
        if self._over.is_set():
            raise sqlite3.ProgrammingError("the journal is closed")
        call: _Call[T] = _Call(self._token, done, None)

        async def run() -> None:
            try:
                call.answer(await work())
            except (Exception, asyncio.CancelledError) as error:  # carried over, and raised to the caller
                call.fail(error)

        self._loop.call_soon_threadsafe(self._begin, run())
        return await call.wait()

    async def hop(
        self, lane: Lane, work: Callable[[sqlite3.Connection], T], done: Callable[[], None] | None = None
    ) -> T:
        """Run a function in the connection's thread, which answers trio itself: there and back past the loop.

        Cancellation: as for `call`.
        """
        if self._over.is_set():
            raise sqlite3.ProgrammingError("the journal is closed")
        bell = self._take_bell()
        call: _Call[T] = _Call(self._token, done, bell)

        def answering(connection: sqlite3.Connection) -> None:
            try:
                call.answer(work(connection))
            except Exception as error:  # carried over, and raised to the caller
                call.fail(error)

        try:
            lane.stage(answering)
        except sqlite3.ProgrammingError as error:
            call.fail(error)
        try:
            return await call.wait()
        finally:
            if bell is not None:
                self._put_back(bell)

    def post(self, lane: Lane, work: Callable[[sqlite3.Connection], None], done: Callable[[], None]) -> None:
        """Run a function in the connection's thread, and then `done` in trio's; nobody waits. `work` raises nothing.

        Raises:
            ProgrammingError: the connection is closed; neither is run.
        """

        def answering(connection: sqlite3.Connection) -> None:
            work(connection)
            with suppress(trio.RunFinishedError):  # nobody is left to tell
                self._token.run_sync_soon(done)

        lane.stage(answering)

    def _take_bell(self) -> _Bell | None:
        """A bell that nobody uses; None where all that there may be are in use."""
        if self._bells:
            return self._bells.pop()
        if self._bells_made >= _BELLS_MAX:
            return None
        try:
            bell = _Bell()
        except OSError:  # no descriptor is left: the answer comes by trio's own way
            return None
        self._bells_made += 1
        return bell

    def _put_back(self, bell: _Bell) -> None:
        if self._over.is_set():
            bell.close()
        else:
            self._bells.append(bell)

    def _begin(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        try:
            if self._ending is not None:
                await self._ending()
        except sqlite3.Error:
            pass  # what could not be closed in order is left to the next start, as after a crash
        finally:
            self._loop.stop()

    async def close(self) -> None:
        """Run the ending, then end the thread. Certain: also under cancellation; twice is fine."""
        with trio.CancelScope(shield=True):
            if self._over.is_set():
                return
            if self._ending is not None:
                with suppress(sqlite3.Error):  # as in `_end`
                    await self.call(self._ending)
            self._ending = None
            self._over.set()
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
            self._silence()
            await trio.lowlevel.checkpoint()

    def _silence(self) -> None:
        while self._bells:
            self._bells.pop().close()


_BELLS_MAX = 8
"""Each holds two descriptors: where more calls wait at once, they are told by way of trio's queue."""
_RINGS_MAX = 4096
