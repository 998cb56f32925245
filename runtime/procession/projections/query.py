"""What a projection is asked: SQL, or a method of its projector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from procession.primitives.projector import Parameters, Projector, Row
from procession.projection_errors import QueryRefused
from procession.projections.store import QueryConnection


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
