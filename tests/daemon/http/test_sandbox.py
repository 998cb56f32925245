"""A flow forked at one of its events: a journal of its own, and nothing happens to the real one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx
import pytest
import trio

from procession.daemon.http.sandbox_served import OPEN_MAX, PREFIX
from procession.http_settings import HttpSettings
from procession.journal.sqlite_reader import read_sqlite
from tests.daemon.http.guarded import guarded, tokens_in
from tests.daemon.http.served import ParcelSent, served

PATH = "/v1/flows/parcel/p1/sandbox"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where journals of forks are made."""
    found = tmp_path / "temporary"
    found.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    return found


async def test_a_fork_is_a_journal_that_can_be_opened_and_leaves_nothing_behind(
    tmp_path: Path, temporary: Path
) -> None:
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


async def test_a_fork_is_opened_read_only_at_an_address_of_its_own_until_the_server_ends(temporary: Path) -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        await http.runtime.flow("parcel", "p1").wait_ended()
        opened = (await http.client.post(PATH, json={"at": 1})).json()
        assert (await http.client.post(PATH, json={"at": 9})).status_code == 404
        async with httpx.AsyncClient(base_url=opened["address"], trust_env=False) as sandbox:
            flow = (await sandbox.get("/v1/flows/parcel/p1")).json()
            state = (await sandbox.get("/v1/flows/parcel/p1/states", params={"at": 1})).json()
            refused = await sandbox.post("/v1/flows/parcel/p1/cancel", json={"by": "ann", "why": "to see"})
            within = await sandbox.post(PATH, json={})
        real = (await http.client.get("/v1/flows/parcel/p1")).json()
    assert (flow["version"], flow["status"], state["handler"]) == (1, "active", "carry")
    assert (refused.status_code, within.status_code) == (409, 409)
    assert (real["version"], real["status"]) == (2, "ended")
    assert list(temporary.iterdir()) == []


async def test_what_a_killed_server_left_is_gone_when_the_next_one_serves(temporary: Path) -> None:
    left = temporary / f"{PREFIX}left"
    left.mkdir()
    (left / ".held").touch()
    (left / "flow.db").touch()
    async with served():
        assert not left.exists()


async def test_where_one_more_than_may_be_is_opened_the_oldest_is_closed() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"))
        opened = [(await http.client.post(PATH, json={})).json()["address"] for _ in range(OPEN_MAX + 1)]
        async with httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"{opened[0]}/livez")
            assert [(await client.get(f"{address}/livez")).status_code for address in opened[1:]] == [200] * OPEN_MAX


async def test_a_sandbox_wants_the_tokens_of_its_server(tmp_path: Path) -> None:
    path, texts = tokens_in(tmp_path)
    async with served(http=HttpSettings(tokens=str(path))) as http:
        await http.runtime.publish(ParcelSent("p1"))
        operator, reader = ({"Authorization": f"Bearer {texts[role]}"} for role in ("operator", "reader"))
        assert (await http.client.post(PATH, json={}, headers=reader)).status_code == 403
        address = (await http.client.post(PATH, json={}, headers=operator)).json()["address"]
        async with httpx.AsyncClient(base_url=address, trust_env=False) as sandbox:
            assert (await sandbox.get("/v1/flows")).status_code == 401
            assert (await sandbox.get("/v1/flows", headers=reader)).status_code == 200


async def test_an_application_without_a_server_of_ours_opens_none(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        await http.runtime.publish(ParcelSent("p1"))
        assert (await http.ask("POST", PATH, http.texts["operator"], b"{}")).status == 409
