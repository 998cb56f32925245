"""What operators do to flows over HTTP; each act is an event in the journal, with who and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from procession.daemon.acting import FlowAct, act_on_flow
from procession.daemon.http.bounds import Said
from procession.daemon.http.routes import Call, Route


@attrs.frozen(kw_only=True)
class ActAsked:
    """Who acts, and why."""

    by: Said
    why: Said


@attrs.frozen(kw_only=True)
class RetryAsked(ActAsked):
    """Run the head of a flow in quarantine again, or send a command again."""

    command: str | None = None
    """The id of a command that was given up, in hex."""


@attrs.frozen(kw_only=True)
class CancelAsked(ActAsked):
    """Have a flow compensate and end."""

    force: bool = False
    """It ends as cancelled, without compensation."""


@attrs.frozen
class FlowActed:
    """Where the flow stood before, and stands now."""

    act: str
    flow: str
    position: int
    by: str
    reason: str
    status_before: str
    status: str
    outcome: str | None
    quarantine_reason: str | None


def _acting(act: str, asks: type[ActAsked]) -> Callable[[Call], Awaitable[FlowActed]]:
    async def acted(call: Call) -> FlowActed:
        asked = call.sent(asks)
        found = FlowAct(
            act,
            call.parts["process"],
            call.parts["key"],
            asked.by,
            asked.why,
            command=asked.command if isinstance(asked, RetryAsked) else None,
            force=isinstance(asked, CancelAsked) and asked.force,
            wait_s=0,
        )
        return FlowActed(**await act_on_flow(call.runtime, found))

    return acted


def _route(act: str, asks: type[ActAsked], about: str) -> Route:
    return Route(
        "POST", f"/v1/flows/{{process}}/{{key}}/{act}", "operator", about, FlowActed, _acting(act, asks), asks=asks
    )


ROUTES = (
    _route("retry", RetryAsked, "Run the event again at which a flow failed; or send a command again."),
    _route("skip", ActAsked, "Skip the event at which a flow failed."),
    _route("release", ActAsked, "Run all waiting events of a flow in quarantine, in order."),
    _route("cancel", CancelAsked, "Have a flow compensate and end."),
)
