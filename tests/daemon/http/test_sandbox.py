"""A flow forked at one of its events: a journal of its own, and nothing happens to the real one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import trio

from procession.journal.sqlite_reader import read_sqlite
from tests.daemon.http.served import ParcelSent, served

PATH = "/v1/flows/parcel/p1/sandbox"


async def test_a_fork_is_a_journal_that_can_be_opened_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        await http.runtime.flow("parcel", "p1").wait_ended()
        before = await http.runtime.journal.heads()
        answer = await http.client.get(PATH, params={"at": 1})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.sqlite3")
        assert (await http.client.get(PATH, params={"at": 9})).status_code == 404
        assert await http.runtime.journal.heads() == before
    assert list(temporary.iterdir()) == []
    await trio.Path(tmp_path / "fork.db").write_bytes(answer.content)
    reader = await read_sqlite(tmp_path / "fork.db")
    row = (await reader.load("parcel", "p1", 0)).row
    await reader.close()
    assert row is not None
    assert (row.version, row.status) == (1, "active")
