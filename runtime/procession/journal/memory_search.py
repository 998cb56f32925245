"""Searching a journal in memory: the contract's own words, flow by flow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator

from procession.journal.found import Counted, FlowNames, FoundFlows, StageCount, StageCounts
from procession.journal.memory_store import Store
from procession.journal.rows import FlowQuery, FlowRow, FlowStatus

LIVE: tuple[FlowStatus, ...] = ("active", "quarantined", "unstarted")


class MemorySearch(ABC):
    """The part of a journal in memory that searches."""

    @abstractmethod
    async def _checkpoint(self) -> Store:
        """The rows, after a checkpoint."""

    async def search(
        self, query: FlowQuery, after_flow: int, limit: int, looked_max: int, *, newest_first: bool = False
    ) -> FoundFlows:
        store = await self._checkpoint()
        rows: list[FlowRow] = []
        reached = None
        for looked, row in enumerate(_in_order(store, after_flow, newest_first=newest_first)):
            if looked == looked_max or len(rows) == limit:
                return FoundFlows(rows, reached)
            reached = row.id
            if matches(store, row, query):
                rows.append(row)
        return FoundFlows(rows, None)

    async def count(self, query: FlowQuery, count_max: int, looked_max: int) -> Counted:
        store = await self._checkpoint()
        number = 0
        for looked, row in enumerate(_in_order(store, 0, newest_first=True)):
            if looked == looked_max:
                return Counted(number, more=True)
            if matches(store, row, query):
                if number == count_max:
                    return Counted(number, more=True)
                number += 1
        return Counted(number, more=False)

    async def names(self, names_max: int) -> FlowNames:
        store = await self._checkpoint()
        processes = {row.process for row in store.flows.values()}
        outcomes = {row.outcome for row in store.flows.values() if row.outcome is not None}
        return FlowNames(sorted(processes)[:names_max], sorted(outcomes)[:names_max])

    async def stages(self, process: str, flows_max: int) -> StageCounts:
        store = await self._checkpoint()
        found: Counter[tuple[str | None, FlowStatus]] = Counter()
        more = False
        for status in LIVE:
            rows = [row for row in store.flows.values() if (row.process, row.status) == (process, status)]
            more = more or len(rows) > flows_max
            newest = sorted(rows, key=lambda row: -row.id)[:flows_max]
            found.update((stage_of(store, row), row.status) for row in newest)
        counted = [StageCount(stage, status, number) for (stage, status), number in found.items()]
        return StageCounts(sorted(counted, key=lambda count: (count.stage or "", count.status)), more)


def _in_order(store: Store, after_flow: int, *, newest_first: bool) -> Iterator[FlowRow]:
    ids = store.flow_ids.keys
    for flow in reversed(ids) if newest_first else ids:
        if after_flow == 0 or (flow < after_flow if newest_first else flow > after_flow):
            yield store.flows[flow]


def matches(store: Store, row: FlowRow, query: FlowQuery) -> bool:
    """Whether a flow is one that a query asks for."""
    return (
        query.process in (None, row.process)
        and row.process not in query.but_not
        and (row.status in query.status if query.status else row.status != "unstarted")
        and query.outcome in (None, row.outcome)
        and query.key in (None, row.key)
        and (query.key_prefix is None or row.key.startswith(query.key_prefix))
        and (query.started_before_us is None or row.started_us < query.started_before_us)
        and (query.started_after_us is None or row.started_us > query.started_after_us)
        and (query.updated_before_us is None or row.updated_us < query.updated_before_us)
        and (query.updated_after_us is None or row.updated_us > query.updated_after_us)
        and all(
            match.holds(stage_of(store, row) if match.column == "stage" else getattr(row, match.column))
            for match in query.matches
        )
    )


def stage_of(store: Store, row: FlowRow) -> str | None:
    """The handler of the newest event that a flow has handled."""
    handled = [(step.position, step.name) for step in store.steps.get(row.id, ()) if step.outcome == "handled"]
    return max(handled)[1] if handled else None
