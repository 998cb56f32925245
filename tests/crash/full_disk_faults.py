"""Faults of a daemon whose disk is full; planted as those of `served.py`."""

# What is replaced is no name for users.
# ruff: noqa: SLF001

from __future__ import annotations

from procession.engine.engine import Engine
from procession.engine.intake import Submission
from procession.engine.unsettled import Unsettled
from procession.facade import Runtime
from procession.journal.rows import Commit, EventRow
from procession.journal.sqlite import SqliteJournal
from procession.journal_errors import CommitFailed, JournalDamaged
from tests.crash.planting import plant


def takes_it_for_damage() -> None:
    """A commit that the disk had no room for ends the daemon."""

    async def give_up(engine: Engine, failure: CommitFailed) -> bool:
        raise JournalDamaged("the journal", failure.found)

    plant(Engine, "_hold", give_up)


def takes_a_failed_commit_for_done() -> None:
    """Commits that fail are told to be durable, until one of them held what a sender waited for."""
    commit = SqliteJournal.commit
    passed: list[EventRow] = []

    async def without_a_word(journal: SqliteJournal, rows: Commit) -> None:
        try:
            await commit(journal, rows)
        except CommitFailed:
            if passed:
                raise
            passed.extend(row for row in rows.events if row.source is not None)

    plant(SqliteJournal, "commit", without_a_word)


def says_that_all_was_kept() -> None:
    """Whoever waits for a commit that failed hears, once the journal is well, that it is durable."""

    async def kept(_: Unsettled, __: Submission) -> bool:
        return True

    plant(Unsettled, "_is_durable", kept)


def closes_all_to_try_again() -> None:
    """The journal is closed, for readers too, before it is known whether it can be opened again."""
    reopen = SqliteJournal.reopen

    async def close_and_reopen(journal: SqliteJournal) -> None:
        await journal._thread.call(journal._close_all)
        await reopen(journal)

    plant(SqliteJournal, "reopen", close_and_reopen)


def never_tries_again() -> None:
    """Once it is held, only a restart has it go on."""

    async def refuse(journal: SqliteJournal) -> None:
        raise CommitFailed(journal._broken or "the disk was full")

    plant(SqliteJournal, "reopen", refuse)


def does_not_say_that_it_is_held() -> None:
    """Nothing is accepted, and whoever asks hears that all is well."""
    plant(Runtime, "held", property(lambda _: ""))


FULL_DISK_FAULTS = (
    takes_it_for_damage,
    takes_a_failed_commit_for_done,
    says_that_all_was_kept,
    closes_all_to_try_again,
    never_tries_again,
    does_not_say_that_it_is_held,
)
