"""What may be told after a sync that failed: what was durable before, and what a journal opened anew has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from procession.journal.sqlite import open_sqlite
from procession.testing.journal_rows import NOW_US, started
from tests.crash.power_loss import LOGS
from tests.crash.short_life import JOURNAL
from tests.crash.syncs import believed

ACKNOWLEDGED = LOGS[0]
WHILE_IT_WRITES = "11 fdatasync(7<{folder}/journal.db-wal> <unfinished ...>"
FAILS = "11 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)"
Telling = Callable[..., list[str]]


@pytest.fixture
def head(tmp_path: Path) -> str:
    """The write of a real head file, after a real commit of one event, as strace shows it."""

    async def content() -> bytes:
        journal = await open_sqlite(tmp_path / JOURNAL, clock_us=lambda: NOW_US)
        await journal.commit(started(1, 1))
        try:
            return (tmp_path / f"{JOURNAL}-head").read_bytes()
        finally:
            await journal.close()

    shown = "".join(f"\\x{byte:02x}" for byte in trio.run(content))
    return f'11 pwrite64(9<{{folder}}/journal.db-head>, "{shown}", 72, 0) = 72'


@pytest.fixture
def telling(tmp_path: Path) -> Telling:
    def tell(*calls: str, told: str, durable: int = 0) -> list[str]:
        write = f'10 write(5<{{folder}}/{ACKNOWLEDGED}>, "", 9) = 9'
        trace = tmp_path / "calls.txt"
        trace.write_text("".join(f"{call.format(folder=tmp_path)}\n" for call in (*calls, write)))
        return [*believed(trace, tmp_path, [told], durable)]

    return tell


WRITES = '11 pwrite64(7<{folder}/journal.db-wal>, "", 4096, 32) = 4096'
OPENS = '11 openat(AT_FDCWD, "{folder}/journal.db", O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0644) = 7<{folder}/journal.db>'


def test_what_a_failed_sync_left_and_a_later_one_is_believed_for_is_a_breach(telling: Telling, head: str) -> None:
    found = telling(head, WRITES, WHILE_IT_WRITES, FAILS, WRITES, told="0 b1=2")
    assert found == ["it acknowledged event 2 after a sync had failed at event 1, and had not opened the journal anew"]


def test_a_head_that_is_written_after_a_failed_sync_proves_nothing(telling: Telling, head: str) -> None:
    assert telling(WRITES, WHILE_IT_WRITES, FAILS, WRITES, head, told="0 a=1")


def test_what_was_durable_before_may_be_told_while_the_next_sync_fails(telling: Telling, head: str) -> None:
    assert telling(head, WRITES, WHILE_IT_WRITES, FAILS, told="0 a=1") == []


def test_what_was_there_before_the_life_may_be_told_again(telling: Telling) -> None:
    assert telling(WRITES, WHILE_IT_WRITES, FAILS, told="0 a=3 b=4", durable=4) == []


def test_a_journal_that_was_opened_anew_may_be_believed(telling: Telling) -> None:
    assert telling(WRITES, WHILE_IT_WRITES, FAILS, OPENS, WRITES, told="0 b1=2") == []


def test_a_sync_that_fails_with_nothing_to_write_loses_nothing(telling: Telling) -> None:
    assert telling(WHILE_IT_WRITES, FAILS, told="0 b1=2") == []
