"""What operators do to a runtime that runs, beyond its flows: limits of gateways, projections made anew."""

from __future__ import annotations

from collections.abc import Mapping

from procession.asking import Asking
from procession.engine.engine import Engine
from procession.engine.journaled_act import journal_act
from procession.engine.turn import refuse_in_turn
from procession.knob import Value
from procession.primitives.event import Event, GatewayLimited, ProjectionRebuildRequested, TokenAdded, TokenRevoked
from procession.primitives.projector import Projector
from procession.projections.view import ProjectionsView


class Operating(Asking):
    """The part of `Runtime` that operators ask; each act is an event in the journal, with who and why."""

    def __init__(self, engine: Engine, projections: ProjectionsView) -> None:
        super().__init__(projections)
        self._engine = engine

    async def limit_gateway(self, name: str, limits: Mapping[str, Value], *, by: str, why: str) -> list[str]:
        """Drive one gateway by other limits at once, until the settings are loaded again; names those that changed.

            await runtime.limit_gateway("payments", {"concurrency": 2, "rate_per_s": 5}, by="ann", why="they asked us")

        Raises:
            NotFound: there is no such gateway.
            SettingsError: a limit is none that may change while it runs, or a value does not fit; nothing changed.
        """
        refuse_in_turn("limit_gateway")
        gateways = self._engine.lasting.gateways
        now, wanted = gateways.limits(name), gateways.checked_limits(name, limits)
        changed = tuple(f"{knob}={limits[knob]}" for knob in sorted(wanted) if wanted[knob] != now[knob])
        if changed:
            await self._log(GatewayLimited(name, changed, by, why))
        return gateways.limit(name, wanted)

    def gateway_limits(self, name: str) -> dict[str, float | None]:
        """What may be limited while a gateway runs, by name, and how it is now.

        Raises:
            NotFound: there is no such gateway.
        """
        refuse_in_turn("gateway_limits")
        return self._engine.lasting.gateways.limits(name)

    def paused_processes(self) -> frozenset[str]:
        """The processes that their failures paused: `resume_process` has them go on."""
        refuse_in_turn("paused_processes")
        life = self._engine.life
        return frozenset() if life is None else frozenset(life.table.paused)

    async def begin_rebuild(self, projector: type[Projector] | str, *, by: str, why: str) -> None:
        """Begin to make a projection anew, and return; `projections` tells how far it is. Else as `rebuild`.

        Raises:
            ActRefused: it is being rebuilt already.
            NotFound: this runtime does not have the projection.
        """
        refuse_in_turn("begin_rebuild")
        name = self._projections.may_rebuild(projector)
        await self._log(ProjectionRebuildRequested(name, by, why))
        self._projections.begin_rebuild(name)

    async def record_act(self, act: TokenAdded | TokenRevoked | GatewayLimited | ProjectionRebuildRequested) -> None:
        """Record what was done beside the runtime: to tokens, projections (by another process), the configuration.

        Raises:
            NotAccepted: the journal is held; nothing was written.
        """
        refuse_in_turn("record_act")
        await self._log(act)

    async def _log(self, act: Event) -> None:
        await journal_act(self._engine, act)
