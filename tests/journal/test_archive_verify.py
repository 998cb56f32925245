"""What `verify` finds in a journal that was archived from, and in its archive files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from procession.journal import sqlite_verify
from procession.journal.archive_file import (
    ArchivedEvent,
    ArchivedFlow,
    ArchiveWriter,
    digest_of,
    read_events,
    read_flows,
    read_index,
)
from procession.journal.rows import Fault
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import ArchiveUnreadable, JournalUnwritable
from procession.testing.journal_rows import NOW_US, started
from tests.journal.archiving import archive, ending, made, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def archived(path: Path) -> None:
    """Two flows in one file, one in a second, and one that goes on."""
    journal = await made(path)
    await journal.commit(started(4, 10))
    await archive(journal, flows_max=2)
    await archive(journal)
    await journal.close_clean()


def plainly(path: Path, *statements: str) -> None:
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def faults(path: Path) -> set[str]:
    reader = await read_sqlite(path)
    try:
        return {fault.code for fault in await reader.verify()}
    finally:
        await reader.close()


def first_file(path: Path) -> Path:
    return Path(f"{path}.archive/000001.jsonl.gz")


async def test_a_sound_archive_has_no_fault(path: Path) -> None:
    await archived(path)
    assert await faults(path) == set()


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("update event_tombstone set crc = crc + 1 where first = 1", "archive_event"),
        ("update event_tombstone set crc = crc + 1 where first = 7", "event_crc"),
        ("update step_tombstone set crc = crc + 1 where first = 5", "step_crc"),
        ("update event_tombstone set last = last - 1 where first = 1", "archive_event"),
        ("update step_tombstone set number = number - 1 where first = 1", "archived_count"),
        ("delete from event_tombstone where first = 1", "archived_count"),
        ("update event_tombstone set last = 10 where first = 7", "event_tombstone"),
        ("update archived_flow set version = 3 where flow = 1", "archive_flow"),
        ("insert into archived_flow values (4, 1, 1)", "archived_rest"),
        ("delete from archived_flow where flow = 2", "flow_version"),
        ("update archived_count set number = 1 where kind = 'step'", "archived_count"),
        ("update archive set sha256 = zeroblob(32) where number = 2", "archive_file"),
        ("update flow set version = 5 where id = 1", "flow_version"),
    ],
)
async def test_what_was_changed_in_the_journal_is_found(path: Path, damage: str, code: str) -> None:
    await archived(path)
    plainly(path, damage)
    assert code in await faults(path)


def _truncated(content: bytes) -> bytes:
    return content[:-10]


def _flipped(content: bytes) -> bytes:
    return content[:400] + bytes([content[400] ^ 1]) + content[401:]


@pytest.mark.parametrize("damage", [_truncated, _flipped])
async def test_a_damaged_file_is_found(path: Path, damage: Callable[[bytes], bytes]) -> None:
    await archived(path)
    first_file(path).write_bytes(damage(first_file(path).read_bytes()))
    assert await faults(path) == {"archive_file"}


async def test_a_missing_file_is_found(path: Path) -> None:
    await archived(path)
    first_file(path).unlink()
    assert await faults(path) == {"archive_file"}


def _other_event(flows: list[ArchivedFlow], events: list[ArchivedEvent]) -> None:
    events[0] = events[0]._replace(row=events[0].row._replace(payload="{}"))


def _no_event(flows: list[ArchivedFlow], events: list[ArchivedEvent]) -> None:
    del events[1]


def _other_step(flows: list[ArchivedFlow], events: list[ArchivedEvent]) -> None:
    step = flows[0].steps[0]
    flows[0] = flows[0]._replace(steps=(step._replace(row=step.row._replace(name="other")), *flows[0].steps[1:]))


def _no_step(flows: list[ArchivedFlow], events: list[ArchivedEvent]) -> None:
    flows[0] = flows[0]._replace(steps=(flows[0].steps[0],))


def _no_flow(flows: list[ArchivedFlow], events: list[ArchivedEvent]) -> None:
    del flows[1]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_other_event, "archive_crc"),
        (_no_event, "archive_event"),
        (_other_step, "archive_crc"),
        (_no_step, "archive_flow"),
        (_no_flow, "archive_flow"),
    ],
)
async def test_a_file_that_was_made_again_with_other_rows_is_found(
    path: Path, change: Callable[[list[ArchivedFlow], list[ArchivedEvent]], None], code: str
) -> None:
    await archived(path)
    file = str(first_file(path))
    index = read_index(file)
    flows = [flow for block in index.flows for flow in read_flows(file, block)]
    events = [event for block in index.events for event in read_events(file, block)]
    change(flows, events)
    first_file(path).unlink()
    writer = ArchiveWriter(file, index.journal, index.number, NOW_US, 0o600)
    writer.add_flows(flows)
    writer.add_events(events)
    plainly(path, f"update archive set sha256 = x'{writer.finish().hex()}' where number = 1")
    assert code in await faults(path)


async def test_the_file_of_another_journal_is_found(path: Path) -> None:
    await archived(path)
    other = path.with_name("other.db")
    await archived(other)
    Path(f"{other}.archive/000001.jsonl.gz").replace(first_file(path))
    plainly(path, f"update archive set sha256 = x'{digest_of(str(first_file(path))).hex()}' where number = 1")
    assert await faults(path) == {"archive_file"}
    reader = await read_sqlite(path)
    with pytest.raises(ArchiveUnreadable, match="another journal"):
        await reader.steps(1, 0, 9)
    await reader.close()


async def test_tombstones_are_all_that_lets_a_row_go(path: Path) -> None:
    await archived(path)
    for table, place in (("event", "position"), ("step", "seq")):
        with pytest.raises(sqlite3.IntegrityError, match="only archived"):
            plainly(path, f"delete from {table} where {place} = (select max({place}) from {table})")
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            plainly(path, f"update {table} set {place} = {place}")


async def test_nothing_goes_that_the_file_does_not_have(path: Path) -> None:
    journal = await made(path)

    def die() -> None:
        if first_file(path).exists() and journal.archives.strangers(set()):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await archive(journal, before_slice=die)
    await journal.close_clean()
    plainly(
        path,
        "drop trigger step_unchanged",
        f"insert into archive values (1, x'{digest_of(str(first_file(path))).hex()}', 1, 3, 6, 3, 9, 3, 0, 0, 0)",
        "update step set name = 'other' where seq = 3",
    )
    journal = await opened(path)
    with pytest.raises(ArchiveUnreadable, match="other steps"):
        await archive(journal)
    assert len(await journal.steps(2, 0, 9)) == 2
    await journal.close()


async def test_a_backup_of_a_damaged_archive_is_refused_and_leaves_nothing(path: Path) -> None:
    await archived(path)
    first_file(path).write_bytes(_flipped(first_file(path).read_bytes()))
    reader = await read_sqlite(path)
    copy = path.with_name("copy.db")
    with pytest.raises(ArchiveUnreadable, match="SHA-256"):
        await reader.backup(str(copy))
    assert not [found.name for found in path.parent.iterdir() if found.name.startswith("copy")]
    path.with_name("copy.db.archive").mkdir()
    with pytest.raises(JournalUnwritable, match="overwrites nothing"):
        await reader.backup(str(copy))
    await reader.close()


async def test_a_backup_whose_copy_is_not_what_was_read_is_refused_and_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archived(path)
    reader = await read_sqlite(path)
    copy = path.with_name("copy.db")

    def flipped(origin: str, target: str) -> None:
        Path(target).write_bytes(_flipped(Path(origin).read_bytes()))

    monkeypatch.setattr("procession.journal.sqlite_backup.shutil.copyfile", flipped)
    with pytest.raises(JournalUnwritable, match=r"copy\.db\.archive.*its SHA-256 differs"):
        await reader.backup(str(copy))
    assert not [found.name for found in path.parent.iterdir() if found.name.startswith("copy")]
    await reader.close()


async def test_a_run_that_was_not_ended_is_sound(path: Path) -> None:
    journal = await made(path, 4)
    await journal.commit(ending(13, 1, version=3))
    slices = []

    def die() -> None:
        slices.append(1)
        if len(slices) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await archive(journal, before_slice=die, slice_s=0)
    assert await journal.verify() == []
    await journal.close()


async def test_a_check_beside_an_owner_that_archives_finds_no_damage(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_verify, "SLICE_ROWS", 10)
    found: list[Fault] = []
    for turn in range(1, 9):  # it is archived after so many questions
        journal = await made(path.with_name(f"{turn}.db"), 30)
        reader = await read_sqlite(path.with_name(f"{turn}.db"))
        asked = 0
        for check in sqlite_verify.checks(reader.archives):
            while (faults := await reader.ask(check)) is not None:
                found += faults
                asked += 1
                if asked == turn:
                    await archive(journal)
        await reader.close()
        await journal.close()
    assert found == []
