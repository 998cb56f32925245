"""Many flows in quarantine at once: counted first, then each repaired by an act of its own, with who and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Literal

import attrs
import trio

from procession.daemon.http.bounds import Said, Within
from procession.daemon.http.routes import Call, Route
from procession.errors import ActRefused, NotFound, ProcessionError
from procession.journal.flow_match import Match
from procession.journal.rows import FlowQuery, FlowRow

RepairAct = Literal["retry", "skip", "release"]
_FLOWS_MAX = 10_000
_PAGE = 500
_AT_ONCE_MAX = 64
_SHOWN_MAX = 20


@attrs.frozen(kw_only=True)
class RepairAsked:
    """Who acts and why, and on which flows in quarantine; what is left out does not filter."""

    by: Said
    why: Said
    process: str | None = None
    key_prefix: str | None = None
    reason: str | None = None
    """Those set aside for a reason that holds this text; letters of ASCII in either case."""
    limit: Annotated[int, Within(1, _FLOWS_MAX)] = 1_000
    """At most so many, the oldest first."""
    dry_run: bool = False
    """Count them, and change nothing."""


@attrs.frozen
class RepairRefused:
    """A flow that was left as it is."""

    flow: str
    found: str


@attrs.frozen
class Repaired:
    """What was done to how many."""

    act: RepairAct
    dry_run: bool
    matched: int
    more: bool
    """There are more that match than the limit."""
    acted: int
    refused: tuple[RepairRefused, ...]
    """They do not fit the act, or their process is not here; of many the first."""
    refused_in_all: int
    flows: tuple[str, ...]
    """Those that match, the first of them."""


def _repairing(act: RepairAct) -> Callable[[Call], Awaitable[Repaired]]:
    async def repair(call: Call) -> Repaired:
        asked = call.sent(RepairAsked)
        found = await _matching(call, asked)
        rows, more = found[: asked.limit], len(found) > asked.limit
        done = _Doing(call, act, asked)
        if not asked.dry_run:
            await done.all(rows)
        return Repaired(
            act,
            asked.dry_run,
            len(rows),
            more,
            done.acted,
            tuple(done.refused[:_SHOWN_MAX]),
            len(done.refused),
            tuple(f"{row.process}/{row.key}" for row in rows[:_SHOWN_MAX]),
        )

    return repair


async def _matching(call: Call, asked: RepairAsked) -> list[FlowRow]:
    """One more than the limit, where there is one more."""
    query = FlowQuery(
        process=asked.process,
        status=("quarantined",),
        key_prefix=asked.key_prefix,
        matches=() if asked.reason is None else (Match("reason", parts=(asked.reason,)),),
    )
    found: list[FlowRow] = []
    after = 0
    while len(found) <= asked.limit:
        page = await call.runtime.journal.flows(query, after, _PAGE)
        found += page
        if len(page) < _PAGE:
            break
        after = page[-1].id
    return found[: asked.limit + 1]


@attrs.define(eq=False)
class _Doing:
    """Acts side by side, so that they share commits; each goes through its flow's own mailbox."""

    call: Call
    act: RepairAct
    asked: RepairAsked
    acted: int = 0
    refused: list[RepairRefused] = attrs.field(factory=list)
    _failed: list[ProcessionError] = attrs.field(factory=list)

    async def all(self, rows: list[FlowRow]) -> None:
        """Act on each.

        Raises:
            ProcessionError: the journal can't be written, or the runtime closes; the rest was left as it is.
        """
        left = iter(rows)
        async with trio.open_nursery() as nursery:
            for _ in range(min(_AT_ONCE_MAX, len(rows))):
                nursery.start_soon(self._some, left)
        if self._failed:
            raise self._failed[0]

    async def _some(self, left: Iterator[FlowRow]) -> None:
        for row in left:
            if self._failed:
                return
            await self._one(row)

    async def _one(self, row: FlowRow) -> None:
        try:
            flow = self.call.runtime.flow(row.process, row.key)
            verbs = {"retry": flow.retry, "skip": flow.skip, "release": flow.release}
            await verbs[self.act](by=self.asked.by, why=self.asked.why)
            self.acted += 1
        except (ActRefused, NotFound) as error:
            self.refused.append(RepairRefused(f"{row.process}/{row.key}", str(error)))
        except ProcessionError as error:
            self._failed.append(error)


def _route(act: RepairAct, about: str) -> Route:
    return Route("POST", f"/v1/quarantine/{act}", "operator", about, Repaired, _repairing(act), asks=RepairAsked)


ROUTES = (
    _route("retry", "Of many flows in quarantine, run the event again at which each failed."),
    _route("skip", "Of many flows in quarantine, skip the event at which each failed."),
    _route("release", "Of many flows in quarantine, run all waiting events, in order."),
)
