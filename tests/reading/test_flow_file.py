"""A flow exported as lines and imported again: the same flow, which can be read, checked and rehearsed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from procession import Event
from procession.errors import NotFound
from procession.journal.memory import MemoryJournal
from procession.journal.rows import OpenCommand
from procession.journal.sqlite import open_sqlite
from procession.reading.flow_contents import forked, read_contents
from procession.reading.flow_file import FlowFile, flow_lines, import_flow, read_flow_file
from procession.reading.rehearsal import Rehearser, Selection
from procession.reading.timeline import read_timeline
from procession.search_errors import ImportRefused
from tests.reading.repair import SETTINGS, PartFetched, RepairAsked, RepairClosed, journal_of, opened, registry_of

parts = st.lists(st.sampled_from(["bell", "lamp", "sold out", "on its way"]), max_size=3).map(tuple)
happened = st.lists(
    st.builds(RepairAsked, st.just("b"), parts)
    | st.builds(PartFetched, st.just("b"), st.sampled_from(["bell", "horn"]))
    | st.builds(RepairClosed, st.just("b")),
    min_size=1,
    max_size=4,
)


async def exported(journal: MemoryJournal, key: str = "b") -> FlowFile:
    return FlowFile(journal.id, await read_contents(journal, "repair", key))


async def imported(file: FlowFile) -> MemoryJournal:
    journal = MemoryJournal(journal_id=file.journal_id)
    await import_flow(journal, file)
    return journal


@pytest.mark.slow
@given(happened)
@settings(max_examples=25)
def test_a_flow_that_is_imported_is_the_one_that_was_exported(events: list[Event]) -> None:
    async def there_and_back() -> None:
        journal = await journal_of(*events)
        if (await journal.load("repair", "b", 0)).row is None:
            return
        file = await exported(journal)
        read = read_flow_file(flow_lines(file))
        assert read == file
        copy = await imported(read)
        assert await exported(copy) == file
        assert await read_timeline(copy, "repair", "b") == await read_timeline(journal, "repair", "b")

    trio.run(there_and_back, clock=MockClock(autojump_threshold=0))


@pytest.mark.slow
@given(happened, st.data())
@settings(max_examples=25)
def test_a_fork_is_the_flow_as_it_was_and_the_code_takes_its_steps_again(
    events: list[Event], data: st.DataObject
) -> None:
    async def fork() -> None:
        journal = await journal_of(*events)
        row = (await journal.load("repair", "b", 0)).row
        if row is None or row.version == 0:
            return
        file = await exported(journal)
        at = data.draw(st.integers(1, row.version))
        copy = await imported(FlowFile(file.journal_id, forked(file.contents, at)))
        assert len(await copy.steps(row.id, 0, 99)) == at
        rehearsal = await Rehearser(copy, registry_of(), SETTINGS, Selection()).run()
        assert (rehearsal.groups, rehearsal.refused, rehearsal.steps) == ({}, None, at)

    trio.run(fork, clock=MockClock(autojump_threshold=0))


async def test_a_fork_goes_on_in_a_runtime_as_the_flow_did_not(autojump_clock: MockClock) -> None:
    file = await exported(await journal_of(RepairAsked("b", ("bell",)), RepairClosed("b")))
    assert file.flow.outcome == "repaired"
    fork = forked(file.contents, 1)
    assert ([row.state for row in fork.commands], [row.name for row in fork.timers]) == (["open"], ["repair.overdue"])
    async with opened(await imported(FlowFile(file.journal_id, fork))) as runtime:
        assert await runtime.flow("repair", "b").wait_ended() == "repaired"


async def test_an_imported_flow_is_sound_in_a_file_and_other_flows_of_its_events_are_lost(tmp_path: Path) -> None:
    lines = b"".join(flow_lines(await exported(await a_journal_in_memory())))
    both = lines.replace(rb"{\"repair\":[\"b\"]}", rb"{\"repair\":[\"b\"],\"shop\":[\"s1\"]}", 1)
    file = read_flow_file(both.splitlines())
    journal = await open_sqlite(tmp_path / "flow.db", clock_us=lambda: 1, new_id=file.journal_id)
    await import_flow(journal, file)
    assert (await journal.verify(), journal.id) == ([], file.journal_id)
    lost = await journal.unhandled(None, None, 0, 9)
    assert [(row.process, row.key, row.reason) for row in lost] == [("shop", "s1", "lost")]
    await journal.close()


async def test_a_flow_that_never_rests_is_cut_before_its_last_step(autojump_clock: MockClock) -> None:
    journal = await journal_of(RepairAsked("b", ("on its way",)))
    ask = journal.commands

    async def commands(flow: int, after_seq: int, limit: int) -> list[OpenCommand]:
        async with opened(journal.reopened()) as runtime:  # a step, and then another command, after its steps were read
            await runtime.publish(PartFetched("b", "horn"))
            await trio.sleep(600)
        return await ask(flow, after_seq, limit)

    journal.commands = commands  # type: ignore[method-assign]
    file = read_flow_file(flow_lines(await exported(journal)))
    copy = await imported(file)
    assert await copy.verify() == []
    assert len(file.contents.steps) > 20


async def a_journal_in_memory() -> MemoryJournal:
    """Of one flow, without a virtual clock: that does not fit a thread that waits for a disk."""
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish(RepairAsked("b", ("bell",)))
        await runtime.flow("repair", "b").wait_ended()
    return journal.reopened()


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        (1, b"{}", "a head of format"),
        (1, b'{"procession_flow":1,"journal":"00"}', "id of its journal"),
        (2, b"[]", "no row"),
        (2, b"{", "no JSON"),
        (2, b'{"event":{"position":1}}', "has not the fields"),
        (2, b'{"step":{"flow":1,"version":"1","position":1,"outcome":"handled","name":"x","effects":null}}', "version"),
        (2, b'{"step":{"flow":1,"version":1,"position":1,"outcome":"done","name":"x","effects":null}}', "outcome"),
        (2, b'{"step":{"flow":1,"version":1,"position":1,"outcome":"act","name":"x","effects":"{}"}}', "effects"),
        (2, b'{"concern":{"process":"p","type":"t","since":0}}', "0 flows"),
    ],
)
async def test_what_is_no_flow_is_refused_with_the_line(line: int, text: bytes, says: str) -> None:
    head = b'{"procession_flow":1,"journal":"00000000000000000000000000000000"}'
    with pytest.raises(ImportRefused, match=says) as refused:
        read_flow_file([head, text][-line:] if line == 1 else [head, text])
    assert refused.value.line == line


async def test_of_a_step_that_is_not_there_is_no_fork(autojump_clock: MockClock) -> None:
    file = await exported(await journal_of(RepairClosed("b"), RepairAsked("b", ())))
    with pytest.raises(NotFound):
        forked(file.contents, 9)


async def test_a_flow_that_goes_on_while_it_is_exported_is_of_one_moment(autojump_clock: MockClock) -> None:
    journal = await journal_of(RepairAsked("b", ("on its way",)))
    ask, goes_on = journal.commands, [True]

    async def commands(flow: int, after_seq: int, limit: int) -> list[OpenCommand]:
        if goes_on:  # its steps were read; now its deadline falls due
            goes_on.clear()
            async with opened(journal.reopened()):
                await trio.sleep(3_700)
        return await ask(flow, after_seq, limit)

    journal.commands = commands  # type: ignore[method-assign]
    file = await exported(journal)
    assert {row.type for row in file.contents.commands} == {"store.fetch", "store.tell_owner"}
    assert {row.position for row in file.contents.commands} <= {step.position for step in file.contents.steps}
    copy = await imported(file)
    assert await copy.verify() == []
