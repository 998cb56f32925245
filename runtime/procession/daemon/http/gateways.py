"""Gateways over HTTP: where they stand, pause and resume; and processes that their failures paused."""

from __future__ import annotations

import attrs

from procession.daemon.http.acts import ActAsked, check_said
from procession.daemon.http.routes import Call, Route
from procession.engine.gateway_host import GatewayState


@attrs.frozen
class GatewayList:
    """Every gateway."""

    gateways: tuple[GatewayState, ...]


@attrs.frozen
class GatewayActed:
    """Whether it begins attempts now."""

    gateway: str
    paused: bool


@attrs.frozen
class ProcessActed:
    """Whether its flows go on now."""

    process: str
    paused: bool


async def list_gateways(call: Call) -> GatewayList:
    """Where each stands."""
    return GatewayList(tuple(call.source.gateways()))


async def pause_gateway(call: Call) -> GatewayActed:
    """No attempt begins until it is resumed, or the runtime ends.

    Raises:
        NotFound: there is no such gateway.
    """
    asked, name = call.sent(ActAsked), call.parts["name"]
    check_said(asked)
    await call.runtime.pause_gateway(name, by=asked.by, why=asked.why)
    return GatewayActed(name, paused=True)


async def resume_gateway(call: Call) -> GatewayActed:
    """Attempts begin again.

    Raises:
        NotFound: there is no such gateway.
    """
    asked, name = call.sent(ActAsked), call.parts["name"]
    check_said(asked)
    await call.runtime.resume_gateway(name, by=asked.by, why=asked.why)
    return GatewayActed(name, paused=False)


async def resume_process(call: Call) -> ProcessActed:
    """A process that its failures paused goes on.

    Raises:
        NotFound: there is no such process.
    """
    asked, name = call.sent(ActAsked), call.parts["name"]
    check_said(asked)
    await call.runtime.resume_process(name, by=asked.by, why=asked.why)
    return ProcessActed(name, paused=False)


_ONE = "/v1/gateways/{name}"
ROUTES = (
    Route("GET", "/v1/gateways", "reader", "Where each gateway stands.", GatewayList, list_gateways),
    Route("POST", f"{_ONE}/pause", "operator", "No attempt begins.", GatewayActed, pause_gateway, asks=ActAsked),
    Route("POST", f"{_ONE}/resume", "operator", "Attempts begin again.", GatewayActed, resume_gateway, asks=ActAsked),
    Route(
        "POST",
        "/v1/processes/{name}/resume",
        "operator",
        "A process that its failures paused goes on.",
        ProcessActed,
        resume_process,
        asks=ActAsked,
    ),
)
