"""Folding pages of events into a store, in whatever thread: each page, with its position, is one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import attrs

from procession.engine.envelopes import envelope_of
from procession.engine.guard import Guard
from procession.engine.turn import describe
from procession.errors import ProcessionError
from procession.journal.rows import EventRow
from procession.primitives.codec import from_json
from procession.primitives.event import Event
from procession.primitives.projection import Projection
from procession.primitives.projector import Projector, ProjectorHandler, Row
from procession.primitives.registry import Registry
from procession.primitives.telling import concealed
from procession.projection_errors import ProjectionFailed
from procession.projections.store import Place, ProjectionStore

_LOOK_EVERY = 32
"""Events between two looks at the clock."""
_FIRST = ("position", "type", "version", "id", "payload", "recorded_us")
POSITION, TYPE, VERSION, ID, PAYLOAD, RECORDED = range(6)


@attrs.define(eq=False)
class _Course:
    """How far a page has come."""

    at: int = 0
    """Index of the row that is being folded."""
    taken: int = 0
    """Events that handlers took."""
    last: Row | None = None
    """The last row that a handler took."""


class Folder:
    """Folds the events of one journal for one projection."""

    def __init__(self, projection: Projection, registry: Registry, guard: Guard) -> None:
        self._name = projection.name
        self._projector: Projector = projection.cls()
        self._cls = projection.cls
        self._registry = registry
        self._guard = guard
        self._wants_envelope = projection.wants_envelope
        further = {
            column
            for handler in projection.handlers
            for column in handler.mark.columns or ()
            if not column.startswith("data.")
        }
        wanted = EventRow._fields if projection.wants_envelope else tuple(further)
        self.columns: tuple[str, ...] = (*_FIRST, *sorted(set(wanted) - set(_FIRST)))
        """What it needs of each event."""
        takers = [self._taker(handler) for handler in projection.handlers]
        self._meets = {
            stored: taker
            for stored, handler in projection.by_stored.items()
            for taker in takers
            if taker.handler is handler
        }
        self._alone = takers[0] if len(takers) == 1 and takers[0].columns is not None else None
        """The one handler there is, where it takes columns: then a page is one run."""

    def fold(self, store: ProjectionStore, place: Place, page: Sequence[Row], until: int, slice_s: float) -> Place:
        """Fold a page, or as much of it as fits into the time; where the store stands then.

        Args:
            store: whose place it is.
            place: where it stands.
            page: the next events, in order, with `columns` of each.
            until: where the store stands once the whole page is folded.
            slice_s: about how long it may take.

        Raises:
            ProjectionFailed: a handler raised; what came before its event is committed.
        """
        course = _Course()
        try:
            return self._commit(store, place, page, until, course, time.perf_counter() + slice_s)
        except ProjectionFailed:
            done = page[: course.at]
            if done:  # a pure handler does the same again, so that the store stands right before what failed
                self._commit(store, place, done, int(done[-1][POSITION]), _Course(), None)
            raise

    def _commit(
        self,
        store: ProjectionStore,
        place: Place,
        page: Sequence[Row],
        until: int,
        course: _Course,
        deadline: float | None,
    ) -> Place:
        committed = False
        store.begin()
        try:
            folded = self._folded(store, page, course, deadline)
            last = course.last
            found = attrs.evolve(
                place,
                position=until if folded == len(page) else int(page[folded - 1][POSITION]),
                event_position=place.event_position if last is None else int(last[POSITION]),
                event_id=place.event_id if last is None else bytes(last[ID]),
                events=place.events + course.taken,
            )
            store.commit(found.position, found.event_position, found.event_id, found.events)
            committed = True
        finally:
            if not committed:
                store.rollback()
        return found

    def _folded(self, store: ProjectionStore, page: Sequence[Row], course: _Course, deadline: float | None) -> int:
        """How many rows of the page were folded."""
        around = self._guard.enter(self._cls)
        try:
            if self._alone is None:
                folded = self._through(store, page, course, deadline)
            else:
                folded = self._whole(self._alone, store, page, course)
        finally:
            self._guard.handler = None
            self._guard.leave(around)
            impure = self._guard.settle() if self._guard.found is not None else None
        if impure is not None:
            raise ProjectionFailed(self._name, impure.handler, int(page[course.at][POSITION]), str(impure))
        return folded

    def _whole(self, alone: _Taker, store: ProjectionStore, page: Sequence[Row], course: _Course) -> int:
        """A page for the one handler there is, which takes rows: no event needs to be looked at twice."""
        meets = self._meets
        run = [row for row in page if (row[TYPE], row[VERSION]) in meets]
        if run:
            self._take_run(alone, run, store)
            course.taken, course.last = len(run), run[-1]
        return len(page)

    def _through(self, store: ProjectionStore, page: Sequence[Row], course: _Course, deadline: float | None) -> int:
        meets = self._meets
        run: list[Row] = []
        runner: _Taker | None = None
        for index, row in enumerate(page):
            taker = meets.get((row[TYPE], row[VERSION]))
            if runner is not None and taker is not runner:
                self._take_run(runner, run, store)
                runner = None
            if deadline is not None and index and not index % _LOOK_EVERY and time.perf_counter() > deadline:
                if runner is not None:
                    self._take_run(runner, run, store)
                return index
            if taker is None:
                continue
            if taker.columns is None:
                course.at = index
                self._take(taker, row, store)
            elif runner is None:
                course.at, runner, run = index, taker, [row]
            else:
                run.append(row)
            course.taken += 1
            course.last = row
        if runner is not None:
            self._take_run(runner, run, store)
        return len(page)

    def _take(self, taker: _Taker, row: Row, store: ProjectionStore) -> None:
        try:
            event = self._registry.read(row[TYPE], row[VERSION], row[PAYLOAD])
            self._guard.handler = taker.handler
            if taker.plain:
                taker.handler.method(self._projector, event, store)
            else:
                envelope = envelope_of(self._row_of(row)) if "envelope" in taker.handler.takes else None
                given = {"event": event, "store": store, "envelope": envelope}
                taker.handler.method(self._projector, *[given[wish] for wish in taker.handler.takes])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised again, without secrets
            raise self._failed(taker, row, error) from concealed(error, *self._in_hand(row))
        finally:
            self._guard.handler = None

    def _take_run(self, taker: _Taker, run: Sequence[Row], store: ProjectionStore) -> None:
        """A run of events that one handler takes as rows; whatever it raises is said of the first of them."""
        assert taker.columns is not None, "only a handler of columns takes a run"
        try:
            given = {"rows": taker.columns(run), "store": store}
            self._guard.handler = taker.handler
            taker.handler.method(self._projector, *[given[wish] for wish in taker.handler.takes])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised again, without secrets
            raise self._failed(taker, run[0], error) from concealed(error, *self._in_hand(run[0]))
        finally:
            self._guard.handler = None

    def _failed(self, taker: _Taker, row: Row, error: BaseException) -> ProjectionFailed:
        found = str(error) if isinstance(error, ProcessionError) else describe(error, *self._in_hand(row))
        return ProjectionFailed(self._name, f"{self._cls.__name__}.{taker.handler.name}", int(row[POSITION]), found)

    def _in_hand(self, row: Row) -> tuple[Event, ...]:
        """The event of a row, where it can be read."""
        try:
            return (self._registry.read(row[TYPE], row[VERSION], row[PAYLOAD]),)
        except ProcessionError:
            return ()

    def _row_of(self, row: Row) -> EventRow:
        return EventRow(**dict(zip(self.columns, row, strict=True)))

    def _taker(self, handler: ProjectorHandler) -> _Taker:
        columns = handler.mark.columns
        return _Taker(
            handler, handler.takes == ("event", "store"), None if columns is None else _columns(self.columns, columns)
        )


@attrs.frozen(eq=False)
class _Taker:
    """A handler, and how it is called."""

    handler: ProjectorHandler
    plain: bool
    """It takes the event and the store, in this order."""
    columns: Callable[[Sequence[Row]], list[Row]] | None
    """Makes of rows what it asked for."""


def _columns(given: tuple[str, ...], wanted: tuple[str, ...]) -> Callable[[Sequence[Row]], list[Row]]:
    """How rows become those that a handler asked for: the inner loop of whoever folds columns only."""
    plain = [given.index(name) for name in wanted if not name.startswith("data.")]
    fields = [name.removeprefix("data.") for name in wanted if name.startswith("data.")]
    said = [*(name for name in wanted if not name.startswith("data.")), *(f"data.{field}" for field in fields)]
    order = tuple(said.index(name) for name in wanted)
    if not fields:
        return lambda rows: [tuple([row[at] for at in plain]) for row in rows]
    field = fields[0]
    if len(wanted) == 1:
        return lambda rows: [(from_json(row[PAYLOAD]).get(field),) for row in rows]
    if len(fields) == 1:
        front = order.index(len(plain))
        before, after = plain[:front], plain[front:]
        return lambda rows: [
            (*[row[at] for at in before], from_json(row[PAYLOAD]).get(field), *[row[at] for at in after])
            for row in rows
        ]

    def picked(rows: Sequence[Row]) -> list[Row]:
        found: list[Row] = []
        for row in rows:
            data = from_json(row[PAYLOAD])
            values = [row[at] for at in plain] + [data.get(field) for field in fields]
            found.append(tuple([values[at] for at in order]))
        return found

    return picked
