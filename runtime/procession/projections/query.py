"""What a projection is asked: SQL, or a method of its projector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

from procession.primitives.projector import Parameters, Projector, Row
from procession.projection_errors import QueryRefused
from procession.projections.projections import Projections
from procession.projections.store import QueryConnection

ProjectorT = TypeVar("ProjectorT", bound=Projector)
AnswerT = TypeVar("AnswerT")
AskedP = ParamSpec("AskedP")
QUERY_TIMEOUT_S = 5.0


class Reading(Protocol):
    """A projection as a query sees it: its tables, in one consistent state."""

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """The rows of one `select`.

        Raises:
            QueryRefused: it writes, it is no SQL for these tables, or it has too many rows.
        """
        ...


async def ask(
    projections: Projections,
    projector: type[Projector] | str,
    question: str | Callable[..., Any],
    parameters: Parameters,
    at_least: int,
    timeout_s: float,
) -> Any:  # noqa: ANN401 - what the question returns; `Runtime.query` is typed
    """Answer; see `Runtime.query`."""
    host = projections.host(projector)
    return await host.ask(answered(host.projection.cls, question, parameters), at_least, timeout_s)


def answered(
    projector: type[Projector], question: str | Callable[..., Any], parameters: Parameters
) -> Callable[[QueryConnection], Any]:
    """A question, as a connection answers it.

    Raises:
        QueryRefused: the parameters of a method have names.
    """
    if isinstance(question, str):
        return partial(_select, question, parameters)
    if not isinstance(parameters, Sequence):
        raise QueryRefused(projector.__projector__.name, "the parameters of a method come as a sequence")
    return partial(_call, projector, question, parameters)


def _select(sql: str, parameters: Parameters, connection: QueryConnection) -> list[Row]:
    return connection.execute(sql, parameters)


def _call(
    projector: type[Projector], method: Callable[..., Any], parameters: Sequence[object], connection: QueryConnection
) -> object:
    return method(projector(), connection, *parameters)
