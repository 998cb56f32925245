"""One flow from outside: where it stands, waiting for its end, and what an operator may do to it."""

from __future__ import annotations

import datetime

import attrs
import trio

from procession.engine.acts import Act, ActKind
from procession.engine.engine import Engine
from procession.engine.envelopes import time_of
from procession.engine.turn import refuse_in_turn
from procession.errors import NotFound
from procession.journal.rows import FlowRow, FlowStatus
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.stored import stored_of
from procession.reading.why import Why
from procession.reading.why_not import Surroundings, WhyNot


@attrs.frozen
class FlowSummary:
    """Where one flow stands."""

    process: str
    key: str
    status: FlowStatus
    outcome: str | None
    reason: str | None
    """Why it is in quarantine."""
    version: int
    """How many steps it has."""
    started_at: datetime.datetime | None
    """When its first event was accepted; None before it started."""
    updated_at: datetime.datetime

    @property
    def name(self) -> str:
        """How people call it: `order/421`."""
        return f"{self.process}/{self.key}"


def summary_of(row: FlowRow) -> FlowSummary:
    """A flow's row as callers see it."""
    return FlowSummary(
        row.process,
        row.key,
        row.status,
        row.outcome,
        row.reason,
        row.version,
        time_of(row.started_us) if row.started_us else None,
        time_of(row.updated_us),
    )


class FlowHandle:
    """A flow by name; it need not have started yet."""

    def __init__(self, engine: Engine, process: str, key: str) -> None:
        self._engine = engine
        self.process = process
        self.key = key

    @property
    def name(self) -> str:
        """How people call it: `order/421`."""
        return f"{self.process}/{self.key}"

    async def wait_ended(self, timeout_s: float | None = None) -> str:
        """The outcome, once the flow's end is durable. Waits for a flow that nobody has heard of, too.

        Raises:
            TimeoutError: it did not end in time.
            FlowQuarantined: it was set aside.
            RuntimeClosed: the runtime closed first.
        """
        refuse_in_turn("wait_ended")
        with trio.move_on_after(float("inf") if timeout_s is None else timeout_s):
            return await self._engine.watch.flow_ended(self.process, self.key)
        msg = f"flow {self.name} did not end within {timeout_s:g} s"
        raise TimeoutError(msg)

    async def summary(self) -> FlowSummary:
        """Where it stands.

        Raises:
            NotFound: nothing has been heard of it.
        """
        refuse_in_turn("summary")
        found = await self._engine.lasting.journal.look_up((), ((self.process, self.key),))
        row = found.flows.get((self.process, self.key))
        if row is None:
            raise NotFound("flow", self.name)
        return summary_of(row)

    async def why(self, what: type[Event | Command] | str | int) -> Why:
        """The chain of causes, to the first event, of something that this flow asked for or got.

        Args:
            what: a class or stored name (the latest of that type), an id in hex, or a position.

        Raises:
            NotFound: nothing has been heard of the flow, or it has no such command or event.
        """
        from procession.reading.causes import read_why  # noqa: PLC0415 - only where somebody asks

        refuse_in_turn("why")
        named = what if isinstance(what, str | int) else stored_of(what).name
        return await read_why(self._engine.lasting.journal, self.process, self.key, named)

    async def why_not(self) -> WhyNot:
        """What it waits for: answers, deadlines, events, repair; or how it ended.

        Raises:
            NotFound: nothing has been heard of it.
        """
        from procession.reading.waits import read_why_not  # noqa: PLC0415 - as above

        refuse_in_turn("why_not")
        engine = self._engine
        now_us, around = engine.clock.now_us(), self._surroundings()
        return await read_why_not(
            engine.lasting.journal, self.process, self.key, now_us, around, registry=engine.registry
        )

    def _surroundings(self) -> Surroundings:
        """What only the runtime knows: its journal tells the rest."""
        life, hosts = self._engine.life, tuple(self._engine.lasting.gateways)
        paused = life is not None and self.process in life.table.paused
        process = "paused" if paused else f"held: {self._engine.held}" if self._engine.held else ""
        held = {host.name: host.held_back() for host in hosts}
        under_way = frozenset(
            handle.row.id.hex() for host in hosts for handle in host.window.known.values() if handle.scope is not None
        )
        gateways = {name: why for name, why in held.items() if why}
        return Surroundings(running=True, process=process, gateways=gateways, under_way=under_way)

    async def retry(self, *, by: str, why: str) -> int:
        """Run the head of a quarantined flow again; returns the position of the act.

        Raises:
            ActRefused: it is not in quarantine.
        """
        return await self._act("retry", by, why)

    async def skip(self, *, by: str, why: str) -> int:
        """Have a quarantined flow skip its head: a step without effects is left in its place."""
        return await self._act("skip", by, why)

    async def release(self, *, by: str, why: str) -> int:
        """Have a quarantined flow run all its events again, in order."""
        return await self._act("release", by, why)

    async def cancel(self, *, by: str, why: str, force: bool = False) -> int:
        """Ask the flow to compensate and end; where it does not handle that, or by force, it ends as cancelled."""
        return await self._act("cancel", by, why, force=force)

    async def retry_command(self, command_id: str, *, by: str, why: str) -> int:
        """Send a command again under its id, while the flow has not handled that it was given up."""
        return await self._act("retry_command", by, why, command_id=bytes.fromhex(command_id))

    async def _act(self, kind: ActKind, by: str, why: str, *, force: bool = False, command_id: bytes = b"") -> int:
        refuse_in_turn(kind)
        life = self._engine.running()
        definition = self._engine.registry.processes[self.process]
        act = Act(kind, by, why, force=force, command_id=command_id)
        flow = life.table.flow(definition, self.key)
        flow.acts = (*flow.acts, act)
        life.table.wake(flow)
        await act.done.wait()
        if act.error is not None:
            raise act.error
        return act.position
