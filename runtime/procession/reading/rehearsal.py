"""A rehearsal: every flow of a journal through the code at hand, before that is deployed. Reads only.

Gateways are never called: a turn is pure, and what it yields is compared, not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import attrs

from procession.engine.opening import Since, check
from procession.errors import NotFound, WiringError
from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery, FlowRow, FlowStatus, Standing, Stepped
from procession.primitives.registry import Registry
from procession.reading.replay import Code, Difference, Prospect, Replay
from procession.settings import Settings

Life = Literal["live", "ended"]
STATUSES: tuple[FlowStatus, ...] = ("unstarted", "active", "quarantined", "ended", "cancelled")
_LIVE = frozenset({"unstarted", "active", "quarantined"})
_FLOWS_PAGE = 200
_STEPS_PAGE = 4_000
_COMMANDS_PAGE = 500
_GROUPS_MAX = 1_000
_TIMERS_MAX = 100
"""Armed deadlines of one flow that are tried; those that are due first."""


@attrs.define
class Count:
    """Flows that have not ended, and flows that have."""

    live: int = 0
    ended: int = 0

    def add(self, life: Life) -> None:
        """One more."""
        setattr(self, life, getattr(self, life) + 1)

    @property
    def total(self) -> int:
        return self.live + self.ended


@attrs.frozen
class Example:
    """One flow of a group."""

    flow: str
    status: FlowStatus
    version: int
    """Of the step; 0 where it is about what comes next."""
    position: int
    recorded: object
    now: object


@attrs.define
class Group:
    """One difference, with the flows that it concerns."""

    process: str
    handler: str
    """As the steps name it; empty where it is about what comes next."""
    event: str
    what: str
    flows: Count = attrs.field(factory=Count)
    commands_open: int = 0
    """Recorded commands that are not asked for like that any more, and are still open: they will be delivered."""
    live_examples: list[Example] = attrs.field(factory=list)
    ended_examples: list[Example] = attrs.field(factory=list)

    def examples(self, size_max: int) -> list[Example]:
        """Some of its flows, live ones first."""
        return [*self.live_examples, *self.ended_examples][:size_max]


@attrs.define
class Outlook:
    """Flows of which the same comes next."""

    process: str
    quarantined: bool
    waits: str
    type: str
    then: str
    fails: bool
    flows: int = 0
    examples: list[str] = attrs.field(factory=list)


@attrs.define
class Rehearsal:
    """What came of it."""

    flows: Count = attrs.field(factory=Count)
    """Rehearsed."""
    steps: int = 0
    differing: Count = attrs.field(factory=Count)
    """Flows with one difference or more."""
    groups: dict[tuple[str, str, str, str], Group] = attrs.field(factory=dict)
    more_groups: Count = attrs.field(factory=Count)
    """Differences, by flow, that found no room among the groups."""
    outlooks: dict[tuple[str, bool, str, str, str], Outlook] = attrs.field(factory=dict)
    """What comes next for live flows."""
    moved: int = 0
    """Live flows that went on while they were read: what comes next for them was not looked at."""
    unknown: dict[str, Count] = attrs.field(factory=dict)
    """Flows of processes that the code at hand does not have; not rehearsed."""
    refused: str | None = None
    """Why a runtime with this code would refuse to open this journal; None where it would not."""

    @property
    def same(self) -> bool:
        """No flow differs, and none is stranded."""
        stranded = any(count.live for count in self.unknown.values())
        return not (self.groups or self.more_groups.total or stranded or self.refused)


@attrs.frozen
class Selection:
    """Which flows; None does not filter."""

    process: str | None = None
    status: tuple[FlowStatus, ...] = ()
    limit: int = 0
    """At most so many, the oldest first; 0 for all."""
    examples: int = 5
    """Flows named for each difference."""


class Rehearser:
    """Goes through the flows in pages; what it keeps is bounded by the groups and their examples."""

    def __init__(
        self,
        reader: JournalReader,
        registry: Registry,
        settings: Settings,
        selection: Selection,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Make ready; `progress` is told the id of the last flow that is done, and the steps so far."""
        self._reader = reader
        self._registry = registry
        self._selection = selection
        self._progress = progress or _nobody_listens
        self._code = Code(
            registry,
            reader.id,
            payload_bytes_max=settings.intake.payload_bytes_max,
            effects_per_turn_max=settings.flows.effects_per_turn_max,
        )
        self.found = Rehearsal()

    async def run(self) -> Rehearsal:
        """Rehearse all flows that are selected.

        Raises:
            NotFound: neither the code nor the journal knows the process that was named.
        """
        selection = self._selection
        aggregates = tuple(row.name for row in await self._reader.types() if row.kind == "aggregate")
        query = FlowQuery(process=selection.process, but_not=aggregates, status=selection.status or STATUSES)
        self.found.refused = await self._refusal()
        last = done = 0
        while True:
            wanted = _FLOWS_PAGE if not selection.limit else min(_FLOWS_PAGE, selection.limit - done)
            page = await self._reader.flows(query, last, wanted) if wanted else []
            if not page:
                break
            await self._rehearse(page)
            last, done = page[-1].id, done + len(page)
            self._progress(last, self.found.steps)
        if not done and selection.process is not None and selection.process not in self._registry.processes:
            raise NotFound("process", selection.process)
        return self.found

    async def _refusal(self) -> str | None:
        """Why a runtime would refuse the journal. From where on new processes take part is said at the start."""
        since: dict[str, Since] = dict.fromkeys(self._registry.processes, "now")
        try:
            await check(self._reader, self._registry, since)
        except WiringError as error:
            return str(error)
        return None

    async def _rehearse(self, page: Sequence[FlowRow]) -> None:
        """A page of flows: first where live ones stand, then all steps; a newer step tells that a flow moved."""
        rows: list[FlowRow] = []
        for row in page:
            if row.process in self._registry.processes:
                rows.append(row)
            else:
                self.found.unknown.setdefault(row.process, Count()).add(_life(row))
        live = [row.id for row in rows if row.status in _LIVE]
        standing = dict(zip(live, await self._reader.standing_of(live, _TIMERS_MAX), strict=True)) if live else {}
        for row, replay, moved in await self._replayed(rows):
            replay.finish()
            self.found.flows.add(_life(row))
            differs = await self._note_past(row, replay.found.values()) if replay.found else False
            if row.id in standing and not replay.lost:
                if moved:
                    self.found.moved += 1
                elif self._note_next(row, replay, standing[row.id]):
                    differs = True
            if differs:
                self.found.differing.add(_life(row))

    async def _replayed(self, rows: Sequence[FlowRow]) -> list[tuple[FlowRow, Replay, bool]]:
        """The flows of a page, each with its replay, and whether it has steps that its row does not know of."""
        replays = {row.id: Replay(self._code, self._registry.processes[row.process], row) for row in rows}
        moved: set[int] = set()
        ids, versions = [row.id for row in rows], {row.id: row.version for row in rows}
        version = 0
        while ids:
            steps: list[Stepped] = await self._reader.steps_of(ids, version, _STEPS_PAGE)
            for stepped in steps:
                flow = stepped.step.flow
                if stepped.step.version > versions[flow]:
                    moved.add(flow)
                    continue
                replays[flow].take(stepped)
                self.found.steps += 1
            if len(steps) < _STEPS_PAGE:
                break
            version = steps[-1].step.version
            ids = ids[ids.index(steps[-1].step.flow) :]
            self._progress(ids[0], self.found.steps)
        return [(row, replays[row.id], row.id in moved) for row in rows]

    async def _note_past(self, row: FlowRow, differences: Iterable[Difference]) -> bool:
        gone: dict[str, Group] = {}
        for difference in differences:
            change, place = difference.change, (difference.version, difference.position)
            name = (row.process, difference.handler, difference.event, change.what)
            example = Example(f"{row.process}/{row.key}", row.status, *place, change.recorded, change.now)
            group = self._group(name, row, example)
            if group is not None:
                gone.update(dict.fromkeys(difference.commands_gone, group))
        if gone:
            await self._count_open(row, gone)
        return True

    async def _count_open(self, row: FlowRow, gone: Mapping[str, Group]) -> None:
        seq = 0
        while True:
            page = await self._reader.commands(row.id, seq, _COMMANDS_PAGE)
            for command in page:
                group = gone.get(command.row.id.hex())
                if group is not None and command.row.state == "open":
                    group.commands_open += 1
            if len(page) < _COMMANDS_PAGE:
                return
            seq = page[-1].row.seq

    def _group(self, name: tuple[str, str, str, str], row: FlowRow, example: Example) -> Group | None:
        """The group of a difference, with one more flow; None where there is no room for another group."""
        group = self.found.groups.get(name)
        if group is None:
            if len(self.found.groups) >= _GROUPS_MAX:
                self.found.more_groups.add(_life(row))
                return None
            group = self.found.groups[name] = Group(*name)
        group.flows.add(_life(row))
        examples = group.live_examples if _life(row) == "live" else group.ended_examples
        if len(examples) < self._selection.examples:
            examples.append(example)
        return group

    def _note_next(self, row: FlowRow, replay: Replay, standing: Standing) -> bool:
        """What comes next for a live flow: of what waits the first, and each armed deadline, as it stands now."""
        prospects: list[tuple[Prospect, int]] = []
        if standing.head is not None:
            prospects.append((replay.prospect_of(standing.head.event), standing.head.event.position))
        if row.status != "quarantined":
            prospects += [(replay.prospect_of_timer(timer), 0) for timer in standing.timers]
        differs = False
        seen: set[tuple[str, str, str, str]] = set()
        for prospect, position in prospects:
            self._outlook(row, prospect)
            if prospect.fails and row.status != "quarantined":
                differs = True
                waits = "the event that waits" if prospect.waits == "event" else "the deadline that is armed"
                name = (row.process, "", prospect.type, f"{waits}: {prospect.then}")
                example = Example(f"{row.process}/{row.key}", row.status, 0, position, None, prospect.found or None)
                if name not in seen:
                    self._group(name, row, example)
                seen.add(name)
        return differs

    def _outlook(self, row: FlowRow, prospect: Prospect) -> None:
        quarantined = row.status == "quarantined"
        name = (row.process, quarantined, prospect.waits, prospect.type, prospect.then)
        outlook = self.found.outlooks.get(name)
        if outlook is None:
            if len(self.found.outlooks) >= _GROUPS_MAX:
                return
            outlook = self.found.outlooks[name] = Outlook(*name, prospect.fails)
        outlook.flows += 1
        if len(outlook.examples) < self._selection.examples:
            outlook.examples.append(f"{row.process}/{row.key}")


def _nobody_listens(done: int, steps: int) -> None:
    pass


def _life(row: FlowRow) -> Life:
    return "live" if row.status in _LIVE else "ended"
