"""The runtime for asyncio programs: the methods of `Runtime`, awaited on the loop of whoever calls."""

# Arguments pass through to the methods within.
# ruff: noqa: ANN401

from __future__ import annotations

import asyncio
import functools
import inspect
import operator
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from procession.aggregate_handle import AggregateHandle
from procession.embed.asyncio_host import AsyncioHost, ring
from procession.embed.call import UNWIND_S, Call, Stream
from procession.embed.portal import Portal
from procession.errors import RuntimeClosed
from procession.facade import Runtime
from procession.flow_handle import FlowHandle
from procession.journal.journal import JournalReader
from procession.primitives.aggregate import Aggregate
from procession.primitives.process import ProcessManager

P = ParamSpec("P")
R = TypeVar("R")


async def awaited(portal: Portal, name: str, work: Callable[[], Awaitable[R]]) -> R:
    """Await a call into the runtime on the running asyncio loop.

    Raises:
        RuntimeClosed: the runtime closed first; where it failed, what failed it.
        UsedAfterFork, CalledFromInside, ImpureTurn: this is not the place to call from.

    Cancellation: cancels the call within, and waits for its end, a second at most.
    """
    portal.check(name)
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[None] = loop.create_future()
    call: Call[R] = Call(functools.partial(ring, loop, answered))
    portal.begin(call, work)
    try:
        await answered
    except asyncio.CancelledError:
        unwound: asyncio.Future[None] = loop.create_future()
        call.wake = functools.partial(ring, loop, unwound)
        portal.leave(call)
        if not call.settled:
            await asyncio.wait([unwound], timeout=UNWIND_S)
        raise
    return call.result()


def held_up(portal: Portal, name: str, work: Callable[[], R]) -> R:
    """What does not wait, in the runtime's thread; the caller is held up for as long as one round of that lasts."""
    portal.check(name)
    answered = threading.Lock()
    answered.acquire()
    call: Call[R] = Call(answered.release)
    portal.begin_now(call, work)
    answered.acquire()
    return call.result()


class _Awaited:
    """A class of the runtime's, derived from it: what is public there, and not written here, is called within.

    A property is read as it stands.
    """

    _portal: Portal
    _inner: Any

    @classmethod
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, method in inspect.getmembers(cls, inspect.isfunction):
            if not name.startswith("_") and name not in vars(cls):
                setattr(cls, name, _mirror(name, method))
        for name, found in inspect.getmembers(cls, lambda member: isinstance(member, property)):
            if not name.startswith("_") and name not in vars(cls):
                setattr(cls, name, property(operator.attrgetter(f"_inner.{name}"), doc=found.__doc__))


def _mirror(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(self: _Awaited, /, *args: Any, **kwargs: Any) -> Any:
        return await awaited(self._portal, name, lambda: method(self._inner, *args, **kwargs))

    @functools.wraps(method)
    async def generate(self: _Awaited, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        self._portal.check(name)
        stream = Stream(lambda: method(self._inner, *args, **kwargs))
        self._portal.open_stream(stream)
        try:
            while found := await awaited(self._portal, name, stream.take):
                for item in found:
                    yield item
        except RuntimeClosed:
            return
        finally:
            self._portal.close_stream(stream)

    @functools.wraps(method)
    def call_now(self: _Awaited, /, *args: Any, **kwargs: Any) -> Any:
        return held_up(self._portal, name, lambda: method(self._inner, *args, **kwargs))

    if inspect.isasyncgenfunction(method):
        return generate
    return call if waits(method) else call_now


def waits(method: Callable[..., Any]) -> bool:
    """Whether a method returns what is awaited; one with overloads may be a plain `def` that says so."""
    returned = str(inspect.signature(method).return_annotation)
    return inspect.iscoroutinefunction(method) or returned.startswith(("Coroutine[", "Awaitable["))


class AwaitedFlow(_Awaited, FlowHandle):
    """A `FlowHandle` for asyncio."""

    def __init__(self, portal: Portal, inner: FlowHandle) -> None:
        self._portal = portal
        self._inner = inner
        self.process = inner.process
        self.key = inner.key


class AwaitedAggregate(_Awaited, AggregateHandle):
    """An `AggregateHandle` for asyncio."""

    def __init__(self, portal: Portal, inner: AggregateHandle) -> None:
        self._portal = portal
        self._inner = inner
        self.aggregate = inner.aggregate
        self.key = inner.key


class AwaitedRuntime(_Awaited, Runtime):
    """A `Runtime` for asyncio: the same methods, awaited on the loop of whoever calls. Made by `open_async`.

    What `Runtime` has as a plain method (`counters`, `tree` and such) holds the caller up for about as long as the
    runtime handles one batch.
    """

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._inner = portal.runtime

    @property
    def journal(self) -> JournalReader:
        """Read it within: `await runtime.call(read)`, where `read` gets the `Runtime` that has it.

        Raises:
            AttributeError: always; it can't be awaited on asyncio.
        """
        raise AttributeError("the journal is read in the runtime's thread: give `call` a function that does")

    async def call(
        self, function: Callable[Concatenate[Runtime, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an async function in the runtime's thread, on trio; it gets the `Runtime` within, then the arguments."""
        name = getattr(function, "__name__", repr(function))
        return await awaited(self._portal, name, lambda: function(self._inner, *args, **kwargs))

    def flow(self, process: type[ProcessManager] | str, key: str | int) -> AwaitedFlow:
        """A flow by its process and key; it need not have started yet.

        Raises:
            NotFound: there is no such process.
        """
        self._portal.check("flow")
        return AwaitedFlow(self._portal, self._inner.flow(process, key))

    def aggregate(self, aggregate: type[Aggregate] | str, key: str | int) -> AwaitedAggregate:
        """An aggregate by its class and key; nothing need have been decided for it yet.

        Raises:
            NotFound: there is no such aggregate.
        """
        self._portal.check("aggregate")
        return AwaitedAggregate(self._portal, self._inner.aggregate(aggregate, key))


def opening(
    opener: Callable[P, AbstractAsyncContextManager[Runtime]],
) -> Callable[P, AbstractAsyncContextManager[AwaitedRuntime]]:
    """What opens a runtime on trio, as what opens one for asyncio, in a thread of its own; `open_async` is one."""

    @functools.wraps(opener, assigned=("__annotations__",))
    @asynccontextmanager
    async def open_async(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[AwaitedRuntime]:
        """Open a runtime in a thread of its own, for asyncio; leaving the block closes it in order.

        Takes what `open_runtime` takes, and raises what it raises.

        Cancellation: the grace is skipped; the end of the runtime is waited for.
        """
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        ended: asyncio.Future[None] = loop.create_future()

        def end() -> None:
            ring(loop, ended)
            ring(loop, opened)

        portal = Portal(
            lambda: opener(*args, **kwargs),
            opened=functools.partial(ring, loop, opened),
            ended=end,
            host=AsyncioHost(loop),
            host_gone=loop.is_closed,
        )
        try:
            await opened
            if portal.failure is None:
                yield AwaitedRuntime(portal)
        except Exception as error:
            await _close(portal, ended)
            if portal.failure is not None and portal.failure is not error:
                raise portal.failure  # noqa: B904 - it has a cause of its own
            raise
        except BaseException:
            portal.cancel()  # the host was cancelled: it has no patience for the grace
            await _close(portal, ended)
            raise
        else:
            await _close(portal, ended)
            if portal.failure is not None:
                raise portal.failure

    return open_async


async def _close(portal: Portal, ended: asyncio.Future[None]) -> None:
    """Wait for the end of the thread. Cancellation: once skips the grace, twice leaves the runtime to itself."""
    portal.stop()
    try:
        await asyncio.shield(ended)
    except asyncio.CancelledError:
        portal.cancel()
        await asyncio.shield(ended)
        raise
