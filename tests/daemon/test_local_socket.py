"""The file of the owner's socket: left by its owner, and not by one who was overtaken."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from procession.daemon.local_socket import listen


@pytest.fixture
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="procession-") as folder:  # a socket's path must be short
        yield str(Path(folder) / "journal.db.sock")


async def test_an_owner_takes_its_socket_away(address: str) -> None:
    listening = listen(address)
    listening.leave()
    assert not Path(address).exists()
    listening.leave()
    await listening.listener.aclose()


async def test_one_that_was_overtaken_leaves_the_new_owners_socket(address: str) -> None:
    old = listen(address)
    new = listen(address)
    old.leave()
    async with old.listener, new.listener, await trio.open_unix_socket(address), await new.listener.accept():
        pass
