"""Projections as a runtime shows them: what is asked of them and told. Loads nothing of SQLite: few have any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NoReturn, ParamSpec, Protocol, TypeVar

import attrs
import trio

from procession.actors.supervisor import ActorInfo
from procession.engine.watch import Watch
from procession.errors import NotFound
from procession.primitives.projector import Parameters, Projector, Row
from procession.telemetry.names import Counters

ProjectorT = TypeVar("ProjectorT", bound=Projector)
AnswerT = TypeVar("AnswerT")
AskedP = ParamSpec("AskedP")
ProjectionState = Literal["catching up", "live", "backing off", "outdated", "stopped"]
QUERY_TIMEOUT_S = 5.0


@attrs.frozen
class ProjectionInfo:
    """Where a projection stands."""

    name: str
    version: int
    """Of the projector that made what queries see."""
    state: ProjectionState
    """`outdated`: an older version answers until this one is rebuilt beside it."""
    position: int
    """All events up to here are in it."""
    lag_positions: int
    """How many positions of the journal are not."""
    lag_s: float
    """For how long the first of these has been there; 0 where there is none."""
    events: int
    """How many events its handlers took."""
    restarts: int
    found: str
    """Its last failure; empty where there was none."""
    rebuild_position: int | None
    """How far a rebuild beside it is; None where none runs."""
    path: str
    """Its store's file; empty in memory."""


@attrs.frozen
class Rebuilt:
    """How far a rebuild is, or was when it ended."""

    projector: str
    position: int
    """All events up to here are in it."""
    until: int
    """Where the journal ends, as far as it is known."""
    events: int
    """How many events the handlers took."""
    resumed: int
    """The position from which a rebuild that was killed went on; 0 where none was."""
    seconds: float


class Reading(Protocol):
    """A projection as a query sees it: its tables, in one consistent state."""

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """The rows of one `select`.

        Raises:
            QueryRefused: it writes, it is no SQL for these tables, or it has too many rows.
        """
        ...


class ProjectionsView(Protocol):
    """What `Runtime` asks; see there."""

    async def ask(
        self,
        projector: type[Projector] | str,
        question: str | Callable[..., Any],
        parameters: Parameters,
        at_least: int,
        timeout_s: float,
    ) -> Any:  # noqa: ANN401 - what the question returns; `Runtime.query` is typed
        """Answer a query."""
        ...

    async def rebuild(self, projector: type[Projector] | str, on_progress: Callable[[Rebuilt], None]) -> Rebuilt:
        """Make one anew."""
        ...

    def may_rebuild(self, projector: type[Projector] | str) -> str:
        """Its name, where it can be made anew now.

        Raises:
            ActRefused: it is being rebuilt already.
            NotFound: this runtime does not have it.
        """
        ...

    def begin_rebuild(self, name: str) -> None:
        """Make one anew beside everything else; raises as `may_rebuild`, what comes later is logged."""
        ...

    def infos(self) -> list[ProjectionInfo]:
        """Where each stands."""
        ...


class RunningProjections(ProjectionsView, Protocol):
    """What runs beside the engine where there are projectors."""

    async def run(
        self, watch: Watch, counters: Counters, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep them live, until cancelled."""
        ...

    def actor(self) -> ActorInfo:
        """They, for the supervision tree."""
        ...


class NoProjections:
    """The view of a runtime without projectors."""

    async def ask(
        self,
        projector: type[Projector] | str,
        question: str | Callable[..., Any],
        parameters: Parameters,
        at_least: int,
        timeout_s: float,
    ) -> NoReturn:
        """There is nobody to ask."""
        raise no_projector(projector, ())

    async def rebuild(self, projector: type[Projector] | str, on_progress: Callable[[Rebuilt], None]) -> NoReturn:
        """There is nothing to make."""
        raise no_projector(projector, ())

    def may_rebuild(self, projector: type[Projector] | str) -> NoReturn:
        """As `rebuild`."""
        raise no_projector(projector, ())

    def begin_rebuild(self, name: str) -> NoReturn:
        """As `rebuild`."""
        raise no_projector(name, ())

    def infos(self) -> list[ProjectionInfo]:
        """None."""
        return []


def no_projector(projector: type[Projector] | str, known: tuple[str, ...]) -> NotFound:
    """The error for a projector that a runtime does not have."""
    name = projector if isinstance(projector, str) else projector.__projector__.name
    has = ", ".join(known) or "none"
    return NotFound("projector", name, f"this runtime has {has}: give it to open_runtime(projectors=[…])")
