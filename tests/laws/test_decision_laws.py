"""The laws that judge what aggregates decided find their breach, in the rows of a clean run that are broken once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from procession import open_runtime
from procession.journal.rows import CommandRow, Commit, EventRow
from procession.laws.commits import broken_commits
from procession.laws.histories import LAWS, Past
from procession.testing.faults import FaultyJournal
from tests.engine.bank import Account, Close, Deposit, Transfer, TransferRequested, Withdraw


@pytest.fixture
async def journal() -> FaultyJournal:
    """A run in which commands came from outside and from flows, and one of each was refused."""
    journal = FaultyJournal()
    async with open_runtime(journal, processes=[Transfer], aggregates=[Account]) as runtime:
        await runtime.send(Deposit("a", 500), id="1", source="shop")
        await runtime.send(Withdraw("a", 501), id="2", source="shop")
        await runtime.publish([TransferRequested("t", "a", "target", 300), TransferRequested("u", "a", "target", 300)])
        await runtime.drain()
        await runtime.send(Close("a"))
    return journal


def broken(past: Past) -> set[str]:
    return {law.__name__ for law in LAWS for _ in law(past)}


def with_events(past: Past, change: Callable[[EventRow], EventRow]) -> Past:
    return with_rows(past, events=tuple(map(change, past.contents.events)))


def with_commands(past: Past, change: Callable[[CommandRow], CommandRow]) -> Past:
    return with_rows(past, commands=tuple(map(change, past.contents.commands)))


def with_rows(past: Past, **changes: Any) -> Past:  # noqa: ANN401 - each field has a type of its own
    return attrs.evolve(past, contents=attrs.evolve(past.contents, **changes))


def an_event_more_was_decided(past: Past) -> Past:
    return with_events(past, lambda row: row._replace(payload=_more(row)) if row.type == DECIDED else row)


def _more(row: EventRow) -> str:
    said = json.loads(row.payload)
    return json.dumps({**said, "events": said["events"] + 1})


def an_event_came_of_no_command(past: Past) -> Past:
    return with_events(past, lambda row: row._replace(caused_by=None) if row.type == "account.withdrawn" else row)


def an_event_came_of_a_command_that_is_open(past: Past) -> Past:
    return with_commands(past, lambda row: row._replace(state="open"))


def a_refusal_was_told_to_nobody(past: Past) -> Past:
    events = tuple(row for row in past.contents.events if row.type != "procession.command_refused")
    return with_rows(past, events=events)


def a_refusal_is_kept_as_an_answer(past: Past) -> Past:
    return with_commands(past, lambda row: row._replace(state="answered"))


DECIDED = "procession.command_decided"
BREAKS = [
    (an_event_more_was_decided, "decisions_stand_beside_their_command"),
    (an_event_came_of_no_command, "decisions_stand_beside_their_command"),
    (an_event_came_of_a_command_that_is_open, "decisions_stand_beside_their_command"),
    (a_refusal_was_told_to_nobody, "each_command_ends_once"),
    (a_refusal_is_kept_as_an_answer, "each_command_ends_once"),
]


async def test_a_clean_run_breaks_no_law(journal: FaultyJournal) -> None:
    assert broken(Past(journal.contents())) == set()
    assert list(broken_commits(journal.written)) == []


@pytest.mark.parametrize(("change", "law"), BREAKS, ids=[change.__name__ for change, _ in BREAKS])
async def test_a_law_finds_its_breach(journal: FaultyJournal, change: Callable[[Past], Past], law: str) -> None:
    assert law in broken(change(Past(journal.contents())))


def torn(commit: Commit) -> Commit:
    events = [row for row in commit.events if not row.type.startswith("account.")]
    return attrs.evolve(commit, events=events)


def untold(commit: Commit) -> Commit:
    return attrs.evolve(commit, command_changes=[])


@pytest.mark.parametrize(
    ("change", "rule"),
    [(torn, "decisions_come_whole"), (untold, "answers_complete_their_command")],
    ids=["torn", "untold"],
)
async def test_a_rule_of_commits_finds_its_breach(
    journal: FaultyJournal, change: Callable[[Commit], Commit], rule: str
) -> None:
    assert rule in {name for name, _ in broken_commits(map(change, journal.written))}
