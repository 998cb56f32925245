"""What a journal answers to a search: the same by whatever way it is found."""

from __future__ import annotations

from procession.journal.flow_match import Match
from procession.journal.found import Counted, FlowNames, StageCount, StageCounts
from procession.journal.rows import Commit, FlowQuery, FlowRow, FlowStatus
from procession.testing.journal_rows import NOW_US, JournalCase, event, flow, step

_ALL = 1_000


class SearchContract(JournalCase):
    """Every question of those who look for flows."""

    async def test_a_search_goes_either_way_and_tells_where_to_go_on(self) -> None:
        async with self.opened() as journal:
            await journal.commit(Commit(flows={row.id: row for row in _rows()}))
            for newest_first, expected in ((False, [1, 2, 3, 4, 5, 6]), (True, [6, 5, 4, 3, 2, 1])):
                seen: list[int] = []
                after = 0
                while True:
                    page = await journal.search(FlowQuery(), after, 2, _ALL, newest_first=newest_first)
                    seen += [row.id for row in page.rows]
                    if page.reached is None:
                        break
                    after = page.reached
                assert seen == expected

    async def test_a_search_that_looked_at_enough_says_so(self) -> None:
        async with self.opened() as journal:
            await journal.commit(Commit(flows={row.id: row for row in _rows()}))
            late = FlowQuery(started_after_us=NOW_US + 3)
            page = await journal.search(late, 0, 9, 2)
            assert ([row.id for row in page.rows], page.reached) == ([], 2)
            page = await journal.search(late, 2, 9, 3)
            assert [row.id for row in page.rows] == [4, 5]
            assert (await journal.search(late, 0, 9, _ALL)).reached is None

    async def test_a_match_is_one_of_several_texts_or_none_of_them(self) -> None:
        async with self.opened() as journal:
            await journal.commit(Commit(flows={row.id: row for row in _rows()}))
            for match, expected in (
                (Match("process", exact=("order", "never")), [1, 2, 3]),
                (Match("process", prefixes=("re",)), [4, 5, 6]),
                (Match("process", prefixes=("re",), negated=True), [1, 2, 3]),
                (Match("key", exact=("a1", "c6")), [1, 6]),
                (Match("key", prefixes=("a", "c")), [1, 2, 3, 5, 6]),
                (Match("key", exact=("b4",), prefixes=("c",), negated=True), [1, 2, 3]),
                (Match("key", prefixes=("",)), [1, 2, 3, 4, 5, 6]),
                (Match("outcome", exact=("paid",)), [2]),
                (Match("outcome", prefixes=("",)), [2, 5]),
                (Match("outcome", exact=("paid",), negated=True), [1, 3, 4, 5, 6]),
                (Match("reason", parts=("TOO heavy",)), [3]),
                (Match("reason", parts=("ö", "never")), [3]),
                (Match("reason", parts=("Ö",)), []),
                (Match("reason", parts=("%",)), []),
                (Match("reason", parts=("heavy",), negated=True), [1, 2, 4, 5, 6]),
            ):
                query = FlowQuery(matches=(match,))
                assert [row.id for row in await journal.flows(query, 0, 9)] == expected, match
                newest = (await journal.search(query, 0, 9, _ALL, newest_first=True)).rows
                assert [row.id for row in newest] == expected[::-1], match
                assert await journal.count(query, 9, _ALL) == Counted(len(expected), more=False), match

    async def test_all_conditions_of_a_search_must_hold(self) -> None:
        async with self.opened() as journal:
            await journal.commit(Commit(flows={row.id: row for row in _rows()}))
            refunds = Match("process", prefixes=("ref",))
            query = FlowQuery(status=("ended", "active"), but_not=("order",), matches=(refunds,), key_prefix="c")
            assert [row.id for row in await journal.flows(query, 0, 9)] == [5, 6]
            both = FlowQuery(matches=(refunds, Match("outcome", exact=("lost",)), Match("key", exact=("c5", "b4"))))
            assert [row.id for row in await journal.flows(both, 0, 9)] == [5]
            neither = FlowQuery(matches=(refunds, Match("process", exact=("refund",), negated=True)))
            assert await journal.flows(neither, 0, 9) == []

    async def test_a_count_stops_at_its_bounds(self) -> None:
        async with self.opened() as journal:
            await journal.commit(Commit(flows={row.id: row for row in _rows()}))
            assert await journal.count(FlowQuery(), 6, _ALL) == Counted(6, more=False)
            assert await journal.count(FlowQuery(), 5, _ALL) == Counted(5, more=True)
            assert await journal.count(FlowQuery(started_before_us=NOW_US), 9, 4) == Counted(0, more=True)

    async def test_names_are_told_once_each(self) -> None:
        async with self.opened() as journal:
            assert await journal.names(9) == FlowNames([], [])
            await journal.commit(Commit(flows={row.id: row for row in _rows()}))
            assert await journal.names(9) == FlowNames(["order", "refund"], ["lost", "paid"])
            assert await journal.names(1) == FlowNames(["order"], ["lost"])

    async def test_flows_stand_at_the_newest_event_that_they_handled(self) -> None:
        async with self.opened() as journal:
            commit = Commit(events=[event(n, f"k{min(n, 3)}") for n in range(1, 6)])
            commit.steps = [
                step(1, 1, 1)._replace(name="placed"),
                step(2, 1, 2)._replace(name="paid"),
                step(3, 1, 4)._replace(name="paid"),
                step(3, 2, 3)._replace(name="placed"),
                step(3, 3, 5)._replace(name="released", outcome="act"),
            ]
            commit.flows = {1: flow(1, 1), 2: flow(2, 1), 3: flow(3, 3, status="quarantined")}
            commit.flows[4] = flow(4, 0, status="unstarted")
            commit.flows[5] = flow(5, 0, status="ended")
            await journal.commit(commit)
            nowhere = StageCount(None, "unstarted", 1)
            paid, placed = StageCount("paid", "active", 1), StageCount("placed", "active", 1)
            found = [nowhere, paid, StageCount("paid", "quarantined", 1), placed]
            assert await journal.stages("order", 9) == StageCounts(found, more=False)
            assert await journal.stages("order", 1) == StageCounts([*found[:3]], more=True)
            assert await journal.stages("never", 9) == StageCounts([], more=False)
            at_paid = FlowQuery(status=("active", "quarantined"), matches=(Match("stage", exact=("paid",)),))
            assert [row.id for row in await journal.flows(at_paid, 0, 9)] == [2, 3]


def _rows() -> list[FlowRow]:
    kinds: tuple[tuple[str, str, FlowStatus, str | None, str | None], ...] = (
        ("order", "a1", "active", None, None),
        ("order", "a2", "ended", "paid", None),
        ("order", "a3", "quarantined", None, "Größe: it is too HEAVY at order.py:12"),
        ("refund", "b4", "active", None, None),
        ("refund", "c5", "ended", "lost", None),
        ("refund", "c6", "active", None, None),
    )
    return [
        FlowRow(number, process, key, 0, status, outcome, reason, NOW_US + number, NOW_US + number)
        for number, (process, key, status, outcome, reason) in enumerate(kinds, 1)
    ]
