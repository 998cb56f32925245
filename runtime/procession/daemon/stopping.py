"""Ending in order when someone presses Ctrl-C or the system asks for it; at once when they ask twice."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import trio

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_EXIT_BASE = 128


@attrs.define(eq=False)
class Stop:
    """Whether somebody wants us to stop."""

    signal: signal.Signals | None = None
    asked: trio.Event = attrs.field(factory=trio.Event)

    @property
    def exit_code(self) -> int | None:
        """130 for SIGINT, 143 for SIGTERM; None where nobody asked."""
        return None if self.signal is None else _EXIT_BASE + self.signal

    async def race(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work, cancelled when somebody wants us to stop."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel, nursery.cancel_scope)
            await work()
            nursery.cancel_scope.cancel()

    async def asking(self, work: Callable[[], Awaitable[T]]) -> T:
        """What the work returns.

        Raises:
            KeyboardInterrupt: somebody wanted us to stop first.
        """
        found: list[T] = []

        async def do() -> None:
            found.append(await work())

        await self.race(do)
        if not found:
            raise KeyboardInterrupt
        return found[0]

    async def _cancel(self, scope: trio.CancelScope) -> None:
        await self.asked.wait()
        scope.cancel()


def run_stoppable(work: Callable[[Stop], Awaitable[T]]) -> T:
    """Run on trio; the work looks at `stop`, and is cancelled at the second signal.

    Raises:
        Whatever the work raises, in no group.
        KeyboardInterrupt: it was cancelled.
    """
    return trio.run(_until_stopped, work, restrict_keyboard_interrupt_to_checkpoints=True)


async def _until_stopped(work: Callable[[Stop], Awaitable[T]]) -> T:
    stop = Stop()
    found: list[T] = []
    with trio.open_signal_receiver(*_SIGNALS) as received:

        async def watch(scope: trio.CancelScope) -> None:
            async for number in received:
                if stop.signal is not None:
                    scope.cancel()
                stop.signal = signal.Signals(number)
                stop.asked.set()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch, nursery.cancel_scope)
                found.append(await work(stop))
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            found_one = _one_of(group)
            raise found_one from found_one.__cause__
    if not found:
        raise KeyboardInterrupt
    return found[0]


def _one_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that tells most: one of the groups' leaves, or the group where there are several."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup) and len(found.exceptions) == 1:
        found = found.exceptions[0]
    return found
