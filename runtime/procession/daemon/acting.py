"""What an operator's act on one flow does and tells, whoever owns the journal: the verb itself, or a running daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypedDict

import attrs
import trio

from procession.daemon.exit_codes import UsageRefused
from procession.daemon.questions import read
from procession.errors import NotFound
from procession.facade import Runtime
from procession.flow_handle import FlowHandle

ACTS = ("retry", "skip", "release", "cancel")
_WAIT_S_MAX = 3_600.0
_COMMAND_ID_HEX = 32


class Acted(TypedDict):
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


@attrs.frozen
class FlowAct:
    """One act: what is done, to which flow, by whom, why."""

    act: str
    process: str
    key: str
    by: str
    why: str
    command: str | None = None
    """Of `retry`: send this command again."""
    force: bool = False
    """Of `cancel`: without compensation."""
    wait_s: float = 5.0
    """How long to wait for what follows."""

    def __attrs_post_init__(self) -> None:
        """Refuse what can't be done, whatever the flow.

        Raises:
            UsageRefused: says what is wrong.
        """
        if self.act not in ACTS:
            raise UsageRefused(f"{self.act!r} is no act on a flow", f"use one of {', '.join(ACTS)}")
        if not self.why.strip():
            raise UsageRefused("--reason is empty", "say why, it stays in the journal")
        if self.command is not None and not _is_id(self.command):
            raise UsageRefused(
                f"--command {self.command!r} is no id", "`procession show` names the ids of a flow's commands"
            )
        refuse_wait(self.wait_s)

    def asked(self) -> dict[str, Any]:
        """As it goes to a running owner."""
        return attrs.asdict(self)

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> FlowAct:
        """As it came to the owner; raises as the constructor."""
        return read(cls, asked)


def refuse_wait(wait_s: float) -> None:
    """Refuse to wait for longer than anyone would.

    Raises:
        UsageRefused: names the bounds.
    """
    if not 0 <= wait_s <= _WAIT_S_MAX:
        raise UsageRefused(f"--wait-s {wait_s:g} is out of bounds", f"wait 0 to {_WAIT_S_MAX:g} s")


async def act_on_flow(
    runtime: Runtime, act: FlowAct, race: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]] | None = None
) -> Acted:
    """Do it, wait a little for what follows, and say where the flow stands then.

    Args:
        runtime: owns the journal.
        act: what is to be done.
        race: waits with, so that somebody may end the waiting.

    Raises:
        NotFound: nobody has heard of the flow.
        ActRefused: it does not fit the state of the flow.
    """
    flow = runtime.flow(act.process, act.key)
    found = await runtime.journal.look_up((), ((flow.process, flow.key),))
    if (flow.process, flow.key) not in found.flows:
        raise NotFound("flow", flow.name)
    before = await flow.summary()
    position = await _do(flow, act)
    with trio.move_on_after(act.wait_s):
        await (race(runtime.drain) if race else runtime.drain())
    after = await flow.summary()
    return {
        "act": act.act,
        "flow": after.name,
        "position": position,
        "by": act.by,
        "reason": act.why,
        "status_before": before.status,
        "status": after.status,
        "outcome": after.outcome,
        "quarantine_reason": after.reason,
    }


async def _do(flow: FlowHandle, act: FlowAct) -> int:
    if act.act == "retry" and act.command is not None:
        return await flow.retry_command(act.command.lower(), by=act.by, why=act.why)
    if act.act == "cancel":
        return await flow.cancel(by=act.by, why=act.why, force=act.force)
    acts = {"retry": flow.retry, "skip": flow.skip, "release": flow.release}
    return await acts[act.act](by=act.by, why=act.why)


def _is_id(text: str) -> bool:
    return len(text) == _COMMAND_ID_HEX and all(c in "0123456789abcdef" for c in text.lower())
