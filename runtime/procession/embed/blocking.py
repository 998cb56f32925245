"""The runtime for synchronous programs: the methods of `Runtime` as calls that block, from any thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from procession.aggregate_handle import AggregateHandle
from procession.embed.call import UNWIND_S, Call, Stream
from procession.embed.portal import Portal
from procession.errors import RuntimeClosed
from procession.facade import Runtime
from procession.flow_handle import FlowHandle
from procession.primitives.aggregate import Aggregate
from procession.primitives.envelope import Recorded
from procession.primitives.event import Event
from procession.primitives.outside import Outside, Position
from procession.primitives.process import ProcessManager
from procession.primitives.projector import Parameters, Projector, Row
from procession.primitives.registry import Registry
from procession.projections.view import QUERY_TIMEOUT_S, AnswerT, AskedP, ProjectorT, Reading
from procession.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Blocking(Generic[T]):
    """Something within a runtime, called from other threads."""

    def __init__(self, portal: Portal, inner: T, timeout_s: float | None) -> None:
        self._portal = portal
        self._inner = inner
        self._timeout_s = timeout_s

    def _call(self, name: str, work: Callable[[], Awaitable[R]]) -> R:
        """Wait for a call.

        Raises:
            TimeoutError: no answer came in time; the call was cancelled.
            RuntimeClosed: the runtime closed first; where it failed, what failed it.
            UsedAfterFork, CalledFromInside, ImpureTurn: this is not the place to call from.
        """
        return self._wait(name, lambda call: self._portal.begin(call, work))

    def _call_now(self, name: str, work: Callable[[], R]) -> R:
        """As `_call`, for what does not wait."""
        return self._wait(name, lambda call: self._portal.begin_now(call, work))

    def _wait(self, name: str, begin: Callable[[Call[R]], None]) -> R:
        self._portal.check(name)
        answered = threading.Lock()
        answered.acquire()
        call: Call[R] = Call(answered.release)
        try:
            begin(call)
            in_time = answered.acquire(timeout=-1 if self._timeout_s is None else self._timeout_s)
        except BaseException:  # Ctrl-C: the call goes with its caller; or it never began
            self._portal.leave(call)
            raise
        if not in_time:
            self._portal.leave(call)
            answered.acquire(timeout=UNWIND_S)
            if not call.answered:
                msg = (
                    f"{name} gave no answer within {self._timeout_s:g} s and was cancelled; what it had begun may have"
                    " been done: repeat it under the same ids"
                )
                raise TimeoutError(msg)
        return call.result()


def blocking(
    method: Callable[Concatenate[T, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Blocking[T], P], R]:
    """A method that waits, as one that blocks; of the same name, parameters and promises."""

    @functools.wraps(method)
    def call(held: Blocking[T], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return held._call(method.__name__, lambda: method(held._inner, *args, **kwargs))  # noqa: SLF001 - its own

    return call


def at_once(method: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[Blocking[T], P], R]:
    """As `blocking`, for a method that does not wait."""

    @functools.wraps(method)
    def call(held: Blocking[T], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return held._call_now(method.__name__, lambda: method(held._inner, *args, **kwargs))  # noqa: SLF001 - as above

    return call


class BlockingFlow(Blocking[FlowHandle]):
    """A flow by name, as `FlowHandle`; it need not have started yet."""

    @property
    def process(self) -> str:
        """The stored name of its process."""
        return self._inner.process

    @property
    def key(self) -> str:
        """Which of them it is."""
        return self._inner.key

    @property
    def name(self) -> str:
        """How people call it: `order/421`."""
        return self._inner.name

    wait_ended = blocking(FlowHandle.wait_ended)
    summary = blocking(FlowHandle.summary)
    why = blocking(FlowHandle.why)
    why_not = blocking(FlowHandle.why_not)
    retry = blocking(FlowHandle.retry)
    skip = blocking(FlowHandle.skip)
    release = blocking(FlowHandle.release)
    cancel = blocking(FlowHandle.cancel)
    retry_command = blocking(FlowHandle.retry_command)


class BlockingAggregate(Blocking[AggregateHandle]):
    """An aggregate by name, as `AggregateHandle`; nothing need have been decided for it yet."""

    @property
    def aggregate(self) -> str:
        """Its stored name."""
        return self._inner.aggregate

    @property
    def key(self) -> str:
        """Which of them it is."""
        return self._inner.key

    @property
    def name(self) -> str:
        """How people call it: `account/a1`."""
        return self._inner.name

    version = blocking(AggregateHandle.version)
    events = blocking(AggregateHandle.events)


class BlockingRuntime(Blocking[Runtime]):
    """An open runtime in a thread of its own. Made by `start`; used from any thread of the process that made it."""

    def __init__(self, portal: Portal, ended: threading.Event, timeout_s: float | None = None) -> None:
        super().__init__(portal, portal.runtime, timeout_s)
        self._ended = ended

    def within(self, timeout_s: float) -> Self:
        """The same runtime, whose calls, and those of its flows, raise `TimeoutError` after this long."""
        return type(self)(self._portal, self._ended, timeout_s)

    def stop(self) -> None:
        """Close the runtime in order, as leaving its block does; doing it twice is fine.

        Raises:
            RuntimeFailed, Fenced, JournalError: it had not ended in order; this is why.
        """
        self._portal.check("stop")
        self._portal.stop()
        try:
            self._ended.wait()
        except BaseException:  # Ctrl-C: whoever waits has no patience for the grace
            self._portal.cancel()
            raise
        if self._portal.failure is not None:
            raise self._portal.failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except Exception as failure:
            if failure is error or (error is not None and not isinstance(error, Exception)):
                return
            raise

    def call(self, function: Callable[Concatenate[Runtime, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run an async function in the runtime's thread, on trio; it gets the `Runtime` within, then the arguments."""
        return self._call(_name(function), lambda: function(self._inner, *args, **kwargs))

    @overload
    def publish(
        self, events: Event, *, id: str | None = None, source: str | None = None, wait: bool = True
    ) -> Position: ...
    @overload
    def publish(self, events: Sequence[Event | Outside], *, wait: bool = True) -> list[Position]: ...
    @functools.wraps(Runtime.publish)
    def publish(
        self,
        events: Event | Sequence[Event | Outside],
        *,
        id: str | None = None,
        source: str | None = None,
        wait: bool = True,
    ) -> Position | list[Position]:
        if isinstance(events, Event):
            return self._call("publish", lambda: self._inner.publish(events, id=id, source=source, wait=wait))
        return self._call("publish", lambda: self._inner.publish(events, wait=wait))

    @property
    def held(self) -> str:
        """As `Runtime.held`."""
        return self._inner.held

    @property
    def committing_s(self) -> float:
        """As `Runtime.committing_s`."""
        return self._inner.committing_s

    @property
    def position(self) -> int:
        """As `Runtime.position`."""
        return self._inner.position

    @property
    def registry(self) -> Registry:
        """As `Runtime.registry`."""
        return self._inner.registry

    @property
    def settings(self) -> Settings:
        """As `Runtime.settings`."""
        return self._inner.settings

    def flow(self, process: type[ProcessManager] | str, key: str | int) -> BlockingFlow:
        """A flow by its process and key; it need not have started yet.

        Raises:
            NotFound: there is no such process.
        """
        self._portal.check("flow")
        return BlockingFlow(self._portal, self._inner.flow(process, key), self._timeout_s)

    def aggregate(self, aggregate: type[Aggregate] | str, key: str | int) -> BlockingAggregate:
        """An aggregate by its class and key; nothing need have been decided for it yet.

        Raises:
            NotFound: there is no such aggregate.
        """
        self._portal.check("aggregate")
        return BlockingAggregate(self._portal, self._inner.aggregate(aggregate, key), self._timeout_s)

    @overload
    def query(
        self,
        projector: type[Projector] | str,
        question: str,
        parameters: Parameters = (),
        *,
        at_least: int | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> list[Row]: ...
    @overload
    def query(
        self,
        projector: type[ProjectorT],
        question: Callable[Concatenate[ProjectorT, Reading, AskedP], AnswerT],
        parameters: Sequence[object] = (),
        *,
        at_least: int | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> AnswerT: ...
    @functools.wraps(Runtime.query)
    def query(
        self,
        projector: type[Projector] | str,
        question: Any,
        parameters: Parameters = (),
        *,
        at_least: int | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> Any:
        def ask() -> Coroutine[Any, Any, Any]:
            return self._inner.query(projector, question, parameters, at_least=at_least, timeout_s=timeout_s)

        return self._call("query", ask)

    def follow(self, after: int = 0) -> Iterator[Recorded]:
        """Durable events after a position, in order, as they come; ends when the runtime closes."""
        self._portal.check("follow")
        stream = Stream(lambda: self._inner.follow(after))
        self._portal.open_stream(stream)
        try:
            while found := self._call("follow", stream.take):
                yield from found
        except RuntimeClosed:
            return
        finally:
            self._portal.close_stream(stream)

    send = blocking(Runtime.send)
    rebuild = blocking(Runtime.rebuild)
    projections = at_once(Runtime.projections)
    flows = blocking(Runtime.flows)
    events = blocking(Runtime.events)
    drain = blocking(Runtime.drain)
    wait_beyond = blocking(Runtime.wait_beyond)
    pause_gateway = blocking(Runtime.pause_gateway)
    resume_gateway = blocking(Runtime.resume_gateway)
    resume_process = blocking(Runtime.resume_process)
    record_act = blocking(Runtime.record_act)
    archive = blocking(Runtime.archive)
    begin_rebuild = blocking(Runtime.begin_rebuild)
    limit_gateway = blocking(Runtime.limit_gateway)
    gateway_limits = at_once(Runtime.gateway_limits)
    paused_processes = at_once(Runtime.paused_processes)
    counters = at_once(Runtime.counters)
    gateways = at_once(Runtime.gateways)
    metrics = blocking(Runtime.metrics)
    histograms = at_once(Runtime.histograms)
    observe = at_once(Runtime.observe)
    reload_gateways = at_once(Runtime.reload_gateways)
    tree = at_once(Runtime.tree)


def starting(opener: Callable[P, AbstractAsyncContextManager[Runtime]]) -> Callable[P, BlockingRuntime]:
    """What opens a runtime on trio, as what starts one in a thread of its own; `start` is one."""

    @functools.wraps(opener, assigned=("__annotations__",))
    def start(*args: P.args, **kwargs: P.kwargs) -> BlockingRuntime:
        """Open a runtime in a thread of its own. Use it as a context manager, or call its `stop()`.

        Takes what `open_runtime` takes, and raises what it raises.
        """
        opened, ended = threading.Event(), threading.Event()

        def end() -> None:
            ended.set()
            opened.set()

        portal = Portal(lambda: opener(*args, **kwargs), opened=opened.set, ended=end)
        try:
            opened.wait()
        except BaseException:
            portal.cancel()
            raise
        if portal.failure is not None:
            raise portal.failure
        return BlockingRuntime(portal, ended)

    return start


def _name(function: object) -> str:
    return getattr(function, "__name__", repr(function))
