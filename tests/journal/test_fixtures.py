"""Journals that earlier versions wrote open and fold equal, for ever."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from procession import open_runtime
from procession.journal.archiver import Archiver
from procession.journal.sqlite import open_sqlite
from procession.journal.sqlite_archive import ArchiveQuery
from procession.journal.sqlite_reader import read_sqlite
from tests.fixtures.journals import parcel_v1
from tests.fixtures.journals.folding import fold_all

JOURNALS = Path(__file__).parent.parent / "fixtures" / "journals"


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


async def test_a_journal_with_an_archive_folds_to_what_was_written_beside_it(tmp_path: Path) -> None:
    copy = shutil.copy(JOURNALS / "parcel_v2.db", tmp_path / "parcel.db")
    shutil.copytree(JOURNALS / "parcel_v2.db.archive", tmp_path / "parcel.db.archive")

    reader = await read_sqlite(str(copy))
    try:
        folded = await fold_all(reader, [parcel_v1.Parcel], [parcel_v1.Couriers()])
        faults = await reader.verify()
    finally:
        await reader.close()

    assert folded == json.loads((JOURNALS / "parcel_v2.json").read_text())
    assert faults == []


async def test_a_runtime_goes_on_with_a_journal_that_has_an_archive(tmp_path: Path) -> None:
    copy = shutil.copy(JOURNALS / "parcel_v2.db", tmp_path / "parcel.db")
    shutil.copytree(JOURNALS / "parcel_v2.db.archive", tmp_path / "parcel.db.archive")

    async with open_runtime(copy, processes=[parcel_v1.Parcel], gateways=[parcel_v1.Couriers()]) as runtime:
        again = await runtime.publish(parcel_v1.ParcelScanned("home-3", "door"), id="home-3/2", source="post")
        await runtime.publish(parcel_v1.ParcelScanned("ключ 6", "door"), id="ключ 6/2", source="post")
        outcomes = [await runtime.flow("parcel", key).wait_ended() for key in ("home-3", "ключ 6")]

    assert again.duplicate
    assert outcomes == ["handed over", "handed over"]


def _now_us() -> int:
    return time.time_ns() // 1000


async def test_what_this_version_writes_folds_as_the_first_journal_does(tmp_path: Path) -> None:
    await parcel_v1.write(tmp_path)

    journal = await open_sqlite(str(tmp_path / "parcel_v1.db"), clock_us=lambda: time.time_ns() // 1000)
    try:
        folded = await fold_all(journal, [parcel_v1.Parcel], [parcel_v1.Couriers()])
    finally:
        await journal.close()

    assert folded == json.loads((JOURNALS / "parcel_v1.json").read_text())
