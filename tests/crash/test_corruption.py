"""Damage is noticed or changes nothing, and what a salvage keeps is what was there."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from procession import open_runtime
from procession.journal.salvage import salvage
from procession.journal.sqlite_reader import read_sqlite
from procession.journal_errors import JournalDamaged
from tests.crash import salvage_faults
from tests.crash.corrupting import HARMLESS, forgiven, layer_of, look, run
from tests.crash.damaged_case import Case, make, rows_of
from tests.crash.damages import HEAD_DAMAGES, OF_A_LOG, PAGE_BYTES, Moment, lay
from tests.crash.salvage_faults import Plant
from tests.fixtures.journals.parcel_v1 import Couriers, Parcel, ParcelPosted, ParcelScanned

SMALL = {"bit flip": 12, "page swap": 4, "zeroed page": 4, "truncation at a page": 4, "truncation anywhere": 4}
HIT = b'{"parcel":"shut-0","place":"van"}'
GIVEN_UP = "update command set state = 'given_up' where seq = 1"
WAITS = "insert into delivery values ((select id from flow where key = 'home-2'), 1, 'pending', null, 0)"
FORGIVEN = {f"{table}.{column}" for table, columns in HARMLESS.items() for column in columns}


@pytest.fixture
async def case(tmp_path: Path) -> Case:
    await make(tmp_path / "made.db", 10)
    return await Case.of(tmp_path / "made.db")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def hit(case: Case) -> bytes:
    """One bit of one event of one flow is another."""
    content = bytearray(case.content)
    content[content.index(HIT) + len(HIT) - 3] ^= 1
    return bytes(content)


def changed(case: Case, path: Path, statement: str) -> bytes:
    """Rows are as SQL says, and their indexes with them."""
    lay(path, case.content, None)
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount
    content = path.read_bytes()
    path.unlink()
    return content


@pytest.mark.searches
async def test_damage_is_noticed_or_changes_nothing_and_what_a_salvage_keeps_is_what_was_there(
    case: Case, work: Path
) -> None:
    seen = [one for of_kind in (await run(case, work, 1, SMALL)).values() for one in of_kind]
    assert [one for one in seen if one.layer == "missed" and not forgiven(one)] == []
    assert [one.breaches for one in seen if one.breaches] == []
    assert sum(one.kept is not None for one in seen) > 10


async def test_a_check_without_checksums_misses_what_the_real_one_finds(case: Case, work: Path) -> None:
    (work / "damaged.db").write_bytes(hit(case))
    assert layer_of(work / "damaged.db", case.rows)[0] == "chain"
    assert layer_of(work / "damaged.db", case.rows, chains=False) == ("missed", frozenset({"event.payload"}))


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_whichever_page_is_lost_the_rest_is_salvaged(case: Case, work: Path) -> None:
    shares = []
    for at in range(PAGE_BYTES, len(case.content), PAGE_BYTES):
        content = case.content[:at] + bytes(PAGE_BYTES) + case.content[at + PAGE_BYTES :]
        seen = await look(case, work, content)
        assert seen.breaches == [], at // PAGE_BYTES
        assert seen.layer != "missed"
        shares.append(seen.kept)
    kept = [share for share in shares if share is not None]
    assert len(kept) >= len(shares) - 4, "the pages of the schema, and that of the journal's id, are all that can't go"
    assert sum(kept) / len(kept) > 0.8


async def test_an_older_log_that_is_put_back_is_noticed_or_changes_nothing(tmp_path: Path, work: Path) -> None:
    await make(tmp_path / "a.db", 5)
    async with open_runtime(tmp_path / "a.db", processes=[Parcel], gateways=[Couriers()]) as runtime:
        await runtime.publish(ParcelPosted("late-1", Decimal(1)))
        await runtime.drain()
        shutil.copy(tmp_path / "a.db-wal", work / "old-wal")
        await runtime.publish([ParcelScanned("late-1", place) for place in ("hub", "van", "door")])
        await runtime.drain()
    case = await Case.of(tmp_path / "a.db")
    shutil.copy(tmp_path / "a.db", work / "damaged.db")
    shutil.copy(work / "old-wal", work / "damaged.db-wal")
    layer, differing = layer_of(work / "damaged.db", case.rows)
    assert layer != "missed" or differing <= FORGIVEN


@pytest.mark.searches
async def test_what_is_done_to_a_log_is_noticed_and_what_is_done_to_a_head_file_refuses_nothing(
    tmp_path: Path, work: Path
) -> None:
    moments: list[Moment] = []
    await make(tmp_path / "a.db", 5, moments)
    killed = await Case.killed(tmp_path / "killed.db", moments)
    seen = await run(killed, work, 1, dict.fromkeys(OF_A_LOG, 4))
    layers = {name: {one.layer for one in of_kind} for name, of_kind in seen.items()}
    assert [one.breaches for of_kind in seen.values() for one in of_kind if one.breaches] == []
    assert layers["log deleted"] == {"open"}
    assert not {"earlier", "missed"} & set().union(*layers.values())
    assert [layers[name] for name in HEAD_DAMAGES] == [{"equal"}] * len(HEAD_DAMAGES)


async def test_an_owner_that_does_not_look_at_the_head_file_misses_what_the_real_one_finds(
    tmp_path: Path, work: Path
) -> None:
    moments: list[Moment] = []
    await make(tmp_path / "a.db", 5, moments)
    case = await Case.killed(tmp_path / "killed.db", moments)
    lay(work / "damaged.db", moments[0].content, None, case.head)
    assert layer_of(work / "damaged.db", case.rows)[0] == "open"
    assert layer_of(work / "damaged.db", case.rows, heads=False)[0] == "earlier"


async def test_publishing_again_accepts_nothing_that_was_kept(case: Case, work: Path) -> None:
    (work / "damaged.db").write_bytes(hit(case))
    found = salvage(str(work / "damaged.db"), str(work / "new.db"))
    assert [flow.key for flow in found.left_out] == ["shut-0"]
    ((first, last),) = found.events_lost
    async with open_runtime(work / "new.db", processes=[Parcel], gateways=[Couriers()]) as runtime:
        before = (await runtime.journal.heads()).position
        for number, kind in enumerate(("shut", "lost", "home", "stray", "quiet")):
            key = f"{kind}-{number}"
            await runtime.publish(ParcelPosted(key, Decimal("1.50"), ("a",)), id=f"{key}/0", source="post")
        await runtime.drain()
        assert (await runtime.journal.heads()).position == before
    assert first == last


async def test_rows_that_no_checksum_proves_are_made_anew(case: Case, work: Path) -> None:
    lay(work / "damaged.db", case.content, None)
    with closing(sqlite3.connect(work / "damaged.db")) as connection, connection:
        connection.execute("update flow set reason = 'lost', updated_us = updated_us + (1 << 40) where key = 'home-2'")
        connection.execute("update command set gateway = 'courierz' where seq = 1")
        connection.execute("update type set shape = '[]' where name = 'parcel.posted'")
    found = salvage(str(work / "damaged.db"), str(work / "new.db"))
    assert (found.left_out, found.rebuilt, found.refused) == ((), {"flow": 1, "command": 1}, {"type": 1})
    assert [fault.code for fault in found.faults] == ["type_missing"]
    new = rows_of(work / "new.db")
    changed = [row["key"] for row in new["flow"] if row not in case.rows["flow"]]
    assert changed in ([], ["home-2"])
    assert new["command"] == case.rows["command"]
    async with open_runtime(work / "new.db", processes=[Parcel], gateways=[Couriers()]) as runtime:
        assert await runtime.journal.verify() == []


@pytest.mark.searches
@pytest.mark.parametrize(
    ("fault", "damage", "found"),
    [
        (salvage_faults.believes_every_event, None, "1 rows of event are not what was written"),
        (salvage_faults.believes_every_row, GIVEN_UP, "1 rows of command are not what was written"),
        (salvage_faults.keeps_half_a_history, None, "parcel/shut-0 folds to something else"),
        (salvage_faults.is_silent_on_what_it_leaves_out, None, "not kept and not listed: ['parcel/shut-0']"),
        (salvage_faults.makes_no_deadline_anew, "delete from timer", "parcel/quiet-4 folds to something else"),
        (salvage_faults.does_not_look_for_what_became_of_events, "delete from delivery", "which was kept without it"),
        (salvage_faults.believes_what_stands_alone, WAITS, "1 rows of delivery are not what was written"),
        (salvage_faults.leaves_checksums_that_do_not_fit, GIVEN_UP, "the new journal has command_crc"),
        (salvage_faults.gives_up_at_the_first_bad_row, None, "it raised ValueError"),
    ],
)
async def test_a_fault_that_is_planted_in_a_salvage_is_found(
    fault: Plant, damage: str | None, found: str, case: Case, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = hit(case) if damage is None else changed(case, work / "changed.db", damage)
    assert (await look(case, work, content)).breaches == []
    fault(monkeypatch)
    said = (await look(case, work, content)).breaches
    assert any(found in breach for breach in said), said


async def test_a_flow_whose_row_and_index_say_the_same_nonsense_is_left_out(case: Case, work: Path) -> None:
    content = changed(case, work / "changed.db", "update flow set status = 'running' where key = 'home-2'")
    seen = await look(case, work, content)
    assert (seen.layer, seen.breaches) == ("row", [])
    assert seen.kept == 9 / 10


async def test_no_turn_begins_from_a_damaged_row(case: Case, work: Path) -> None:
    lay(work / "damaged.db", case.content, None)
    with closing(sqlite3.connect(work / "damaged.db")) as connection, connection:
        connection.execute("update flow set updated_us = updated_us + 1 where key = 'quiet-4'")
    before = len(case.rows["step"])
    with pytest.RaisesGroup(JournalDamaged, flatten_subgroups=True, allow_unwrapped=True):
        async with open_runtime(work / "damaged.db", processes=[Parcel], gateways=[Couriers()]) as runtime:
            await runtime.publish(ParcelScanned("quiet-4", "van"))
            await runtime.drain()
    assert len(rows_of(work / "damaged.db")["step"]) == before


async def test_verify_names_the_range_and_the_flows(case: Case, work: Path) -> None:
    (work / "damaged.db").write_bytes(hit(case))
    reader = await read_sqlite(work / "damaged.db")
    fault = (await reader.verify())[0]
    await reader.close()
    assert fault.code == "event_range"
    assert "they concern parcel/shut-0" in fault.found
    assert "salvage" in fault.cure


@pytest.mark.searches
async def test_what_is_left_of_a_truncated_journal_is_salvaged(case: Case, work: Path) -> None:
    cut = len(case.content) - 2 * PAGE_BYTES - 100
    seen = await look(case, work, case.content[:cut])
    assert seen.layer == "open"
    assert seen.breaches == []
    assert seen.kept is not None


@pytest.mark.searches
async def test_a_page_as_it_was_before_leaves_no_deadline_that_is_over(tmp_path: Path, work: Path) -> None:
    moments: list[Moment] = []
    await make(tmp_path / "a.db", 10, moments)
    made = await Case.of(tmp_path / "a.db", moments)
    seen = [one for of_kind in (await run(made, work, 1, {"lost write": 10})).values() for one in of_kind]
    assert [one.breaches for one in seen if one.breaches] == []


async def test_an_end_that_can_not_be_is_not_looked_for(case: Case, work: Path) -> None:
    lay(work / "damaged.db", case.content, None)
    with closing(sqlite3.connect(work / "damaged.db")) as connection, connection:
        connection.execute("update owner set position = 1 << 60")
        (root,) = connection.execute("select rootpage from sqlite_schema where name = 'event'").fetchone()
    content = bytearray((work / "damaged.db").read_bytes())
    content[PAGE_BYTES * (root - 1) : PAGE_BYTES * root] = bytes(PAGE_BYTES)
    (work / "damaged.db").write_bytes(content)
    assert salvage(str(work / "damaged.db"), str(work / "new.db")).events == 0
