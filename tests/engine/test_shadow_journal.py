"""Shadow replay of a journal: one finding for each handler that differs, and the journal is only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import expense_approval, stock
from procession import Effects, ProcessManager, Settings, open_runtime, starts
from procession.engine.shadow_journal import shadow_journal
from procession.journal.memory import MemoryJournal
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.registration import build_registry
from procession.wiring import combine, open_wired, registry_of
from tests.engine import shadowed_flows
from tests.engine.account import LIFTS, Account, Clerk, PaidV1, Thawed, before
from tests.engine.shadowed_flows import Asked, Clocked, Counted, Honest, Ordered, Say, Speaker


async def test_pure_flows_give_no_finding_also_beside_a_running_owner(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Honest], gateways=[Speaker()]) as runtime:
        await runtime.publish([Asked("a"), *(Counted(key, 1, "ann") for key in "aabb")])
        await runtime.drain()
        reader = await read_sqlite(str(tmp_path / "a.db"))
        try:
            assert await shadow_journal(reader, build_registry([Honest], [Speaker()])) == []
        finally:
            await reader.close()


async def test_a_handler_that_differs_is_found_once_with_its_place() -> None:
    journal = MemoryJournal()
    async with open_runtime(journal, processes=[Clocked, Honest, Ordered], gateways=[Speaker()]) as runtime:
        await runtime.publish([Counted(key, 1, "ann") for key in "abc"])
        await runtime.drain()
        found = await shadow_journal(runtime.journal, build_registry([Clocked, Honest, Ordered], [Speaker()]))
    assert [(finding.code, finding.subject) for finding in found] == [
        ("LAW03", "Clocked.counted"),
        ("LAW03", "Ordered.counted"),
    ]
    assert {finding.path for finding in found} == {shadowed_flows.__file__}
    assert found[0].line < found[1].line
    assert ", first of 3 turns)" in found[0].found


async def test_refusals_and_tasks_for_people_run_elsewhere_too() -> None:
    journal = MemoryJournal()
    wiring = combine([stock.wire_testing(Settings()), expense_approval.wire_testing(Settings())])
    async with open_wired(wiring, Settings(), journal=journal) as runtime:
        await runtime.publish(stock.BasketFilled("b1", (("pen", 1),)))
        await runtime.publish(expense_approval.ExpenseFiled("7", "ann", 42_000, "a train"))
        await runtime.drain()
        assert await shadow_journal(runtime.journal, registry_of(wiring)) == []


@pytest.mark.slow
async def test_flows_can_be_limited() -> None:
    journal = MemoryJournal()
    async with open_runtime(journal, processes=[Clocked], gateways=[Speaker()]) as runtime:
        await runtime.publish([Counted(key, 1) for key in "abc"])
        await runtime.drain()
        (found,) = await shadow_journal(runtime.journal, build_registry([Clocked], [Speaker()]), flows_max=2)
    assert "first of 2 turns" in found.found


async def test_an_old_event_runs_elsewhere_as_the_newer_one_that_it_is_lifted_to() -> None:
    journal = MemoryJournal()
    async with before(journal) as runtime:
        await runtime.publish([Thawed("a"), PaidV1("a", 1)])
        await runtime.drain()
    registry = build_registry([Account], [Clerk()], lifts=LIFTS)
    assert await shadow_journal(journal.reopened(), registry) == []


async def test_what_can_not_run_elsewhere_is_a_finding() -> None:
    class Local(ProcessManager, name="local", key="key"):
        @starts
        def counted(self, counted: Counted) -> Effects:
            yield Say(counted.key, "")

    journal = MemoryJournal()
    async with open_runtime(journal, processes=[Local], gateways=[Speaker()]) as runtime:
        await runtime.publish(Counted("a", 1))
        await runtime.drain()
        (found,) = await shadow_journal(runtime.journal, build_registry([Local], [Speaker()]))
    assert "can't be shadowed" in found.found
