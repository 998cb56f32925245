"""Events over HTTP: read page by page, by position."""

from __future__ import annotations

import attrs

from procession.daemon.flow_shown import ShownEvent, shown_event
from procession.daemon.http.bounds import AtPosition
from procession.daemon.http.paging import LIMIT, Limit
from procession.daemon.http.routes import Call, Route
from procession.laws.secret_marks import Marks


@attrs.frozen(kw_only=True)
class EventsAsked:
    """Which events."""

    after: AtPosition = 0
    """Those after this position."""
    type: tuple[str, ...] = ()
    """Of these types only, by stored name; may stand several times."""
    limit: Limit = LIMIT


@attrs.frozen
class EventPage:
    """Some events, in order of position."""

    events: tuple[ShownEvent, ...]
    next: int | None
    """`after` of the next page; None where there is none yet."""


async def list_events(call: Call) -> EventPage:
    """Durable events after a position."""
    asked = call.queried(EventsAsked)
    limit = asked.limit
    rows = await call.source.journal.events(asked.after, limit + 1, asked.type)
    more = len(rows) > limit
    marks = Marks.of(await call.source.journal.types())
    shown = tuple(shown_event(marks.event(row)) for row in rows[:limit])
    return EventPage(shown, rows[limit - 1].position if more else None)


ROUTES = (
    Route(
        "GET",
        "/v1/events",
        "reader",
        "Events after a position.",
        EventPage,
        list_events,
        query=EventsAsked,
    ),
)
