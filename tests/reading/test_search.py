"""Searching flows: what is found, how many, and how a search may go on."""

from __future__ import annotations

import pytest

from procession.journal.flow_match import Match
from procession.journal.memory import MemoryJournal
from procession.journal.rows import Commit, FlowQuery, FlowRow
from procession.reading.search import count_flows, search_flows
from procession.reading.search_completion import Vocabulary, complete_search
from procession.reading.search_meaning import meaning_of
from procession.reading.search_parser import parse_search
from procession.testing.journal_rows import event, step

HOUR_US = 3_600_000_000
NOW_US = 1_000 * HOUR_US
KNOWN = Vocabulary(("order", "refund"), ("completed", "unpaid"), (("order", "paid"), ("refund", "asked")))


async def journal() -> MemoryJournal:
    """Seven flows, one an hour; the first is an aggregate, the last has not started."""
    found = MemoryJournal()
    commit = Commit(events=[event(n) for n in range(1, 8)])
    ended = ("ended", "unpaid", None)
    failed = ("quarantined", None, "RuntimeError: no stock at order.py:3")
    lives = [("active", None, None), ended, failed, ("cancelled", "cancelled", None), *[("active", None, None)] * 2]
    for number, (status, outcome, reason) in enumerate([*lives, ("unstarted", None, None)], 1):
        process = "shelf" if number == 1 else "order" if number % 2 else "refund"
        started_us = 0 if status == "unstarted" else number * HOUR_US
        row = FlowRow(number, process, f"k{number}", 1, status, outcome, reason, started_us, number * HOUR_US)  # type: ignore[arg-type]  # a status
        commit.flows[number] = row
        commit.steps.append(step(number, 1, number)._replace(name="paid" if number == 5 else "asked"))
    await found.commit(commit)
    return found


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [6, 5, 4, 3, 2]),
        ("process:shelf", [1]),
        ("process:order", [5, 3]),
        ("-process:order", [6, 4, 2]),
        ("status:waiting", [7, 6, 5]),
        ("status:live", [7, 6, 5, 3]),
        ("-status:ended,cancelled", [6, 5, 3]),
        ("status:active status:ended", []),
        ("status:active -status:active", []),
        ("age>995h", [4, 3, 2]),
        ("-age>995h", [6, 5]),
        ("age>1s status:unstarted", []),
        ("updated<995h", [6]),
        ("updated<995h status:live", [7, 6]),
        ("-updated<995h updated>996h", [3, 2]),
        ('"NO STOCK"', [3]),
        ("-stock", [6, 5, 4, 2]),
        ("stock status:active", []),
        ("outcome:unpaid,c*", [4, 2]),
        ("key:k*,z -key:k2,k3", [6, 5, 4]),
        ("stage:paid", [5]),
        ("stage:asked", [6, 3]),
    ],
)
async def test_a_search_finds_the_flows_that_it_means(text: str, ids: list[int]) -> None:
    reader, search = await journal(), parse_search(text)
    page = await search_flows(reader, search, NOW_US, aggregates=["shelf"])
    assert [row.id for row in page.rows] == ids
    assert (page.next, page.complete) == (None, True)
    oldest = await search_flows(reader, search, NOW_US, order="oldest", aggregates=["shelf"])
    assert [row.id for row in oldest.rows] == ids[::-1]
    assert (await count_flows(reader, search, NOW_US, aggregates=["shelf"])).number == len(ids)


def test_a_search_for_a_reason_looks_at_what_is_set_aside_only() -> None:
    query = meaning_of(parse_search("stock"), NOW_US)
    assert query == FlowQuery(status=("quarantined",), matches=(Match("reason", parts=("stock",)),))


@pytest.mark.parametrize(
    ("text", "start", "first"),
    [
        ("", 0, "process:"),
        ("st", 0, "status:"),
        ("process:order -ag", 15, "age"),
        ("process:", 8, "order"),
        ("process:order,re", 14, "refund"),
        ("process:sh", 8, "shelf"),
        ("status:active,quar", 14, "quarantined"),
        ("outcome:can", 8, "cancelled"),
        ("stage:", 6, "paid"),
        ("process:refund stage:", 21, "asked"),
        ("key:k", 4, "k*"),
        ("age>", 4, "5m"),
        ('process:"ord', 8, "order"),
    ],
)
async def test_a_search_may_go_on_by_what_fits(text: str, start: int, first: str) -> None:
    found = await complete_search(await journal(), KNOWN, text, len(text))
    assert (found.start, found.end, found.suggestions[0].text) == (start, len(text), first)
    parse_search(text[:start] + first.removesuffix(":") + (":x" if first.endswith(":") else "") if start else "")


@pytest.mark.parametrize("text", ["statu:a", "age:1", "key<", "reason:x", "zzz", "process:zzz"])
async def test_where_nothing_fits_nothing_is_suggested(text: str) -> None:
    assert (await complete_search(await journal(), KNOWN, text, len(text))).suggestions == ()


async def test_keys_are_suggested_from_the_journal_the_newest_first_and_of_the_process_that_is_named() -> None:
    found = await complete_search(await journal(), KNOWN, "process:order key:k and more", 19)
    assert (found.start, [suggestion.text for suggestion in found.suggestions]) == (18, ["k*", "k5", "k3"])
