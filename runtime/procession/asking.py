"""What a runtime is asked of its projections: queries, where each stands, and to make one anew."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Concatenate, overload

from procession.engine.turn import refuse_in_turn
from procession.primitives.projector import Parameters, Projector, Row
from procession.projections.view import (
    QUERY_TIMEOUT_S,
    AnswerT,
    AskedP,
    ProjectionInfo,
    ProjectionsView,
    ProjectorT,
    Reading,
    Rebuilt,
)


class Asking:
    """The part of `Runtime` that asks projections."""

    def __init__(self, projections: ProjectionsView) -> None:
        self._projections = projections

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
    def query(
        self,
        projector: type[Projector] | str,
        question: str | Callable[..., Any],
        parameters: Parameters = (),
        *,
        at_least: int | None = None,
        timeout_s: float = QUERY_TIMEOUT_S,
    ) -> Coroutine[Any, Any, Any]:
        """Ask a projection, by SQL or by a method of its projector; all in one consistent state.

            rows = await runtime.query(OrderOverview, "select order_id from orders where status = ?", ("paid",))
            waiting = await runtime.query(OrderOverview, OrderOverview.waiting, (10,), at_least=position)

        Args:
            projector: its class; its name, for SQL.
            question: a `select`, or a method `(self, reading, *parameters)`, which runs in a thread.
            parameters: of the statement, or of the method.
            at_least: wait until the projection holds all events up to this position, as `publish` returned it: so you
                read what you wrote.
            timeout_s: for the wait and the answer together.

        Raises:
            TimeoutError: it did not get there in time; says where it stands.
            QueryRefused: it writes, it is no SQL for these tables, or it has more than `projectors.rows_max` rows.
            ProjectionStopped: its projector failed too often, and will not get there.
            NotFound: this runtime does not have the projector.
            RuntimeClosed: the runtime closes.
        """
        refuse_in_turn("query")
        return self._projections.ask(projector, question, parameters, at_least or 0, timeout_s)

    async def rebuild(
        self, projector: type[Projector] | str, *, on_progress: Callable[[Rebuilt], None] | None = None
    ) -> Rebuilt:
        """Make a projection anew from the first event, beside the one that answers; then it takes its place at once.

        Args:
            projector: its class or name.
            on_progress: told after each batch.

        Raises:
            ActRefused: it is being rebuilt already.
            ProjectionFailed: a handler raised; what is built so far is kept, the next rebuild goes on there.
            StoreUnusable: no store can be made.
            NotFound: this runtime does not have the projection.
            RuntimeClosed: the runtime closes.

        Cancellation: between two batches; what is built so far is kept.
        """
        refuse_in_turn("rebuild")
        return await self._projections.rebuild(projector, on_progress or (lambda _: None))

    def projections(self) -> list[ProjectionInfo]:
        """Where each projection stands: state, position, how far it is behind."""
        refuse_in_turn("projections")
        return self._projections.infos()
