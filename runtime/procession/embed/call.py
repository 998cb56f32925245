"""One call on its way into a runtime's thread, and a stream of items on its way out of it."""

from __future__ import annotations

import contextlib
import contextvars
import typing
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Generic, TypeVar

import attrs
import trio

from procession.actors.supervisor import contained_call

T = TypeVar("T")

UNWIND_S = 1.0
"""How long a caller who leaves waits for the end of his call."""
_ITEMS_MAX = 500
"""So many items of a stream wait for whoever takes them."""


@attrs.define(eq=False)
class Call(Generic[T]):
    """Made by any thread; run, and settled, in the runtime's."""

    wake: Callable[[], None]
    """Tells the caller that it is settled; called in the runtime's thread."""
    context: contextvars.Context = attrs.field(factory=contextvars.copy_context)
    settled: bool = False
    left: bool = False
    """The caller left: it is cancelled, or will be as soon as it begins."""
    _values: list[T] = attrs.field(factory=list)
    _error: BaseException | None = None
    _scope: trio.CancelScope | None = None

    async def run(self, work: Callable[[], Awaitable[T]], settle: Callable[[Call[Any]], None]) -> None:
        """As a task. Cancelled together with the runtime it settles nothing: whoever ends the runtime knows why."""
        with trio.CancelScope() as self._scope:
            if self.left:
                self._scope.cancel()
            result = await contained_call(work)  # carried over, and raised to the caller
            if result.error is None:
                self._values.append(typing.cast("T", result.value))
            else:
                self._error = result.error
        settle(self)

    def run_now(self, work: Callable[[], T], settle: Callable[[Call[Any]], None]) -> None:
        """What does not wait needs no task."""
        try:
            self._values.append(self.context.run(work))
        except BaseException as error:  # noqa: BLE001 - as above
            self._error = error
        settle(self)

    def cancel(self) -> None:
        """End it at its next checkpoint."""
        if self._scope is not None:
            self._scope.cancel()

    def fail(self, error: BaseException) -> None:
        """It can't be run, or not to its end."""
        self._error = error

    @property
    def answered(self) -> bool:
        """It came to an end of its own, though the caller may have left."""
        return bool(self._values) or self._error is not None

    def result(self) -> T:
        """The value; an error comes out as itself, with its traceback."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # no cycle of error, frame and call
        return self._values[0]


class Stream(Generic[T]):
    """An async generator that a task of the runtime's reads, taken in batches: a call for each item would cost more."""

    def __init__(self, source: Callable[[], AsyncGenerator[T, None]]) -> None:
        self._source = source
        self._sender, self._receiver = trio.open_memory_channel[T](_ITEMS_MAX)
        self._scope = trio.CancelScope()
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Read until the source ends; waits while nobody takes."""
        with self._sender, self._scope:
            try:
                async with contextlib.aclosing(self._source()) as items:
                    async for item in items:
                        await self._sender.send(item)
            except (trio.Cancelled, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - carried over, and raised to whoever takes
                self._error = error

    async def take(self) -> list[T]:
        """The next items, one at least; none once the source has ended."""
        found: list[T] = []
        try:
            found.append(await self._receiver.receive())
            while True:
                found.append(self._receiver.receive_nowait())
        except trio.WouldBlock:
            return found
        except trio.EndOfChannel:
            if not found and self._error is not None:
                raise self._error from None
            return found

    def close(self) -> None:
        """Nobody takes any more."""
        self._scope.cancel()
