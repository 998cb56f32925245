"""A projection's store opens nothing else, and takes nothing from outside of the event; a query only reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from procession import Projector, Settings, Store, projects
from procession.primitives.registration import gather
from procession.projection_errors import QueryRefused, StoreRefused
from procession.projections.folder import in_memory
from procession.projections.generation import Generation, made
from procession.projections.store import ProjectionStore
from procession.settings import ProjectorsSettings
from procession.testing import project
from tests.projections.purses import BALANCES, TABLE, CoinSaved, Purses, coins, publish, purses_open


@pytest.fixture
def opened() -> Iterator[Generation]:
    (projection,) = gather((), (), projectors=[Purses]).projections.values()
    generation = made(in_memory(), projection, bytes(16), rows_max=3)
    generation.store.begin()
    yield generation
    generation.store.rollback()
    generation.retire()


@pytest.fixture
def store(opened: Generation) -> ProjectionStore:
    return opened.store


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("attach 'other.db' as other", "ATTACH of another file"),
        ("detach main", "DETACH"),
        ("pragma journal_mode = delete", "PRAGMA"),
        ("select * from pragma_database_list", "a change of the store's tables"),
        ("commit", "a transaction of its own"),
        ("begin", "a transaction of its own"),
        ("savepoint mine", "a savepoint of its own"),
        ("create table more (a)", "a change of the store's tables"),
        ("drop table purses", "a change of the store's tables"),
        ("alter table purses add column a", "a change of the store's tables"),
        ("create temp table more (a)", "a temporary table"),
        ("create virtual table more using fts5(a)", "a change of the store's tables"),
        ("update procession_projection set position = 0", "the table in which the store keeps its position"),
        ("select position from procession_projection", "the table in which the store keeps its position"),
        ("select load_extension('libm')", "another file"),
        ("insert into purses values (random(), 1, 1)", "chance"),
        ("insert into purses values (hex(randomblob(4)), 1, 1)", "chance"),
        ("insert into purses values (current_timestamp, 1, 1)", "a function of the clock"),
        ("select datetime('now')", "a function of the clock"),
        ("select unixepoch()", "a function of the clock"),
        ("select total_changes()", "what an earlier statement did"),
    ],
)
def test_the_handle_refuses(store: ProjectionStore, sql: str, found: str) -> None:
    with pytest.raises(StoreRefused, match=f"the store of purses refuses it: .*({found})"):
        store.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into purses values ('ann', 1, 1) returning cents",
        "update purses set cents = cents + 1",
        "delete from purses where purse = 'bob'",
        "with poor as (select * from purses where cents < 1) select count(*) from poor",
        "select value from json_each('[1, 2]')",
    ],
)
def test_the_handle_takes(store: ProjectionStore, sql: str) -> None:
    assert isinstance(store.execute(sql), list)


def test_rows_of_a_statement_are_bounded(store: ProjectionStore) -> None:
    with pytest.raises(StoreRefused, match=r"more than 3 rows; ask for fewer, or raise projectors\.rows_max"):
        store.execute("select value from json_each('[1, 2, 3, 4]')")


def test_a_projector_keeps_nothing_beside_its_store() -> None:
    with pytest.raises(AttributeError, match="Purses keeps 'seen' beside its store"):
        Purses().seen = 1


# Queries.


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("delete from purses", "it writes"),
        ("insert into purses values ('eve', 1, 1)", "it writes"),
        ("attach 'other.db' as other", "it says ATTACH of another file"),
        ("pragma query_only = off", "it says PRAGMA"),
        ("commit", "it says a transaction of its own"),
        ("drop table purses", "it writes"),
        ("select unknown from purses", "no such column: unknown"),
        ("selct 1", 'near "selct": syntax error'),
        ("select 1; select 2", "one statement at a time"),
        ("select ?", "Incorrect number of bindings"),
    ],
)
def test_a_query_is_refused(sql: str, found: str) -> None:
    asked = project(Purses, CoinSaved("ann", 1))
    with pytest.raises(QueryRefused, match=f"the query of projection purses is refused: .*{found}"):
        asked.query(sql)
    assert asked.query(BALANCES) == [("ann", 1, 1)]


def test_a_query_may_ask_the_clock() -> None:
    assert project(Purses).query("select 1 where datetime('now') > '2020'") == [(1,)]


async def test_rows_of_a_query_are_bounded(tmp_path: Path) -> None:
    few = Settings(projectors=ProjectorsSettings(rows_max=2))
    async with purses_open(tmp_path, settings=few) as runtime:
        position = await publish(runtime, [CoinSaved(purse, 1) for purse in ("ann", "bob", "eve")])
        assert len(await runtime.query(Purses, "select 1 from purses limit 2", at_least=position)) == 2
        with pytest.raises(QueryRefused, match=r"more than 2 rows; say `limit`, or raise projectors\.rows_max"):
            await runtime.query(Purses, BALANCES)


async def test_a_query_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    endless = "with recursive n (i) as (select 1 union all select i + 1 from n) select max(i) from n"
    async with purses_open(tmp_path) as runtime:
        with pytest.raises(QueryRefused, match=r"it took longer than 0\.1 s"):
            await runtime.query(Purses, endless, timeout_s=0.1)
        for _ in range(10):
            assert await runtime.query(Purses, BALANCES) == []


@pytest.mark.parametrize(("queries_max", "answered"), [(1, False), (2, True)])
async def test_more_queries_than_may_run_wait(tmp_path: Path, queries_max: int, answered: bool) -> None:
    slow = "with recursive n (i) as (select 1 union all select i + 1 from n) select max(i) from n"
    settings = Settings(projectors=ProjectorsSettings(queries_max=queries_max))
    async with purses_open(tmp_path, settings=settings) as runtime, trio.open_nursery() as nursery:

        async def ask_slowly() -> None:
            with pytest.raises(QueryRefused):
                await runtime.query(Purses, slow, timeout_s=50)

        nursery.start_soon(ask_slowly)
        await trio.sleep(0.1)
        with trio.move_on_after(30 if answered else 0.5) as waiting:
            await runtime.query(Purses, "select 1 from purses limit 2")
        assert waiting.cancelled_caught is not answered
        nursery.cancel_scope.cancel()


async def test_a_method_takes_its_parameters_in_order(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        await publish(runtime, coins(1))
        with pytest.raises(QueryRefused, match="come as a sequence"):
            await runtime.query(Purses, Purses.poorer_than, {"cents": 1})  # type: ignore[call-overload]  # what is refused


# The testing kit.


class Hasty(Projector, name="hasty", version=1):
    """Notes how many coins came at once: that is chance."""

    tables = (TABLE,)

    @projects
    def saved(self, saved: CoinSaved, store: Store) -> None:
        store.execute("insert into purses select ?, max(1, count(*)), 1 from purses", (saved.purse + str(saved.cents),))


def test_the_kit_folds_events() -> None:
    assert project(Purses, *coins(3), CoinSaved("bob", 2)).query(BALANCES) == [("ann", 3, 3), ("bob", 2, 1)]
    assert project(Purses, *coins(1)).query(Purses.poorer_than, (2,)) == ["ann"]
    assert len(project(Hasty, CoinSaved("ann", 1), CoinSaved("ann", 2)).query(BALANCES)) == 2
