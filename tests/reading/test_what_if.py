"""What would have come of an edited history: found in a second process, with nothing done."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import trio

from procession import Effects, Event, ProcessManager, starts
from procession.errors import InvalidPayload, NotFound
from procession.journal.memory import MemoryJournal
from procession.primitives.codec import from_json, to_json
from procession.reading.what_if import Runs, read_what_if, second_process
from procession.reading.what_if_answer import Edit, WhatIf
from procession.reading.what_if_child import replied
from procession.reading.what_if_job import Job, Reply
from procession.search_errors import WhatIfRefused
from tests.reading.repair import Repair, RepairAsked, opened, registry_of

BELL = RepairAsked("b", ("bell",))


class Endless(ProcessManager, name="repair", key="bike"):
    """It does not come back from a bike without parts."""

    @starts
    def ask(self, asked: RepairAsked) -> Effects:
        while not asked.parts:
            pass
        yield from ()


async def journal_of(*events: Event, process: type[ProcessManager] = Repair) -> MemoryJournal:
    journal = MemoryJournal()
    async with opened(journal, process) as runtime:
        await runtime.publish(list(events))
        await runtime.drain()
    return journal.reopened()


async def here(job: Job) -> Reply:
    """Without a second process, which takes a second to start."""
    reply: Reply = from_json(to_json(replied(from_json(to_json(job)))))
    return reply


async def what_if(
    *edits: Edit, events: Sequence[Event] = (BELL,), process: type[ProcessManager] = Repair, runs: Runs = here
) -> WhatIf:
    journal = await journal_of(*events, process=process)
    return await read_what_if(journal, registry_of(process), "repair", "b", edits, effects_max=1_000, runs=runs)


async def test_a_changed_event_asks_for_other_commands_and_its_answers_are_orphans() -> None:
    found = await what_if(Edit(kind="change", at=1, data={"bike": "b", "parts": []}))
    assert found.commands_gone == ({"command": "store.fetch", "bike": "b", "part": "bell"},)
    assert (found.commands_new, found.timers_gone, found.same) == ((), (), False)
    assert [(step.at, step.edit, step.orphan) for step in found.steps] == [(1, "changed", False), (2, "", True)]
    assert (found.outcome_before, found.outcome_after) == ("repaired", "repaired")


async def test_a_dropped_event_leaves_out_what_followed_from_it() -> None:
    found = await what_if(Edit(kind="drop", at=2))
    assert [(step.at, step.type, step.edit, step.before, step.after) for step in found.steps] == [
        (2, "repair.part_fetched", "dropped", "fetched", ""),
        (3, "repair.part_counted", "", "count", ""),
    ]
    assert (found.outcome_before, found.outcome_after) == ("repaired", None)
    assert [change.path for change in found.state] == ["$.missing[0]"]


async def test_an_inserted_event_changes_what_comes_after_it() -> None:
    found = await what_if(Edit(kind="insert", at=2, type="repair.closed", data={"bike": "b"}))
    assert [(step.at, step.edit, step.after) for step in found.steps] == [
        (2, "inserted", "close"),
        (2, "", "late"),
        (3, "", ""),
    ]
    assert found.outcome_after == "closed"


async def test_a_fact_is_changed_where_the_flow_records_it() -> None:
    found = await what_if(Edit(kind="change", at=3, data={"bike": "b", "part": "horn", "left": 0}))
    assert ([step.at for step in found.steps], found.outcome_after) == ([3], None)


async def test_the_same_history_differs_in_nothing() -> None:
    found = await what_if(Edit(kind="change", at=1, data={"bike": "b", "parts": ["bell"]}))
    assert (found.same, [step.edit for step in found.steps], found.steps_same) == (True, ["changed"], 2)


@pytest.mark.slow
async def test_a_handler_that_goes_on_for_ever_is_ended_with_its_process() -> None:
    edit, runs = Edit(kind="change", at=1, data={"bike": "b", "parts": []}), partial(second_process, budget_s=1.5)
    with trio.fail_after(60):
        with pytest.raises(WhatIfRefused, match=r"no answer within 1\.5 s"):
            await what_if(edit, process=Endless, runs=runs)


@pytest.mark.slow
async def test_a_second_process_finds_what_this_one_finds() -> None:
    edit = Edit(kind="insert", at=2, type="repair.closed", data={"bike": "b"})
    assert await what_if(edit, runs=partial(second_process, budget_s=60)) == await what_if(edit)


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (Edit(kind="change", at=4, data={}), WhatIfRefused),
        (Edit(kind="drop", at=0), WhatIfRefused),
        (Edit(kind="insert", at=5, type="repair.closed", data={"bike": "b"}), WhatIfRefused),
        (Edit(kind="insert", at=1), WhatIfRefused),
        (Edit(kind="insert", at=1, type="repair.closed", data={"bike": "c"}), WhatIfRefused),
        (Edit(kind="change", at=1, data={"bike": 7}), InvalidPayload),
    ],
)
async def test_an_edit_that_does_not_fit_is_refused(edit: Edit, error: type[Exception]) -> None:
    with pytest.raises(error):
        await what_if(edit)


async def test_of_what_is_not_there_there_is_no_what_if() -> None:
    with pytest.raises(NotFound):
        await what_if(Edit(kind="drop", at=1), events=[RepairAsked("other", ())])
    with pytest.raises(WhatIfRefused):
        await what_if()
