"""Where a running owner stands, at one moment, as JSON: what `procession top` shows and the service manager is told."""

from __future__ import annotations

import os
from typing import Any

import attrs
import trio

from procession.actors.supervisor import ActorInfo
from procession.facade import Runtime
from procession.journal.rows import FlowQuery

_QUARANTINED_MAX = 1_000
_QUARANTINED_SHOWN = 20
_COMMIT_SHOWN_S = 1.0
"""A commit that takes longer is told."""
_ACTORS_MAX = 50
"""Of one supervisor; a tree with every awake flow in it would help nobody."""


@attrs.define(eq=False)
class Snapshots:
    """Takes them."""

    runtime: Runtime
    journal: str
    _began: float = attrs.field(factory=trio.current_time)

    async def take(self) -> dict[str, Any]:
        """One snapshot; reads the flows in quarantine from the journal, all else from memory."""
        runtime = self.runtime
        aside = await runtime.flows(status="quarantined", limit=_QUARANTINED_MAX + 1)
        return {
            "journal": self.journal,
            "pid": os.getpid(),
            "uptime_s": round(trio.current_time() - self._began, 3),
            "held": runtime.held,
            "stopped": self._stopped(),
            "counters": runtime.counters(),
            "gateways": [attrs.asdict(state) for state in runtime.gateways()],
            "quarantined": min(len(aside), _QUARANTINED_MAX),
            "quarantined_more": len(aside) > _QUARANTINED_MAX,
            "quarantine": [
                {"flow": flow.name, "reason": flow.reason, "since": flow.updated_at.isoformat(timespec="milliseconds")}
                for flow in aside[:_QUARANTINED_SHOWN]
            ],
            "tree": tree_json(runtime.tree()),
        }

    async def anything_quarantined(self) -> bool:
        """Whether somebody must look; one small read."""
        return bool(await self.runtime.journal.flows(FlowQuery(status=("quarantined",)), 0, 1))

    def status(self) -> str:
        """One line for the service manager; from memory."""
        runtime = self.runtime
        if runtime.held:
            return f"held: {runtime.held}"
        counters = runtime.counters()
        gateways = runtime.gateways()
        trouble = [f"{state.name} {state.held_back.partition(':')[0]}" for state in gateways if state.held_back]
        if runtime.committing_s > _COMMIT_SHOWN_S:
            trouble.append(f"a commit has been running for {runtime.committing_s:.0f} s")
        stopped = self._stopped()
        if stopped:
            trouble.append(f"stopped: {', '.join(stopped)}")
        running = sum(state.running for state in gateways)
        return (
            f"{counters['procession_turns_handled']:,} turns, {running:,} calls under way,"
            f" {counters['procession_flows_quarantined']:,} flows set aside"
            + (f"; {', '.join(trouble)}" if trouble else "")
        )

    def _stopped(self) -> list[str]:
        """Projectors and injectors that failed too often; the rest of the tree can't stop alone."""
        supervisors = [info() for info in self.runtime.beside]
        return [actor.name for supervisor in supervisors for actor in supervisor.children if actor.state == "failed"]


def tree_json(info: ActorInfo) -> dict[str, Any]:
    """An actor with those below it, at most so many of them."""
    return {
        "name": info.name,
        "state": info.state,
        "restarts": info.restarts,
        "detail": info.detail,
        "children": [tree_json(child) for child in info.children[:_ACTORS_MAX]],
        "children_left_out": max(0, len(info.children) - _ACTORS_MAX),
    }
