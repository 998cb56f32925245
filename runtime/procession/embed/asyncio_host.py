"""The asyncio loop of a host, where gateways marked `host=True` are awaited."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import trio

from procession.actors.supervisor import CallResult
from procession.embed.call import UNWIND_S
from procession.engine.host_loop import HostLost


def ring(loop: asyncio.AbstractEventLoop, bell: asyncio.Future[None]) -> None:
    """Wake whoever awaits a future in a loop; from any thread."""
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
        loop.call_soon_threadsafe(_rung, bell)


def _rung(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)


class AsyncioHost:
    """The host's loop, for the engine."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def begin(self, work: Callable[[], Coroutine[Any, Any, object]], ended: Callable[[], None]) -> AsyncioCall:
        """As `HostLoop.begin`."""
        return AsyncioCall(self._loop, work, ended)


class AsyncioCall:
    """One call of a gateway that is awaited in the host's loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[], Coroutine[Any, Any, object]],
        ended: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._work = work
        self._on_end = ended
        self._token = trio.lowlevel.current_trio_token()
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[CallResult[object]] | None = None
        self._left = False
        self._over = trio.Event()
        self._lost = not self._tell(self._start)

    @property
    def ended(self) -> bool:
        """It has returned, or never began."""
        return self._lost or self._over.is_set()

    async def wait(self) -> object:
        """As `HostCall.wait`."""
        if self._lost:
            await trio.lowlevel.checkpoint()
            raise HostLost(_GONE)
        try:
            await self._over.wait()
        finally:
            if not self._over.is_set():
                self._lost = not self._tell(self._leave)
                with trio.move_on_after(0 if self._lost else UNWIND_S, shield=True):
                    await self._over.wait()
        task = self._task
        if task is None or task.cancelled():
            raise HostLost(_CANCELLED)
        result = task.result()
        if result.error is not None:
            raise result.error
        return result.value

    def _tell(self, what: Callable[[], None]) -> bool:
        """Have something run in the loop; False where that is closed."""
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            return False
        return True

    # What follows runs in the host's thread.

    def _start(self) -> None:
        if self._left:
            self._end()
            return
        self._task = self._loop.create_task(self._contained(), context=self._context)
        self._task.add_done_callback(lambda _: self._end())

    async def _contained(self) -> CallResult[object]:
        """A task that raised `SystemExit` or its like would end the loop, and the host with it."""
        try:
            return CallResult(await self._work(), None)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - carried over, and raised to the gateway's host
            return CallResult(None, error)

    def _leave(self) -> None:
        self._left = True
        if self._task is not None:
            self._task.cancel("the attempt was cancelled")

    def _end(self) -> None:
        with contextlib.suppress(trio.RunFinishedError):  # gone: the command is still open in the journal
            self._token.run_sync_soon(self._told)

    # And this in trio's.

    def _told(self) -> None:
        self._over.set()
        self._on_end()


_GONE = "the asyncio loop of the host is closed"
_CANCELLED = "the host cancelled the call"
