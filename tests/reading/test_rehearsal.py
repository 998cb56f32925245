"""Rehearsals: which flows of a journal would not go as they went, with the code at hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from procession import (
    Command,
    Effects,
    ProcessManager,
    after,
    cancel,
    end,
    ends,
    folds,
    on,
    open_runtime,
    record,
    starts,
)
from procession.errors import NotFound
from procession.journal.memory import MemoryJournal
from procession.journal.rows import FlowQuery, FlowRow
from procession.journal.sqlite_reader import read_sqlite
from procession.reading.rehearsal import Count, Rehearser, Selection
from tests.reading.repair import (
    SETTINGS,
    FetchPart,
    PartCounted,
    PartFetched,
    Repair,
    RepairAsked,
    RepairClosed,
    RepairOverdue,
    Said,
    Store,
    TellOwner,
    flows_in,
    journal_of,
    opened,
    registry_of,
    rehearsed,
    said,
)

ENDED = RepairAsked("ended", ("wheel", "bell"))
LIVE = RepairAsked("live", ("wheel", "rare"))
SET_ASIDE = RepairAsked("set aside", ("bell", "sold out"))


async def test_the_code_that_wrote_a_journal_asks_for_the_same(autojump_clock: MockClock) -> None:
    journal = await journal_of(ENDED, LIVE, SET_ASIDE, RepairAsked("closed", ("rare",)), RepairClosed("closed"))
    found = await rehearsed(journal, Repair)
    assert found.same
    assert (found.flows, found.differing, found.groups) == (Count(2, 2), Count(0, 0), {})
    assert found.steps == (await journal.counts()).steps


class OtherBell(Repair, name="repair", key="bike"):
    @starts
    def order_parts(self, asked: RepairAsked) -> Effects:
        for part in asked.parts:
            yield FetchPart(asked.bike, "horn" if part == "bell" else part)
        yield after(timedelta(hours=1), RepairOverdue(asked.bike))


async def test_a_changed_command_is_found_in_exactly_the_flows_that_it_concerns(autojump_clock: MockClock) -> None:
    journal = await journal_of(ENDED, LIVE, SET_ASIDE, RepairAsked("second", ("bell",)))
    found = await rehearsed(journal, OtherBell)
    assert said(found) == [Said("order_parts", "command store.fetch has another part", 1, 2)]
    (group,) = found.groups.values()
    assert flows_in(group) == ["repair/set aside", "repair/ended", "repair/second"]
    assert not found.same
    assert (found.flows, found.differing) == (Count(2, 2), Count(1, 2))


async def test_an_example_shows_what_was_recorded_and_what_it_is_now(autojump_clock: MockClock) -> None:
    (group,) = (await rehearsed(await journal_of(ENDED), OtherBell)).groups.values()
    (example,) = group.examples(1)
    parts: list[Any] = [example.recorded, example.now]
    assert [effects[0]["data"]["part"] for effects in parts] == ["bell", "horn"]
    assert (example.flow, example.status, example.version, example.position) == ("repair/ended", "ended", 1, 1)


class Later(Repair, name="repair", key="bike"):
    @starts
    def order_parts(self, asked: RepairAsked) -> Effects:
        for part in asked.parts:
            yield FetchPart(asked.bike, part)
        yield after(timedelta(hours=2), RepairOverdue(asked.bike))


class MiscountedFact(Repair, name="repair", key="bike"):
    @on
    def fetched(self, fetched: PartFetched) -> Effects:
        yield record(PartCounted(fetched.bike, fetched.part, len(self.missing)))


class EndsEarlier(Repair, name="repair", key="bike"):
    @on
    def count(self, counted: PartCounted) -> Effects:
        yield cancel(RepairOverdue)
        yield end("repaired")


class EndsNever(Repair, name="repair", key="bike"):
    @on
    def count(self, counted: PartCounted) -> Effects:
        if not self.missing:
            yield cancel(RepairOverdue)


class EndsOtherwise(Repair, name="repair", key="bike"):
    @ends(outcome="given up")
    def close(self, closed: RepairClosed) -> None: ...


class BrokenReaction(Repair, name="repair", key="bike"):
    @on
    def count(self, counted: PartCounted) -> Effects:
        raise KeyError(counted.part)


class BrokenFold(Repair, name="repair", key="bike"):
    @folds
    def arrived(self, counted: PartCounted) -> Repair:
        raise KeyError(counted.part)


class Unwritable(Repair, name="repair", key="bike"):
    @on
    def fetched(self, fetched: PartFetched) -> Effects:
        yield record(PartCounted(fetched.bike, fetched.part, "none"))  # type: ignore[arg-type]  # what is to be found


class NoHandler(ProcessManager, name="repair", key="bike"):
    """Nothing is left but the start and one reaction."""

    @starts
    def order_parts(self, asked: RepairAsked) -> Effects:
        for part in asked.parts:
            yield FetchPart(asked.bike, part)
        yield after(timedelta(hours=1), RepairOverdue(asked.bike))

    @on
    def remind(self, overdue: RepairOverdue) -> Effects:
        yield TellOwner(overdue.bike)


CHANGED = [
    (Later, [Said("order_parts", "deadline repair.overdue falls due at another time", 1, 1)]),
    (MiscountedFact, [Said("fetched", "event repair.part_counted has another left", 1, 1)]),
    (
        EndsEarlier,
        [
            Said("count", "cancels deadline repair.overdue, which it did not", 1, 1),
            Said("count", "ends the flow, which went on", 1, 1),
        ],
    ),
    (EndsNever, [Said("count", "does not end the flow, which ended as repaired", 0, 1)]),
    (BrokenReaction, [Said("count", "fails: KeyError at test_rehearsal.py:LINE", 1, 1)]),
    (
        BrokenFold,
        [
            Said(
                "count",
                "fails in the fold arrived: KeyError at test_rehearsal.py:LINE; the flow can't be loaded",
                1,
                1,
            )
        ],
    ),
    (Unwritable, [Said("fetched", "yields what can't be written", 1, 1)]),
]


@pytest.mark.parametrize(("process", "expected"), CHANGED, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_change_is_told_with_the_number_of_flows(
    autojump_clock: MockClock, process: type[ProcessManager], expected: list[Said]
) -> None:
    found = await rehearsed(await journal_of(ENDED, LIVE), process)
    assert [without_line(one) for one in said(found)] == expected
    assert found.differing == Count(expected[0].live, expected[0].ended)


def without_line(one: Said) -> Said:
    file = "test_rehearsal.py:"
    before, _, rest = one.what.partition(file)
    what = one.what if not rest else f"{before}{file}LINE{rest.lstrip('0123456789')}"
    return Said(one.handler, what, one.live, one.ended)


async def test_another_outcome_is_told(autojump_clock: MockClock) -> None:
    found = await rehearsed(await journal_of(LIVE, RepairClosed("live")), EndsOtherwise)
    assert said(found) == [Said("close", "ends the flow as given up, which ended as closed", 0, 1)]


async def test_a_cancelled_flow_was_ended_by_no_turn(autojump_clock: MockClock) -> None:
    journal = await journal_of(LIVE)
    async with opened(journal) as runtime:
        await runtime.flow(Repair, "live").cancel(by="ann", why="sold the bike")
    found = await rehearsed(journal.reopened(), Repair)
    assert (found.same, found.flows) == (True, Count(0, 1))


async def test_a_step_that_no_handler_takes_any_more_is_told(autojump_clock: MockClock) -> None:
    found = await rehearsed(await journal_of(ENDED), NoHandler)
    assert said(found) == [
        Said("fetched", "has no turn for PartFetched any more: it would be ignored", 0, 1),
        Said("count", "can't read the event: no class has its name and version; the flow can't be loaded", 0, 1),
    ]


async def test_commands_that_would_not_have_been_sent_and_are_open_are_counted(autojump_clock: MockClock) -> None:
    class Fewer(Repair, name="repair", key="bike"):
        @starts
        def order_parts(self, asked: RepairAsked) -> Effects:
            yield after(timedelta(hours=1), RepairOverdue(asked.bike))

    found = await rehearsed(await journal_of(LIVE, RepairAsked("other", ("on its way", "on its way"))), Fewer)
    (group,) = found.groups.values()
    assert group.what == "no longer sends command store.fetch"
    assert group.commands_open == 3


async def test_commands_of_a_turn_that_fails_now_are_counted_where_they_are_open(autojump_clock: MockClock) -> None:
    class Failing(Repair, name="repair", key="bike"):
        @starts
        def order_parts(self, asked: RepairAsked) -> Effects:
            raise KeyError(asked.bike)

    (group,) = (await rehearsed(await journal_of(LIVE), Failing)).groups.values()
    assert group.what.startswith("fails: KeyError")
    assert group.commands_open == 1


async def test_acts_and_skipped_events_are_not_folded(autojump_clock: MockClock) -> None:
    journal = await journal_of(RepairAsked("a", ("bell",)), process=BrokenReaction)
    async with opened(journal, BrokenReaction) as runtime:
        await runtime.flow(Repair, "a").skip(by="ann", why="it is broken")
    found = await rehearsed(journal.reopened(), Repair)
    assert found.same
    assert {(look.type, look.then) for look in found.outlooks.values()} == {
        ("repair.overdue", "sends command store.tell_owner")
    }


async def test_what_waits_in_quarantine_is_tried(autojump_clock: MockClock) -> None:
    journal = await journal_of(RepairAsked("a", ("bell",)), process=BrokenReaction)
    mended, broken = await rehearsed(journal, Repair), await rehearsed(journal, BrokenReaction)
    (look,) = mended.outlooks.values()
    assert (look.quarantined, look.waits, look.type, look.fails) == (True, "event", "repair.part_counted", False)
    assert look.then == "cancels deadline repair.overdue, ends the flow as repaired"
    (look,) = broken.outlooks.values()
    assert look.fails
    assert "KeyError" in look.then
    assert (mended.same, broken.same) == (True, True)  # that it fails is known: nothing differs


async def test_an_armed_deadline_that_would_fail_differs(autojump_clock: MockClock) -> None:
    class BrokenDeadline(Repair, name="repair", key="bike"):
        @on
        def remind(self, overdue: RepairOverdue) -> Effects:
            raise ValueError(overdue.bike)

    found = await rehearsed(await journal_of(LIVE), BrokenDeadline)
    (one,) = said(found)
    assert one.what.startswith("the deadline that is armed: fails: ValueError")
    assert (one.live, found.differing) == (1, Count(1, 0))


async def test_an_armed_deadline_that_nothing_handles_differs(autojump_clock: MockClock) -> None:
    class Deaf(ProcessManager, name="repair", key="bike", concerns=(RepairOverdue,)):
        """As an older deployment: the deadline is known, and means nothing."""

        @starts
        def order_parts(self, asked: RepairAsked) -> Effects:
            yield FetchPart(asked.bike, asked.parts[0])

    class Deafer(ProcessManager, name="repair", key="bike"):
        @starts
        def order_parts(self, asked: RepairAsked) -> Effects:
            yield FetchPart(asked.bike, asked.parts[0])

    journal = await journal_of(RepairAsked("a", ("rare",)))
    assert said(await rehearsed(journal, Deaf)) == [Said("order_parts", "no longer sets deadline repair.overdue", 1, 0)]
    found = await rehearsed(journal, Deafer)
    assert [one.what for one in said(found)][1:] == [
        "the deadline that is armed: can't be read: no class has its name and version"
    ]
    assert found.refused is not None
    assert "repair.overdue" in found.refused


async def test_flows_of_a_process_that_is_not_there_are_counted_apart(autojump_clock: MockClock) -> None:
    class Elsewhere(Repair, name="elsewhere", key="bike"): ...

    found = await rehearsed(await journal_of(ENDED, LIVE), Elsewhere)
    assert (found.flows, found.unknown, found.same) == (Count(0, 0), {"repair": Count(1, 1)}, False)
    assert found.refused is not None
    gone = await rehearsed(await journal_of(ENDED), Elsewhere)
    assert (gone.unknown, gone.refused, gone.same) == ({"repair": Count(0, 1)}, None, True)


async def test_a_changed_schema_is_told_as_the_start_would(autojump_clock: MockClock) -> None:
    class Renamed(Command, name="store.tell_owner"):
        bicycle: str

    class Speaks(Repair, name="repair", key="bike"):
        @on
        def remind(self, overdue: RepairOverdue) -> Effects:
            yield FetchPart(overdue.bike, "news")

    journal = await journal_of(ENDED)
    registry = registry_of(Speaks)
    registry.commands["store.tell_owner"] = Renamed
    found = await Rehearser(journal, registry, SETTINGS, Selection()).run()
    assert found.refused is not None
    assert "another shape" in found.refused
    assert not found.same


SELECTED = [
    (Selection(status=("ended",)), Count(0, 3)),
    (Selection(status=("active", "quarantined")), Count(1, 0)),
    (Selection(limit=2), Count(1, 1)),
    (Selection(process="repair"), Count(1, 3)),
]


@pytest.mark.parametrize(("selection", "expected"), SELECTED)
async def test_only_what_is_selected_is_rehearsed(
    autojump_clock: MockClock, selection: Selection, expected: Count
) -> None:
    journal = await journal_of(LIVE, *(RepairAsked(f"ended {n}", ("bell",)) for n in range(3)))
    assert (await rehearsed(journal, Repair, selection)).flows == expected


async def test_examples_are_bounded_and_live_ones_come_first(autojump_clock: MockClock) -> None:
    bells = [RepairAsked(f"ended {n}", ("bell",)) for n in range(3)]
    journal = await journal_of(*bells, RepairAsked("live", ("bell", "rare")))
    (group,) = (await rehearsed(journal, OtherBell, Selection(examples=2))).groups.values()
    assert [example.flow for example in group.examples(2)] == ["repair/live", "repair/ended 0"]
    assert (len(group.ended_examples), group.flows) == (2, Count(1, 3))


async def test_a_process_that_nobody_knows_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(NotFound, match="no process 'nothing'"):
        await rehearsed(await journal_of(ENDED), Repair, Selection(process="nothing"))


async def test_nothing_is_written(autojump_clock: MockClock) -> None:
    journal = await journal_of(ENDED, LIVE)
    before = (await journal.heads(), await journal.counts())
    await rehearsed(journal, BrokenFold)
    assert (await journal.heads(), await journal.counts()) == before


async def test_it_reads_beside_a_running_owner(tmp_path: Path) -> None:
    async with open_runtime(tmp_path / "a.db", processes=[Repair], gateways=[Store()]) as runtime:
        await runtime.publish([ENDED, RepairAsked("live", ())])
        await runtime.drain()
        reader = await read_sqlite(str(tmp_path / "a.db"))
        found = await Rehearser(reader, registry_of(OtherBell), SETTINGS, Selection()).run()
        await reader.close()
        await runtime.publish(RepairAsked("later", ()))
    assert (found.flows, found.differing) == (Count(1, 1), Count(0, 1))


class OneStepBehind(MemoryJournal):
    """Flows as they were before their last step, as if they had moved while they were read."""

    async def flows(self, query: FlowQuery, after_flow: int, limit: int) -> list[FlowRow]:
        found = await super().flows(query, after_flow, limit)
        return [row._replace(version=row.version - 1) for row in found]


async def test_a_flow_that_goes_on_while_it_is_read_is_said_to_have_moved(autojump_clock: MockClock) -> None:
    journal = OneStepBehind()
    async with opened(journal) as runtime:
        await runtime.publish(LIVE)
        await trio.sleep(2)
        found = await rehearsed(journal, Repair)
    assert (found.moved, found.outlooks, found.same, found.steps) == (1, {}, True, 2)
