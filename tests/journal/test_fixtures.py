"""Journals that earlier versions wrote open and fold equal, for ever."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from procession import open_runtime
from procession.journal.archiver import Archiver
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_archive import ArchiveQuery
from procession.journal.sqlite_reader import read_sqlite
from tests.fixtures.journals import parcel_v1
from tests.fixtures.journals.folding import fold_all

JOURNALS = Path(__file__).parent.parent / "fixtures" / "journals"
ARCHIVED = ["parcel_v2", "parcel_v3", "parcel_v4", "parcel_v5"]
"""By schema: 3 and 4 have an index more, 5 has a checksum in each row of a flow."""


async def test_the_first_journal_folds_to_what_was_written_beside_it(tmp_path: Path) -> None:
    copy = shutil.copy(JOURNALS / "parcel_v1.db", tmp_path / "parcel.db")

    reader = await read_sqlite(str(copy))
    try:
        folded = await fold_all(reader, [parcel_v1.Parcel], [parcel_v1.Couriers()])
        faults = await reader.verify()
    finally:
        await reader.close()

    assert folded == json.loads((JOURNALS / "parcel_v1.json").read_text())
    assert faults == []


async def test_a_runtime_goes_on_with_the_first_journal(tmp_path: Path) -> None:
    copy = shutil.copy(JOURNALS / "parcel_v1.db", tmp_path / "parcel.db")

    async with open_runtime(copy, processes=[parcel_v1.Parcel], gateways=[parcel_v1.Couriers()]) as runtime:
        again = await runtime.publish(parcel_v1.ParcelScanned("home-3", "door"), id="home-3/2", source="post")
        await runtime.publish(parcel_v1.ParcelScanned("ключ 6", "door"), id="ключ 6/2", source="post")
        outcome = await runtime.flow("parcel", "ключ 6").wait_ended()

    assert again.duplicate
    assert outcome == "handed over"


async def test_reading_the_first_journal_does_not_bring_it_to_the_present_schema(tmp_path: Path) -> None:
    copy = shutil.copy(JOURNALS / "parcel_v1.db", tmp_path / "parcel.db")
    reader = await read_sqlite(str(copy))
    assert (await reader.heads()).archived == 0
    assert (await reader.look_up([("post", "home-3/0"), ("post", "new")], [])).ids.keys() == {("post", "home-3/0")}
    await reader.close()
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("pragma user_version").fetchone() == (1,)


async def test_the_first_journal_is_archived_and_folds_as_before(tmp_path: Path) -> None:
    copy = Path(shutil.copy(JOURNALS / "parcel_v1.db", tmp_path / "parcel.db"))
    journal = await open_sqlite(copy, clock_us=_now_us)
    done = await Archiver(journal, _now_us()).run(ArchiveQuery(_now_us()))
    try:
        folded = await fold_all(journal, [parcel_v1.Parcel], [parcel_v1.Couriers()])
        faults = await journal.verify()
    finally:
        await journal.close()
    assert done.flows > 0
    assert folded == json.loads((JOURNALS / "parcel_v1.json").read_text())
    assert faults == []


@pytest.mark.parametrize("name", ARCHIVED)
async def test_a_journal_with_an_archive_folds_to_what_was_written_beside_it(name: str, tmp_path: Path) -> None:
    copy = shutil.copy(JOURNALS / f"{name}.db", tmp_path / "parcel.db")
    shutil.copytree(JOURNALS / f"{name}.db.archive", tmp_path / "parcel.db.archive")

    reader = await read_sqlite(str(copy))
    try:
        folded = await fold_all(reader, [parcel_v1.Parcel], [parcel_v1.Couriers()])
        faults = await reader.verify()
    finally:
        await reader.close()

    assert folded == json.loads((JOURNALS / f"{name}.json").read_text())
    assert faults == []


@pytest.mark.parametrize("name", ARCHIVED)
async def test_a_runtime_goes_on_with_a_journal_that_has_an_archive(name: str, tmp_path: Path) -> None:
    copy = shutil.copy(JOURNALS / f"{name}.db", tmp_path / "parcel.db")
    shutil.copytree(JOURNALS / f"{name}.db.archive", tmp_path / "parcel.db.archive")

    async with open_runtime(copy, processes=[parcel_v1.Parcel], gateways=[parcel_v1.Couriers()]) as runtime:
        again = await runtime.publish(parcel_v1.ParcelScanned("home-3", "door"), id="home-3/2", source="post")
        await runtime.publish(parcel_v1.ParcelScanned("ключ 6", "door"), id="ключ 6/2", source="post")
        outcomes = [await runtime.flow("parcel", key).wait_ended() for key in ("home-3", "ключ 6")]

    assert again.duplicate
    assert outcomes == ["handed over", "handed over"]


def _now_us() -> int:
    return time.time_ns() // 1000


@pytest.mark.parametrize("name", ["parcel_v1", "crate_v2"])
async def test_rows_that_had_no_checksum_have_one_once_the_journal_was_opened(name: str, tmp_path: Path) -> None:
    copy = Path(shutil.copy(JOURNALS / f"{name}.db", tmp_path / "parcel.db"))
    await (await open_sqlite(copy, clock_us=_now_us)).close_clean()
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("update flow set updated_us = updated_us + 1 where id = 1")
        connection.execute("update command set due_us = due_us + 1 where seq = (select min(seq) from command)")

    reader = await read_sqlite(str(copy))
    faults = [fault.code for fault in await reader.verify()]
    await reader.close()

    assert {"flow_crc", "command_crc"} <= set(faults)


async def test_what_this_version_writes_folds_as_the_first_journal_does(tmp_path: Path) -> None:
    await parcel_v1.write(tmp_path)

    journal = await open_sqlite(str(tmp_path / "parcel_v1.db"), clock_us=lambda: time.time_ns() // 1000)
    try:
        folded = await fold_all(journal, [parcel_v1.Parcel], [parcel_v1.Couriers()])
    finally:
        await journal.close()

    assert folded == json.loads((JOURNALS / "parcel_v1.json").read_text())
