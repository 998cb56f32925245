"""What a running owner does when it is asked: one function for each thing that can be asked, by name."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from procession.daemon.acting import FlowAct, act_on_flow
from procession.daemon.exit_codes import InputRefused, UsageRefused
from procession.daemon.figures import figures_json
from procession.daemon.questions import Archive, Named, Publish, TokenAct, read
from procession.daemon.snapshot import Snapshots
from procession.daemon.task_acts import TaskAct, act_on_task
from procession.errors import IdReused, NotAccepted, Overloaded, PublishRefused
from procession.facade import Runtime
from procession.human.gateway import desks_among
from procession.primitives.cloudevents import CloudEventError, parse
from procession.primitives.event import ProjectionRebuildRequested, TokenAdded, TokenRevoked
from procession.primitives.outside import Outside
from procession.primitives.registry import Registry
from procession.publishing import decoded

logger = logging.getLogger("procession.daemon")
_SHOWN_CHARS = 80


@attrs.define
class LineRefused(InputRefused):
    """One of the events that came can't be published; none of them was."""

    sentence: str
    at: int
    """Which one, counted from 0."""

    def __str__(self) -> str:
        return self.sentence


class Operations:
    """All that can be asked of the owner of a journal over its socket."""

    def __init__(
        self,
        runtime: Runtime,
        registry: Registry,
        snapshots: Snapshots,
        reread_tokens: Callable[[], bool] | None = None,
    ) -> None:
        self._runtime = runtime
        self._registry = registry
        self._snapshots = snapshots
        self._reread_tokens = reread_tokens
        self._by_name: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "act": self._act,
            "archive": self._archive,
            "counts": self._counts,
            "drain": self._drain,
            "pause": self._pause,
            "publish": self._publish,
            "rebuild_noted": self._rebuild_noted,
            "resume": self._resume,
            "snapshot": self._snapshot,
            "task": self._task,
            "token": self._token,
        }

    async def do(self, asked: Mapping[str, Any]) -> object:
        """Do what is asked by `do`, with the other fields as its arguments.

        Raises:
            UsageRefused: nothing of that name can be asked, or an argument is missing or of another kind.
            ProcessionError: what the act itself raises.

        Cancellation: as of the act; whoever asked has gone then.
        """
        named = asked.get("do")
        found = self._by_name.get(named) if isinstance(named, str) else None
        if found is None:
            said = f"{named[:_SHOWN_CHARS]!r}" if isinstance(named, str) else "what is no text"
            raise UsageRefused(f"{said} can't be asked of an owner", f"ask for one of {', '.join(self._by_name)}")
        return await found(asked)

    async def _act(self, asked: Mapping[str, Any]) -> object:
        return await act_on_flow(self._runtime, FlowAct.of(asked))

    async def _publish(self, asked: Mapping[str, Any]) -> object:
        """CloudEvents as JSON texts, together or not at all: how many were new, and how many known."""
        outside = [self._outside(text, number) for number, text in enumerate(read(Publish, asked).events)]
        try:
            positions = await self._runtime.publish(outside)
        except (NotAccepted, Overloaded):
            raise  # no event is at fault
        except PublishRefused as error:
            raise LineRefused(str(error), _refused_at(outside, error)) from error
        duplicates = sum(position.duplicate for position in positions)
        return {"accepted": len(positions) - duplicates, "duplicates": duplicates}

    def _outside(self, text: str, number: int) -> Outside:
        try:
            return decoded(self._registry, parse(text.encode()))  # JSON that was read holds no lone surrogates
        except (CloudEventError, PublishRefused) as error:
            raise LineRefused(str(error), number) from error

    async def _drain(self, asked: Mapping[str, Any]) -> object:
        await self._runtime.drain()
        return {}

    async def _counts(self, asked: Mapping[str, Any]) -> object:
        return figures_json(await self._runtime.journal.counts())

    async def _pause(self, asked: Mapping[str, Any]) -> object:
        act = read(Named, asked)
        await self._runtime.pause_gateway(act.name, by=act.by, why=act.why)
        return {"gateway": act.name, "paused": True}

    async def _resume(self, asked: Mapping[str, Any]) -> object:
        act = read(Named, asked)
        if act.name in self._registry.processes:
            await self._runtime.resume_process(act.name, by=act.by, why=act.why)
            return {"process": act.name, "paused": False}
        await self._runtime.resume_gateway(act.name, by=act.by, why=act.why)
        return {"gateway": act.name, "paused": False}

    async def _rebuild_noted(self, asked: Mapping[str, Any]) -> object:
        """Another process makes a projection anew: it can't write to the journal, and its owner records it."""
        await self._runtime.record_act(ProjectionRebuildRequested(asked["name"], asked["by"], asked["why"]))
        return {}

    async def _archive(self, asked: Mapping[str, Any]) -> object:
        act = read(Archive, asked)
        done = await self._runtime.archive(
            older_than=datetime.timedelta(seconds=act.older_than_s),
            by=act.by,
            why=act.why,
            process=act.process,
            limit=act.limit,
        )
        return attrs.asdict(done)

    async def _task(self, asked: Mapping[str, Any]) -> object:
        return await act_on_task(self._runtime, desks_among(self._registry.gateways.values()), TaskAct.of(asked))

    async def _token(self, asked: Mapping[str, Any]) -> object:
        """A token was added or revoked: heed it first, then record it."""
        told = read(TokenAct, asked)
        in_force = self._reread_tokens is not None and self._reread_tokens()
        added = told.act == "added"
        revoked = TokenRevoked(told.token, told.id, told.role, told.by)
        act = TokenAdded(told.token, told.id, told.role, str(told.expires_at), told.by) if added else revoked
        await self._runtime.record_act(act)
        logger.info(
            "the token of %s, %s, was %s by %s", told.token, told.role, "added" if added else "revoked", told.by
        )
        return {"in_force": in_force}

    async def _snapshot(self, asked: Mapping[str, Any]) -> object:
        return await self._snapshots.take()


def _refused_at(outside: Sequence[Outside], error: PublishRefused) -> int:
    """Which of them was refused: an id that was used before names it, else it is the first that says nothing."""
    if isinstance(error, IdReused):
        for number, one in enumerate(outside):
            if (one.source, one.id) == (error.source, error.id):
                return number
    return 0
