"""What a projection makes of events, with nothing running: `project(OrderOverview, ...).query(...)`."""

from __future__ import annotations

import datetime
import uuid
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Concatenate, Generic, cast, overload

from procession.engine.guard import strict_guard
from procession.journal.rows import EventRow
from procession.laws.projector_scan import refuse_impure_projection
from procession.primitives.event import Event
from procession.primitives.lifts import AnyLift
from procession.primitives.projector import Parameters, Row
from procession.primitives.registration import gather
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.projections.comparison import compared, reading
from procession.projections.fold import Folder
from procession.projections.folder import in_memory
from procession.projections.generation import Generation, made
from procession.projections.query import answered
from procession.projections.view import AnswerT, AskedP, ProjectorT, Reading
from procession.testing.scenario import START

_JOURNAL = uuid.UUID(int=0).bytes
_ROWS_MAX = 10_000
_SLICE_S = 60.0
_US = datetime.timedelta(microseconds=1)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Projected(Generic[ProjectorT]):
    """A projection after some events. Ask it as a service asks the runtime."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        weakref.finalize(self, generation.retire)

    @overload
    def query(self, question: str, parameters: Parameters = ()) -> list[Row]: ...
    @overload
    def query(
        self, question: Callable[Concatenate[ProjectorT, Reading, AskedP], AnswerT], parameters: Sequence[object] = ()
    ) -> AnswerT: ...
    def query(self, question: str | Callable[..., Any], parameters: Parameters = ()) -> Any:
        """Ask by SQL, or by a method of the projector.

        Raises:
            QueryRefused: it writes, it is no SQL for these tables, or it has too many rows.
        """
        projector = cast("type[ProjectorT]", self._generation.projector)
        return self._generation.answer(answered(projector, question, parameters), lambda: True)


def project(
    projector: type[ProjectorT],
    *events: Event,
    lifts: Sequence[AnyLift] = (),
    now: datetime.datetime = START,
    step: datetime.timedelta = datetime.timedelta(seconds=1),
) -> Projected[ProjectorT]:
    """Fold events into a new projection in memory, in this order.

        def test_a_shipped_order_is_shown_as_shipped() -> None:
            seen = project(OrderOverview, OrderPlaced("421", "kettle", 4200), ParcelShipped("421"))
            assert seen.query("select status from orders") == [("shipped",)]

    They are folded twice, all at once and one by one, and both must give the same: how many events come at once is
    chance. Handlers are held to purity, as turns are by `given`.

    Args:
        projector: the class.
        events: what happened; types that it does not project are passed by.
        lifts: from event types of old.
        now: when the first event is recorded.
        step: how long after each event the next one is.

    Raises:
        DefinitionError: the projector can't work, or breaks a law for certain.
        ProjectionFailed: a handler raised, or was not pure.
        AssertionError: one by one, other rows come out than all at once.
    """
    registry = gather((), (), [type(event) for event in events], lifts, projectors=[projector])
    projection = registry.projections[projector.__projector__.name]
    refuse_impure_projection(projection)
    folder = Folder(projection, registry, strict_guard())
    rows = [_row(registry, event, number, now + number * step) for number, event in enumerate(events)]
    page = [tuple(getattr(row, name) for name in folder.columns) for row in rows]
    together, alone = (made(in_memory(), projection, _JOURNAL, _ROWS_MAX) for _ in range(2))
    asked = Projected[ProjectorT](together)
    try:
        together.place = folder.fold(together.store, together.place, page, len(page), _SLICE_S)
        for number, row in enumerate(page):
            alone.place = folder.fold(alone.store, alone.place, [row], number + 1, _SLICE_S)
        _compare(projector.__name__, together, alone)
    finally:
        alone.retire()
    return asked


def _row(registry: Registry, event: Event, number: int, at: datetime.datetime) -> EventRow:
    stored = stored_of(type(event))
    return EventRow(
        position=number + 1,
        id=uuid.UUID(int=number + 1).bytes,
        source="scenario",
        source_id=str(number + 1),
        digest=None,
        type=stored.name,
        version=stored.version,
        payload=registry.codec.encode(event).decode(),
        keys="{}",
        caused_by=None,
        correlation=None,
        recorded_us=(at - _EPOCH) // _US,
        trace=None,
    )


def _compare(name: str, together: Generation, alone: Generation) -> None:
    with closing(reading(together.file)) as one, closing(reading(alone.file)) as other:
        for difference in compared(one, other):
            found = (
                f"{name} depends on how many events come at once: {difference.rows} rows of {difference.table} differ"
            )
            raise AssertionError(f"{found}; all at once {difference.example}")
