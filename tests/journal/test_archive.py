"""Archiving: what goes, what stays, and that both together read as if nothing had happened."""

from __future__ import annotations

import gzip
import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio

from procession.journal.archiver import Archiver, survey
from procession.journal.rows import Commit, ConcernRow, FlowQuery, Heads, UnhandledRow
from procession.journal.sqlite import SqliteJournal
from procession.journal.sqlite_archive import ArchiveQuery, ArchiveRow
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import ArchiveUnreadable, CommitRejected, JournalUnwritable
from procession.testing.journal_rows import (
    NOW_US,
    PROCESS,
    command,
    command_effect,
    delivery,
    event,
    flow,
    id_of,
    started,
    step,
    timer,
    timer_effect,
)
from tests.journal.archiving import LONG_AGO, archive, ending, everything, made, opened, shared


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def rows_of(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute(f"select count(*) from {table}").fetchone()[0]
    return found


async def test_what_was_archived_reads_as_before(path: Path) -> None:
    journal = await made(path)
    await journal.commit(started(4, 10))
    before = await everything(journal)

    done = await archive(journal)

    assert (done.flows, done.events, done.files) == (3, 9, 1)
    assert await everything(journal) == before
    assert await journal.verify() == []
    await journal.close_clean()
    assert {table: rows_of(path, table) for table in ("event", "step", "command", "flow")} == {
        "event": 1,
        "step": 1,
        "command": 0,
        "flow": 4,
    }


async def test_a_journal_whose_every_event_was_archived_goes_on(path: Path) -> None:
    journal = await made(path)
    await archive(journal)
    await journal.close_clean()

    journal = await opened(path)
    assert await journal.heads() == Heads(9, 3, 3, 9)
    await journal.commit(started(4, 10))
    await journal.reopen()
    await journal.commit(started(5, 11))
    assert await journal.verify() == []
    await journal.close()


async def test_a_reader_beside_the_owner_sees_what_was_archived(path: Path) -> None:
    journal = await made(path)
    reader = await read_sqlite(path)
    before = await everything(reader)
    await archive(journal)
    assert await everything(reader) == before
    assert await reader.verify() == []
    await reader.close()
    await journal.close()


async def test_ids_of_archived_events_are_known_and_unique(path: Path) -> None:
    journal = await made(path)
    await archive(journal)
    found = await journal.look_up([("shop", "s1"), ("shop", "late2"), ("shop", "new")], [(PROCESS, "k1")])
    assert found.ids == {("shop", "s1"): (1, id_of("digest", "s1")), ("shop", "late2"): (6, id_of("digest", "late2"))}
    assert found.flows == {(PROCESS, "k1"): flow(1, 2, status="ended")}
    with pytest.raises(CommitRejected, match="exists at position 1"):
        await journal.commit(Commit(events=[event(10, source_id="s1")]))
    assert (await journal.heads()).position == 9
    await journal.close()


async def test_only_flows_that_nothing_is_open_of_go(path: Path) -> None:
    journal = await opened(path)
    asked = ending(1, 1)
    asked.steps = [step(1, 1, 1, command_effect(1, 1))]
    asked.commands = [command(1, 1, 1)]
    delivered = ending(2, 2)
    delivered.events.append(event(3, "k2"))
    delivered.deliveries = {(2, 3): delivery(2, 3)}
    for commit in (asked, delivered, started(3, 4), ending(5, 4)):
        await journal.commit(commit)
    assert await survey(journal, LONG_AGO) == await survey(journal, LONG_AGO, 1)
    assert (await archive(journal)).flows == 1
    assert [row.id for row in await journal.flows(FlowQuery(status=("ended",)), 0, 9)] == [1, 2, 4]
    assert [found.step.version for found in await journal.steps(4, 0, 9)] == [1]
    assert await journal.verify() == []
    await journal.close()
    assert rows_of(path, "archived_flow") == 1


async def test_age_process_and_limit_say_what_goes(path: Path) -> None:
    journal = await made(path)
    assert (await archive(journal, ArchiveQuery(NOW_US))).flows == 0
    assert (await archive(journal, ArchiveQuery(LONG_AGO.ended_before_us, "other"))).flows == 0
    assert (await archive(journal, ArchiveQuery(LONG_AGO.ended_before_us, PROCESS), flows_max=2)).flows == 2
    assert (await archive(journal)).flows == 1
    assert (await archive(journal)).files == 0
    assert await journal.verify() == []
    await journal.close()


async def test_an_event_goes_with_the_last_flow_that_needs_it(path: Path) -> None:
    journal = await opened(path)
    both = ending(1, 1)
    both.events = [shared(1, "k1", "k2")]
    both.steps.append(step(2, 1, 1))
    both.flows[2] = flow(2, 1)
    await journal.commit(both)

    assert (await archive(journal)).events == 0
    assert [found.event.position for found in (await journal.load(PROCESS, "k2", 9)).steps] == [1]
    assert [found.event.position for found in await journal.steps(1, 0, 9)] == [1]
    await journal.commit(ending(2, 2, version=2))
    before = await everything(journal)
    assert (await archive(journal)).events == 2
    assert await everything(journal) == before
    assert await journal.verify() == []
    await journal.close()


async def test_an_event_that_a_process_came_to_later_stays(path: Path) -> None:
    journal = await made(path)
    await journal.commit(Commit(concerns=[ConcernRow("billing", "order.paid", 4)]))
    assert (await archive(journal)).events == 4, "those that billing was never concerned by"
    assert await journal.verify() == []
    await journal.close()


async def test_what_comes_after_a_flow_was_archived_is_late_and_stays(path: Path) -> None:
    journal = await made(path)
    await archive(journal)
    late = Commit(events=[event(10, "k1")], unhandled=[UnhandledRow(10, PROCESS, "k1", "late")])
    await journal.commit(late)
    assert [row.position for row in await journal.unhandled(PROCESS, "k1", 0, 9)] == [3, 10]
    assert [row.position for row in await journal.events(8, 9)] == [9, 10]
    assert await journal.verify() == []
    await journal.close()


async def test_a_flow_that_got_steps_after_it_was_archived_is_archived_again(path: Path) -> None:
    journal = await made(path)
    await archive(journal)
    await journal.commit(ending(10, 2, version=3))
    before = await everything(journal)
    assert [found.step.version for found in before["steps"][2]] == [1, 2, 3]
    assert await journal.verify() == []
    assert (await archive(journal)).flows == 1
    assert await everything(journal) == before
    assert await journal.verify() == []
    await journal.close()


async def test_a_flow_that_changes_while_its_file_is_made_stays_whole(path: Path) -> None:
    journal = await made(path)

    async def change(row: ArchiveRow) -> None:
        await journal.commit(ending(10, 2, version=3))

    assert (await archive(journal, log=change)).flows == 2
    assert [found.step.version for found in (await journal.load(PROCESS, "k2", 9)).steps] == [1, 2, 3]
    assert await journal.verify() == []
    assert (await archive(journal)).flows == 1
    assert await journal.verify() == []
    await journal.close()


class Stopped(Exception):  # noqa: N818 - a stand-in for a process that dies
    pass


async def test_a_run_that_ends_at_any_transaction_is_taken_up_by_the_next(path: Path) -> None:
    journal = await made(path, 8)
    before = await everything(journal)
    for lives in range(1, 200):
        left = [lives % 4]

        def die() -> None:
            left[0] -= 1  # noqa: B023 - read before the next round
            if left[0] < 0:  # noqa: B023 - as above
                raise Stopped

        try:
            await archive(journal, file_flows_max=4, block_flows_max=1, slice_s=0, before_slice=die)
        except Stopped:
            assert await everything(journal) == before
            assert await journal.verify() == []
            continue
        break
    done = await archive(journal)
    assert done.flows == 0
    assert await everything(journal) == before
    assert await journal.verify() == []
    await journal.close()
    assert (rows_of(path, "event"), rows_of(path, "archive")) == (0, 2)


async def test_a_run_that_is_stopped_goes_on_later(path: Path) -> None:
    journal = await made(path, 8)
    before = await everything(journal)
    told: list[int] = []
    archiver = Archiver(journal, NOW_US, slice_s=0, block_flows_max=1, on_progress=lambda done: told.append(done.flows))

    done = await archiver.run(LONG_AGO, stopped=lambda: len(told) >= 3)

    assert (done.flows, told) == (3, [1, 2, 3])
    assert await everything(journal) == before
    assert (await archive(journal)).resumed == 1
    assert await everything(journal) == before
    assert await journal.verify() == []
    await journal.close()


async def test_a_folder_that_can_not_be_made_is_told(path: Path) -> None:
    journal = await made(path)
    Path(f"{path}.archive").write_text("in the way")
    with pytest.raises(JournalUnwritable, match="exists"):
        await archive(journal)
    assert await journal.verify() == []
    await journal.close()


async def test_files_that_were_half_made_are_removed(path: Path) -> None:
    journal = await made(path)
    folder = Path(f"{path}.archive")
    folder.mkdir()
    (folder / "000001.jsonl.gz.half").write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    await archive(journal)
    assert sorted(found.name for found in folder.iterdir()) == ["000001.jsonl.gz", "notes.txt"]
    await journal.close()


async def test_a_file_that_the_journal_does_not_name_is_made_anew(path: Path) -> None:
    journal = await made(path)

    def die() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        await archive(journal, before_slice=die)
    assert Path(f"{path}.archive/000001.jsonl.gz").exists()
    assert (await archive(journal)).flows == 3
    assert await journal.verify() == []
    await journal.close()


async def test_a_folder_with_the_files_of_another_journal_is_left_alone(path: Path) -> None:
    other = await made(path.with_name("other.db"))
    await archive(other)
    await other.close()
    folder = Path(f"{path}.archive")
    path.with_name("other.db.archive").rename(folder)
    journal = await made(path)
    with pytest.raises(ArchiveUnreadable, match="another journal"):
        await archive(journal)
    assert (folder / "000001.jsonl.gz").exists()
    await journal.close()


async def test_a_file_is_plain_gzip_of_json_lines(path: Path) -> None:
    journal = await made(path)
    await archive(journal)
    await journal.close()
    with gzip.open(f"{path}.archive/000001.jsonl.gz", "rt") as file:
        lines = [json.loads(line) for line in file]
    assert lines[0]["procession_archive"] == 1
    assert [line["flow"][:3] for line in lines if "flow" in line] == [[n, PROCESS, f"k{n}"] for n in (1, 2, 3)]
    assert [line["event"][0] for line in lines if "event" in line] == list(range(1, 10))


async def test_the_engine_works_on_while_an_archive_file_is_missing(path: Path) -> None:
    journal = await made(path)
    await archive(journal)
    await journal.close_clean()
    Path(f"{path}.archive/000001.jsonl.gz").unlink()
    journal = await opened(path)
    assert (await journal.load(PROCESS, "k1", 9)).row == flow(1, 2, status="ended")
    assert (await journal.look_up([("shop", "s1")], [])).ids
    await journal.commit(started(4, 10))
    assert [row.position for row in await journal.events(9, 9)] == [10]
    for read in (journal.steps(1, 0, 9), journal.commands(1, 0, 9), journal.events(0, 9)):
        with pytest.raises(ArchiveUnreadable, match="not there"):
            await read
    await journal.close()


async def test_compaction_gives_the_room_back(path: Path) -> None:
    journal = await made(path, 300)
    await journal.checkpoint()
    size = path.stat().st_size
    before = await everything(journal)
    await archive(journal)
    await journal.compact()
    assert path.stat().st_size < 0.6 * size
    assert await everything(journal) == before
    assert await journal.verify() == []
    await journal.commit(started(301, 901))
    await journal.close_clean()


async def test_commits_go_on_between_the_slices(path: Path) -> None:
    journal = await made(path, 300)
    seen: list[int] = []
    over = trio.Event()

    async def write() -> None:
        number = 300
        while not over.is_set():
            number += 1
            await journal.commit(started(number, 600 + number))
            seen.append(rows_of(path, "archived_flow"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await archive(journal, slice_s=0, pause_s=0.001)
        over.set()
    assert len(set(seen)) > 1, "some were written before, some after a slice"
    assert await journal.verify() == []
    await journal.close()


async def test_a_backup_has_the_archive_files_too(path: Path) -> None:
    journal = await made(path)
    await archive(journal)
    copy = path.with_name("copy.db")
    await journal.backup(str(copy))
    reader = await read_sqlite(copy)
    assert await everything(reader) == await everything(journal)
    assert await reader.verify() == []
    await reader.close()
    await journal.close()


@pytest.mark.parametrize("seed", range(12))
async def test_any_history_archived_in_any_portions_reads_as_before(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    journal = await opened(path)
    await _random_history(journal, chance)
    before = await everything(journal)
    gone = 1
    while gone:
        file, block, flows = chance.randint(2, 6), chance.randint(1, 3), chance.randint(2, 8)
        done = await archive(journal, file_flows_max=file, block_flows_max=block, flows_max=flows, slice_s=0)
        gone = done.flows
        assert await journal.verify() == []
        assert await everything(journal) == before
    await journal.close_clean()


async def _random_history(journal: SqliteJournal, chance: random.Random) -> None:
    """Flows that share events, end or go on, with late events and events that concern nobody; gaps in positions."""
    versions = dict.fromkeys(range(1, 13), 0)
    ended: set[int] = set()
    position = 0
    for _ in range(40):
        position += chance.choice((1, 1, 1, 3))
        numbers = sorted(chance.sample(sorted(versions), chance.choice((0, 1, 1, 2, 3))))
        commit = Commit(events=[shared(position, *(f"k{number}" for number in numbers))])
        commit.unhandled = [
            UnhandledRow(position, PROCESS, f"k{number}", "late") for number in numbers if number in ended
        ]
        for number in [number for number in numbers if number not in ended]:
            versions[number] += 1
            ended |= {number} if chance.random() < 0.4 else set()
            commit.steps.append(step(number, versions[number], position))
            status = "ended" if number in ended else "active"
            commit.flows[number] = flow(number, versions[number], status=status)  # type: ignore[arg-type]  # one of two
        await journal.commit(commit)


async def test_a_timer_keeps_its_flow(path: Path) -> None:
    journal = await opened(path)
    commit = ending(1, 1)
    commit.steps = [step(1, 1, 1, timer_effect(1, "overdue", 9))]
    commit.timers = {(1, "overdue"): timer(1, "overdue", 9)}
    await journal.commit(commit)
    assert (await archive(journal)).flows == 0
    await journal.close()


async def test_an_event_stays_for_a_flow_that_was_archived_before_and_waits_for_it(path: Path) -> None:
    journal = await made(path, 1)
    await archive(journal)
    waiting = ending(4, 2)
    waiting.events[0] = shared(4, "k1", "k2")
    waiting.flows[1] = flow(1, 2, status="quarantined")._replace(reason="late")
    waiting.deliveries[1, 4] = delivery(1, 4, "quarantined")
    await journal.commit(waiting)
    await archive(journal)
    assert [found.event.position for found in await journal.deliveries(1, 0, 9, ("quarantined",))] == [4]
    assert await journal.verify() == []
    await journal.close()


async def test_an_event_stays_for_a_step_of_a_flow_whose_beginning_was_archived(path: Path) -> None:
    journal = await made(path, 1)
    await archive(journal)
    both = ending(4, 2)
    both.events[0] = shared(4, "k1", "k2")
    both.steps.append(step(1, 3, 4))
    both.flows[1] = flow(1, 3, status="ended")._replace(updated_us=NOW_US + 10**12)  # it is too new to go again
    await journal.commit(both)
    before = await everything(journal)
    await archive(journal)
    assert await everything(journal) == before
    assert await journal.verify() == []
    await journal.close()
