"""The two sides of a runtime as protocols: what a service, a door or a test depends on instead of `Runtime` itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, Protocol, overload

from procession.aggregate_handle import AggregateHandle
from procession.flow_handle import FlowHandle, FlowSummary
from procession.journal.rows import FlowStatus
from procession.knob import Value
from procession.primitives.aggregate import Aggregate
from procession.primitives.command import Command
from procession.primitives.envelope import Recorded
from procession.primitives.event import Event
from procession.primitives.outside import Outside, Position
from procession.primitives.process import ProcessManager
from procession.primitives.projector import Parameters, Projector, Row
from procession.projections.view import QUERY_TIMEOUT_S, AnswerT, AskedP, ProjectionInfo, ProjectorT, Reading, Rebuilt
from procession.sending import Reply


class CommandFacade(Protocol):
    """What changes something: facts come in, and operators act. `Runtime` is one."""

    @overload
    async def publish(
        self, events: Event, *, id: str | None = None, source: str | None = None, wait: bool = True
    ) -> Position: ...
    @overload
    async def publish(self, events: Sequence[Event | Outside], *, wait: bool = True) -> list[Position]: ...

    async def send(
        self,
        command: Command,
        *,
        id: str | None = None,
        source: str | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> Reply:
        """An aggregate decides a command; answers with its events or its refusal, once they are durable."""
        ...

    async def pause_gateway(self, name: str, *, by: str, why: str) -> None:
        """No attempt of a gateway begins."""
        ...

    async def resume_gateway(self, name: str, *, by: str, why: str) -> None:
        """Its attempts begin again."""
        ...

    async def resume_process(self, name: str, *, by: str, why: str) -> None:
        """A paused process goes on."""
        ...

    async def limit_gateway(self, name: str, limits: Mapping[str, Value], *, by: str, why: str) -> list[str]:
        """A gateway is driven by other limits at once."""
        ...

    async def begin_rebuild(self, projector: type[Projector] | str, *, by: str, why: str) -> None:
        """As `rebuild`, and nobody waits for it."""
        ...

    async def rebuild(
        self, projector: type[Projector] | str, *, on_progress: Callable[[Rebuilt], None] | None = None
    ) -> Rebuilt:
        """A projection is made anew beside the one that answers, and takes its place."""
        ...


class QueryFacade(Protocol):
    """What changes nothing: flows, events, projections. Nothing of it may be called from inside a turn (law 7)."""

    def flow(self, process: type[ProcessManager] | str, key: str | int) -> FlowHandle:
        """A flow by its process and key."""
        ...

    def aggregate(self, aggregate: type[Aggregate] | str, key: str | int) -> AggregateHandle:
        """An aggregate by its class and key."""
        ...

    async def flows(
        self,
        process: type[ProcessManager] | str | None = None,
        *,
        status: FlowStatus | tuple[FlowStatus, ...] = (),
        outcome: str | None = None,
        key_prefix: str | None = None,
        limit: int = 1000,
    ) -> list[FlowSummary]:
        """Flows that match."""
        ...

    async def events(self, after: int = 0, *, types: Sequence[str] = (), limit: int = 1000) -> list[Recorded]:
        """Durable events after a position."""
        ...

    def follow(self, after: int = 0) -> AsyncGenerator[Recorded, None]:
        """Durable events as they come."""
        ...

    @overload
    def query(
        self,
        projector: type[Projector] | str,
        question: str,
        parameters: Parameters = (),
        *,
        at_least: int | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> Coroutine[Any, Any, list[Row]]: ...
    @overload
    def query(
        self,
        projector: type[ProjectorT],
        question: Callable[Concatenate[ProjectorT, Reading, AskedP], AnswerT],
        parameters: Sequence[object] = (),
        *,
        at_least: int | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> Coroutine[Any, Any, AnswerT]: ...

    def projections(self) -> list[ProjectionInfo]:
        """Where each projection stands."""
        ...
