"""Contract tests of what a journal holds of aggregates: streams like those of flows, and told apart from them."""

from __future__ import annotations

import json

from procession.journal.rows import Commit, FlowQuery, TypeRow
from procession.testing.journal_rows import (
    PROCESS,
    JournalCase,
    change,
    command,
    command_effect,
    event,
    flow,
    rejected,
    started,
    step,
)

_STOCK = "stock"


class AggregatesContract(JournalCase):
    """See `JournalContract`."""

    async def test_aggregates_are_told_apart_from_flows(self) -> None:
        async with self.opened() as journal:
            await journal.commit(Commit(types=[TypeRow(_STOCK, 1, "aggregate", "{}")]))
            await journal.commit(started(1, 1))
            await journal.commit(_decided(2, 2, version=1))
            found = await journal.counts()
            assert found.flows == {PROCESS: {"active": 1}}
            assert found.aggregates == {_STOCK: {"active": 1}}
            listed = {
                FlowQuery(): [1, 2],
                FlowQuery(but_not=(_STOCK,)): [1],
                FlowQuery(but_not=(PROCESS,), status=("active",)): [2],
                FlowQuery(but_not=(PROCESS, _STOCK)): [],
                FlowQuery(process=_STOCK, key="book"): [2],
            }
            for query, expected in listed.items():
                assert [row.id for row in await journal.flows(query, 0, 9)] == expected, query

    async def test_a_stream_keeps_its_versions(self) -> None:
        async with self.opened() as journal:
            await journal.commit(_decided(2, 1, version=1))
            await journal.commit(_decided(2, 2, version=2))
            await rejected(journal, _decided(2, 3, version=2))
            assert [stepped.event.position for stepped in await journal.steps(2, 0, 9)] == [1, 2]
            assert await journal.verify() == []

    async def test_a_refused_command_is_open_no_more(self) -> None:
        async with self.opened() as journal:
            asked = started(1, 1, command_effect(1, 1))
            asked.commands = [command(1, 1, 1, gateway=_STOCK)]
            asked.command_changes = [change(command(1, 1, 1, gateway=_STOCK), "refused", 0)]
            await journal.commit(asked)
            assert await journal.open_commands(_STOCK, 2**62, 9) == []
            assert [one.row.state for one in await journal.commands(1, 0, 9)] == ["refused"]
            assert (await journal.counts()).commands == {"refused": 1}
            await rejected(journal, Commit(command_changes=[change(command(1, 1, 1, gateway=_STOCK), "answered")]))


def _decided(number: int, position: int, *, version: int) -> Commit:
    """An event of the aggregate `stock/book`, as its next."""
    row = event(position)._replace(keys=json.dumps({_STOCK: ["book"]}))
    stood = flow(number, version)._replace(process=_STOCK, key="book")
    return Commit(events=[row], steps=[step(number, version, position)], flows={number: stood})
