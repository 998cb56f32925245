"""Flows over HTTP: listed page by page, one with its history, why it did something and why it does not go on."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import attrs

from procession.daemon.durations import now_us
from procession.daemon.flow_shown import ShownFlow, ShownHistory, shown_flow, shown_history
from procession.daemon.http.bounds import AtPosition
from procession.daemon.http.paging import LIMIT, Limit
from procession.daemon.http.problems import HttpRefused
from procession.daemon.http.routes import Call, Route
from procession.daemon.http.source import check_process, why_not_of, why_of
from procession.errors import NotFound
from procession.journal.flow_match import Match
from procession.journal.rows import FlowQuery, FlowRow, FlowStatus
from procession.reading.timeline import read_timeline
from procession.reading.why import Why
from procession.reading.why_not import WhyNot

_HISTORY_STEPS_MAX = 10_000


@attrs.frozen(kw_only=True)
class FlowsAsked:
    """Which flows; what is left out does not filter."""

    process: str | None = None
    status: FlowStatus | None = None
    outcome: str | None = None
    key_prefix: str | None = None
    reason: str | None = None
    """Those in quarantine for a reason that holds this text; letters of ASCII in either case."""
    limit: Limit = LIMIT
    cursor: AtPosition = 0
    """`next` of the page before."""


@attrs.frozen
class FlowPage:
    """Some flows, the oldest first."""

    flows: tuple[ShownFlow, ...]
    next: int | None
    """The cursor of the next page; None where this is the last one."""


@attrs.frozen(kw_only=True)
class WhyAsked:
    """Why what?"""

    what: str
    """A type by its stored name (the latest of that type), an id in hex, or a position."""


async def list_flows(call: Call) -> FlowPage:
    """The flows that match, a page of them."""
    asked = call.queried(FlowsAsked)
    limit = asked.limit
    query = FlowQuery(
        process=asked.process,
        but_not=() if asked.process is not None else tuple(call.source.registry.aggregates),
        status=_status_of(asked),
        outcome=asked.outcome,
        key_prefix=asked.key_prefix,
        matches=() if asked.reason is None else (Match("reason", parts=(asked.reason,)),),
    )
    rows = await call.source.journal.flows(query, asked.cursor, limit + 1)
    asked_us = now_us()
    more = len(rows) > limit
    return FlowPage(tuple(shown_flow(row, asked_us) for row in rows[:limit]), rows[limit - 1].id if more else None)


def _status_of(asked: FlowsAsked) -> tuple[FlowStatus, ...]:
    if asked.status is not None:
        return (asked.status,)
    # No other flow has a reason, and of a million these are found by an index.
    return () if asked.reason is None else ("quarantined",)


async def show_flow(call: Call) -> ShownFlow:
    """Where one flow stands.

    Raises:
        NotFound: nobody has heard of it.
    """
    return shown_flow(await _row_of(call), now_us())


async def show_history(call: Call) -> ShownHistory:
    """All that happened to one flow.

    Raises:
        NotFound: nobody has heard of it.
        HttpRefused: it is longer than an answer may be.
    """
    row = await _row_of(call)
    if row.version > _HISTORY_STEPS_MAX:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the history has {row.version} steps, at most {_HISTORY_STEPS_MAX} are shown over HTTP",
            f"run `procession show {row.process}/{row.key}` beside the journal",
        )
    return shown_history(await read_timeline(call.source.journal, row.process, row.key), now_us())


async def show_why(call: Call) -> Why:
    """The chain of causes of a command or an event.

    Raises:
        NotFound: nobody has heard of the flow, or it has no such command or event.
    """
    return await why_of(call.source, call.parts["process"], call.parts["key"], call.queried(WhyAsked).what)


async def show_why_not(call: Call) -> WhyNot:
    """What the flow waits for, or how it ended.

    Raises:
        NotFound: nobody has heard of it.
    """
    return await why_not_of(call.source, call.parts["process"], call.parts["key"])


class FlowNamed(NamedTuple):
    """A flow by name; nobody need have heard of it."""

    process: str
    key: str

    @property
    def name(self) -> str:
        """How people call it: `order/421`."""
        return f"{self.process}/{self.key}"


def flow_of(call: Call) -> FlowNamed:
    """The flow that the address names.

    Raises:
        NotFound: there is no such process.
    """
    check_process(call.source, call.parts["process"])
    return FlowNamed(call.parts["process"], call.parts["key"])


async def _row_of(call: Call) -> FlowRow:
    name = flow_of(call)
    row = (await call.source.journal.look_up((), (name,))).flows.get(name)
    if row is None:
        raise NotFound("flow", name.name)
    return row


_ONE = "/v1/flows/{process}/{key}"
ROUTES = (
    Route("GET", "/v1/flows", "reader", "Flows that match, page by page.", FlowPage, list_flows, query=FlowsAsked),
    Route("GET", _ONE, "reader", "Where one flow stands.", ShownFlow, show_flow),
    Route("GET", f"{_ONE}/history", "reader", "All that happened to one flow.", ShownHistory, show_history),
    Route("GET", f"{_ONE}/why", "reader", "The causes of a command or event.", Why, show_why, query=WhyAsked),
    Route("GET", f"{_ONE}/why-not", "reader", "What a flow waits for, or how it ended.", WhyNot, show_why_not),
)
