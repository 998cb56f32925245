"""A runtime in a thread of its own, and the portal by which the other threads of its process call it."""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, TypeVar

import attrs
import trio

from procession.embed.call import Call, Stream
from procession.engine.host_loop import HOST_LOOP, HostLoop
from procession.engine.turn import refuse_in_turn
from procession.errors import ProcessionError, RuntimeClosed
from procession.facade import Runtime
from procession.hosting import plain_errors

T = TypeVar("T")
Opener = Callable[[], AbstractAsyncContextManager[Runtime]]

_LOOK_S = 0.25
"""How often the runtime looks whether the program around it has ended."""
_EXIT_S_MAX = 5.0
"""How long the exit of the interpreter waits for a runtime that nobody stopped."""


@attrs.define
class UsedAfterFork(ProcessionError):  # noqa: N818 - an error is named for what happened
    """A runtime was opened before a fork and used in the child, where its thread does not exist; nothing was done."""

    pid_opened: int
    pid: int

    _says = (
        "this runtime was opened in process {0.pid_opened}, and process {0.pid} is a fork of that, without its thread;"
        " open a runtime after the fork (gunicorn: in the worker, by post_fork, or without --preload)"
    )


@attrs.define
class CalledFromInside(ProcessionError):  # noqa: N818 - as above
    """A runtime was called from its own thread, where the call would wait for itself; nothing was done."""

    call: str

    _says = (
        "{0.call} was called from the runtime's own thread, where it would wait for itself; a gateway answers with"
        " events instead, and a plain `def` method of one, which has a thread of its own, may call"
    )


class Portal:
    """One runtime in a thread of its own, from `__init__` to the end of that thread.

    Calls are taken from any thread of this process. Each is answered for certain: by its own end, or when the runtime
    ends, by the reason for that.

    Args:
        opener: opens the runtime, in its thread.
        opened, ended: called in that thread. Where it can't be opened, only `ended`, and `failure` says why.
        host: where gateways marked `host=True` are awaited.
        host_gone: whether that host will never run again; the runtime closes then.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        opened: Callable[[], None],
        ended: Callable[[], None],
        host: HostLoop | None = None,
        host_gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self.failure: BaseException | None = None
        """What ended it, where it did not end in order."""
        self._opener = opener
        self._opened, self._ended = opened, ended
        self._host, self._host_gone = host, host_gone
        self._pid = os.getpid()
        # Reentrant: a finaliser that runs while this thread holds it may end a call of its own.
        self._gate = threading.RLock()
        self._arrived: deque[Callable[[], None]] = deque()
        self._calls: set[Call[Any]] = set()
        self._closed = False
        self._traceback: TracebackType | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._runtime: Runtime | None = None
        self._nursery: trio.Nursery | None = None
        self._stop = trio.Event()
        self._whole = trio.CancelScope()
        within = contextvars.copy_context()  # as a task has the context of whoever starts it
        self._thread = threading.Thread(target=within.run, args=(self._main,), name="procession", daemon=True)
        atexit.register(self._thread.join, _EXIT_S_MAX)
        self._thread.start()

    @property
    def runtime(self) -> Runtime:
        """The runtime within, for what any thread may read of it."""
        assert self._runtime is not None, "it was opened"
        return self._runtime

    def check(self, name: str) -> None:
        """Refuse a caller whose call could never be answered.

        Raises:
            UsedAfterFork: this process is a fork of the one that opened it.
            ImpureTurn: a turn is running in this thread.
            CalledFromInside: this is the runtime's thread.
        """
        pid = os.getpid()
        if pid != self._pid:
            raise UsedAfterFork(self._pid, pid)
        if threading.get_ident() == self._thread.ident:
            refuse_in_turn(name)
            raise CalledFromInside(name)

    def begin(self, call: Call[T], work: Callable[[], Awaitable[T]]) -> None:
        """Have a call run as a task, in the context of its caller.

        Raises:
            RuntimeClosed: the runtime has ended in order.
            BaseException: it has failed; this is why.
        """
        self._register(call, lambda: self._start(call, work))

    def begin_now(self, call: Call[T], work: Callable[[], T]) -> None:
        """Have something run that does not wait; raises as `begin`."""
        self._register(call, lambda: call.run_now(work, self._settle))

    def leave(self, call: Call[Any]) -> None:
        """The caller does not wait any longer: cancel it."""
        call.left = True
        self._tell(call.cancel)

    def open_stream(self, stream: Stream[Any]) -> None:
        """Have a stream read; where the runtime ends, whoever takes from it hears of that."""
        self._tell(lambda: self._read(stream))

    def close_stream(self, stream: Stream[Any]) -> None:
        """Nobody takes any more; from any thread."""
        self._tell(stream.close)

    def stop(self) -> None:
        """Begin to close in order; once is enough."""
        self._tell(self._stop.set)

    def cancel(self) -> None:
        """Close without grace: the last commit is written, within its bound."""
        self._tell(self._whole.cancel)

    def _register(self, call: Call[Any], start: Callable[[], None]) -> None:
        with self._gate:
            if self._closed:
                raise self._why_closed()
            self._calls.add(call)
        self._tell(start)

    def _why_closed(self) -> BaseException:
        """As it was raised at first: each who raises it adds to its traceback."""
        return RuntimeClosed() if self.failure is None else self.failure.with_traceback(self._traceback)

    def _tell(self, what: Callable[[], None]) -> None:
        """Have something run in the runtime's thread; nothing happens where that has ended, or in a forked child."""
        if os.getpid() != self._pid:  # a finaliser may come here, past `check`: queue and socket are the parent's
            return
        self._arrived.append(what)
        if self._token is not None:  # else it is taken up as soon as there is one
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._take, idempotent=True)

    # What follows runs in the runtime's thread.

    def _take(self) -> None:
        while self._arrived:
            self._arrived.popleft()()

    def _start(self, call: Call[T], work: Callable[[], Awaitable[T]]) -> None:
        if self._nursery is not None:  # else the end answers it
            call.context.run(self._nursery.start_soon, call.run, work, self._settle)

    def _read(self, stream: Stream[Any]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(stream.run)

    def _settle(self, call: Call[Any]) -> None:
        self._calls.discard(call)
        call.settled = True
        call.wake()

    def _main(self) -> None:
        try:
            trio.run(self._run)
        except BaseException as error:  # noqa: BLE001 - the end of a thread: it is raised to whoever holds the runtime
            self.failure, self._traceback = error, error.__traceback__
        finally:
            atexit.unregister(self._thread.join)
            with self._gate:
                self._closed = True
            for call in list(self._calls):
                call.fail(self._why_closed())
                self._settle(call)
            self._ended()

    async def _run(self) -> None:
        HOST_LOOP.set(self._host)
        self._token = trio.lowlevel.current_trio_token()
        self._token.run_sync_soon(self._take, idempotent=True)
        with plain_errors(), self._whole:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_program)
                try:
                    async with self._opener() as self._runtime:
                        self._nursery = nursery
                        self._opened()
                        await self._stop.wait()
                finally:
                    self._nursery = None  # before it may close: what is started in it then would end trio's run
                nursery.cancel_scope.cancel()

    async def _watch_program(self) -> None:
        """Close where nobody else will: the main thread has ended, or the loop of the host is closed."""
        # The interpreter waits for the journal's threads before it runs what `atexit` knows, and tells nobody: so look.
        while threading.main_thread().is_alive() and not self._host_gone():  # noqa: ASYNC110 - as above
            await trio.sleep(_LOOK_S)
        self._whole.cancel()
