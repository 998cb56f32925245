"""Gateways over HTTP: where they stand, pause and resume; and processes that their failures paused."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import attrs

from procession.daemon.http.acts import ActAsked
from procession.daemon.http.bounds import Said
from procession.daemon.http.problems import FieldFault, HttpRefused
from procession.daemon.http.routes import Call, Route
from procession.engine.gateway_state import GatewayState
from procession.errors import SettingsError


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


@attrs.frozen(kw_only=True)
class LimitsAsked:
    """Who acts and why, and the limits that change; those that are left out stay."""

    by: Said
    why: Said
    limits: Mapping[str, float | None]
    """By the names that they have in the configuration under `[gateways]`; null where there is no limit."""


@attrs.frozen
class GatewayLimits:
    """What drives a gateway now."""

    gateway: str
    changed: tuple[str, ...]
    limits: Mapping[str, float | None]


async def limit_gateway(call: Call) -> GatewayLimits:
    """Other limits at once, until the configuration is loaded again.

    Raises:
        NotFound: there is no such gateway.
        HttpRefused: a limit is none that may change while it runs, or is out of its bounds.
    """
    asked, name = call.sent(LimitsAsked), call.parts["name"]
    try:
        changed = await call.runtime.limit_gateway(name, asked.limits, by=asked.by, why=asked.why)
    except SettingsError as error:
        fault = FieldFault(f"$.limits.{error.path.rpartition('.')[2]}", error.found)
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{error.path} {error.found}", error.cure, (fault,)
        ) from None
    return GatewayLimits(name, tuple(changed), call.runtime.gateway_limits(name))


async def show_limits(call: Call) -> GatewayLimits:
    """What drives a gateway now.

    Raises:
        NotFound: there is no such gateway.
    """
    name = call.parts["name"]
    return GatewayLimits(name, (), call.runtime.gateway_limits(name))


async def pause_gateway(call: Call) -> GatewayActed:
    """No attempt begins until it is resumed, or the runtime ends.

    Raises:
        NotFound: there is no such gateway.
    """
    asked, name = call.sent(ActAsked), call.parts["name"]
    await call.runtime.pause_gateway(name, by=asked.by, why=asked.why)
    return GatewayActed(name, paused=True)


async def resume_gateway(call: Call) -> GatewayActed:
    """Attempts begin again.

    Raises:
        NotFound: there is no such gateway.
    """
    asked, name = call.sent(ActAsked), call.parts["name"]
    await call.runtime.resume_gateway(name, by=asked.by, why=asked.why)
    return GatewayActed(name, paused=False)


async def resume_process(call: Call) -> ProcessActed:
    """A process that its failures paused goes on.

    Raises:
        NotFound: there is no such process.
    """
    asked, name = call.sent(ActAsked), call.parts["name"]
    await call.runtime.resume_process(name, by=asked.by, why=asked.why)
    return ProcessActed(name, paused=False)


_ONE = "/v1/gateways/{name}"
ROUTES = (
    Route("GET", "/v1/gateways", "reader", "Where each gateway stands.", GatewayList, list_gateways),
    Route("GET", f"{_ONE}/limits", "reader", "What drives a gateway now.", GatewayLimits, show_limits),
    Route(
        "POST",
        f"{_ONE}/limits",
        "operator",
        "Give a gateway other limits, at once.",
        GatewayLimits,
        limit_gateway,
        asks=LimitsAsked,
    ),
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
