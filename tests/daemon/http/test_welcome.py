"""Streams end when whoever opened them is not welcome any more, and others go on."""

from __future__ import annotations

import contextlib
import datetime
import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from procession.daemon.tokens import TokenBook, read_tokens
from procession.errors import SettingsError
from procession.http_settings import HttpSettings
from tests.daemon.http.guarded import Answer, Guarded, add, guarded, revoke, tokens_in
from tests.daemon.http.served import served
from tests.daemon.http.test_sessions import HERE, cookie_of

STREAM = "/v1/events/stream"


@contextlib.asynccontextmanager
async def following(
    http: Guarded, token: str | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[list[Answer]]:
    """Follow events; the answer is there when the stream has ended."""
    ended: list[Answer] = []
    begun = trio.Event()

    async def follow() -> None:
        ended.append(await http.ask("GET", STREAM, token, headers=headers, begun=begun))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await begun.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert ended == []
        yield ended
        nursery.cancel_scope.cancel()


async def test_a_stream_ends_with_its_token_and_no_other_does(tmp_path: Path) -> None:
    async with (
        guarded(tmp_path) as http,
        following(http, http.texts["reader"]) as gone,
        following(http, http.texts["admin"]) as stays,
    ):
        revoke(http.path, "reader")
        http.access.refresh()
        await trio.testing.wait_all_tasks_blocked()
        assert ([answer.status for answer in gone], stays) == ([200], [])
        assert (gone[0].body, gone[0].ended) == (b": from here on\n\n", True)


async def test_a_stream_ends_with_its_session(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        cookie = await cookie_of(http, http.texts["reader"])
        async with following(http, headers=cookie) as gone, following(http, http.texts["reader"]) as stays:
            assert (await http.ask("DELETE", "/v1/session", headers=cookie | HERE)).status == 204
            await trio.testing.wait_all_tasks_blocked()
            assert ([answer.status for answer in gone], stays) == ([200], [])


async def test_a_stream_ends_when_its_token_expires(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with guarded(tmp_path) as http:
        soon = add(http.path, "soon", "reader", datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1_000))
        http.access.refresh()
        async with following(http, soon) as gone, following(http, http.texts["admin"]) as stays:
            await trio.sleep(900)
            assert gone == []
            await trio.sleep(200)
            assert ([answer.status for answer in gone], stays) == ([200], [])


async def test_a_stream_that_begins_when_its_token_was_just_revoked_ends_at_once(tmp_path: Path) -> None:
    async with guarded(tmp_path) as http:
        headers = [(b"authorization", f"Bearer {http.texts['reader']}".encode())]
        caller = http.access.identified({"type": "http", "scheme": "http", "headers": headers})
        revoke(http.path, "reader")
        http.access.refresh()
        with trio.CancelScope() as scope, http.access.as_long_as_welcome(caller, scope):
            await trio.sleep_forever()
        assert scope.cancelled_caught


async def test_the_file_is_looked_at_without_being_told(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with guarded(tmp_path) as http, trio.open_nursery() as nursery:
        nursery.start_soon(http.access.keep_fresh)
        revoke(http.path, "reader")
        await trio.sleep(1.5)
        assert (await http.ask("GET", "/v1/flows", http.texts["reader"])).status == 401
        http.path.chmod(0o644)
        await trio.sleep(1.5)
        assert (await http.ask("GET", "/v1/flows", http.texts["admin"])).status == 200
        http.path.unlink()
        await trio.sleep(1.5)
        assert (await http.ask("GET", "/v1/flows", http.texts["admin"])).status == 401
        said = [record.getMessage() for record in caplog.records if "tokens were" in record.getMessage()]
        assert said[0] == "the tokens were read again, and are others"
        assert "which others may use (mode 0644)" in said[1]
        assert "which is not there" in said[2]
        nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_over_a_real_connection_a_stream_ends_cleanly_within_seconds(tmp_path: Path) -> None:
    path, texts = tokens_in(tmp_path)
    async with served(http=HttpSettings(tokens=str(path))) as http:
        bearer = {"Authorization": f"Bearer {texts['reader']}"}
        async with http.client.stream("GET", STREAM, headers=bearer) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == ": from here on"
            revoke(path, "reader")
            with trio.fail_after(15):
                assert [line async for line in lines] == [""]
        assert (await http.client.get(STREAM, headers=bearer)).status_code == 401


async def test_a_file_that_the_system_refused_once_is_read_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [OSError(errno.EMFILE, "Too many open files")] * 2

    def read(path: str) -> TokenBook:
        if refusals:
            raise SettingsError("http.tokens", f"is {path}, which can't be read", "wait") from refusals.pop()
        return read_tokens(path)

    async with guarded(tmp_path) as http, trio.open_nursery() as nursery:
        nursery.start_soon(http.access.keep_fresh)
        monkeypatch.setattr("procession.daemon.http.access.read_tokens", read)
        revoke(http.path, "reader")
        await trio.sleep(3.5)
        assert not refusals
        assert (await http.ask("GET", "/v1/flows", http.texts["reader"])).status == 401
        nursery.cancel_scope.cancel()
