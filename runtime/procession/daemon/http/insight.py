"""Understanding one flow over HTTP: its states, and its sequence diagram."""

from __future__ import annotations

from typing import Literal

import attrs
from starlette.responses import Response

from procession.daemon.http.bounds import AtPosition
from procession.daemon.http.flows import flow_of
from procession.daemon.http.paging import Limit
from procession.daemon.http.routes import Call, Route
from procession.reading.flow_states import StateAt
from procession.reading.past_states import read_state
from procession.reading.sequence import Sequence
from procession.reading.sequence_mermaid import sequence_mermaid
from procession.reading.sequence_of import read_sequence
from procession.reading.sequence_svg import sequence_svg

SVG = "image/svg+xml"
_SEQUENCE_EVENTS = 200
_MERMAID = "text/plain"


@attrs.frozen(kw_only=True)
class StateAsked:
    """At which event."""

    at: int | None = None
    """The version of a step, from 1; default: the last."""


@attrs.frozen(kw_only=True)
class SequenceAsked:
    """Which part, and how it is written."""

    after: AtPosition = 0
    """Events after this position."""
    limit: Limit = _SEQUENCE_EVENTS
    """Events of one page."""
    format: Literal["json", "svg", "mermaid"] = "json"


async def show_state(call: Call) -> StateAt:
    """The state of a flow before and after one of its events, and what changed.

    Raises:
        NotFound: there is no such process, flow or event.
    """
    flow = flow_of(call)
    at = call.queried(StateAsked).at
    return await read_state(call.source.journal, call.source.registry, flow.process, flow.key, at)


async def show_sequence(call: Call) -> Sequence | Response:
    """What went between a flow and all others: as data, as a picture, or as Mermaid text.

    Raises:
        NotFound: nobody has heard of it.
    """
    flow, asked = flow_of(call), call.queried(SequenceAsked)
    drawn = await read_sequence(call.source.journal, flow.process, flow.key, asked.after, asked.limit)
    if asked.format == "svg":
        return Response(sequence_svg(drawn), media_type=SVG)
    if asked.format == "mermaid":
        return Response(sequence_mermaid(drawn), media_type=_MERMAID)
    return drawn


_ONE = "/v1/flows/{process}/{key}"
ROUTES = (
    Route("GET", f"{_ONE}/states", "reader", "A state, and what changed.", StateAt, show_state, query=StateAsked),
    Route(
        "GET",
        f"{_ONE}/sequence",
        "reader",
        "What went between a flow and all others, as data, SVG or Mermaid.",
        Sequence,
        show_sequence,
        query=SequenceAsked,
        also=(SVG, _MERMAID),
    ),
)
