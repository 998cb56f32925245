"""A projection is made anew beside the one that answers, and takes its place; what can't be used is refused."""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from procession import Projector, Runtime, Settings, Store, open_runtime, projects
from procession.errors import ActRefused, DefinitionError
from procession.journal.memory import MemoryJournal
from procession.primitives.registration import build_registry
from procession.projection_errors import ProjectionChanged, ProjectionFailed, StoreRefused, StoreUnusable
from procession.projections.folder import StoreFolder
from procession.projections.store import ProjectionStore
from procession.projections.view import Rebuilt
from procession.settings import ProjectorsSettings
from tests.projections.purses import (
    BALANCES,
    EVENTS,
    QUICK,
    TABLE,
    Coins,
    CoinSaved,
    CoinSpent,
    Purses,
    coins,
    publish,
    purses_open,
)

STORES = "purses.db.projections"
SMALL_BATCHES = Settings(projectors=ProjectorsSettings(batch_rows_max=1, look_interval_s=0.05))


def stores(path: Path) -> list[str]:
    return sorted(file.name for file in (path / STORES).iterdir() if file.suffix in (".db", ".building"))


async def test_a_rebuild_gives_the_same_and_takes_the_place(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        position = await publish(runtime, [*coins(5), CoinSaved("bob", 3), CoinSpent("ann", 2)])
        before = await runtime.query(Purses, BALANCES, at_least=position)
        rebuilt = await runtime.rebuild(Purses)
        assert await runtime.query(Purses, BALANCES, at_least=position) == before
        position = await publish(runtime, coins(1, "eve"))
        assert await runtime.query(Purses, BALANCES, at_least=position) == [*before, ("eve", 1, 1)]
        assert runtime.counters()["procession_projections_rebuilt"] == 1
    assert (rebuilt.events, rebuilt.position, rebuilt.until) == (7, 7, 7)
    assert stores(tmp_path) == ["purses-0002.db"]


async def test_one_by_columns_is_whole_after_its_rebuild_too(tmp_path: Path) -> None:
    async with purses_open(tmp_path, Coins) as runtime:
        await publish(runtime, coins(3))
        await runtime.rebuild(Coins)
        assert await runtime.query(Coins, "select * from coins", at_least=3) == [("ann", 3, 3)]
    assert sorted(file.name for file in (tmp_path / STORES).iterdir()) == [
        "coins-0002.db",
        "coins.lock",
        "coins.rebuild.lock",
    ]


async def test_who_has_it_open_meanwhile_takes_nothing_from_a_rebuild(tmp_path: Path) -> None:
    lookers: list[sqlite3.Connection] = []

    def look(_: Rebuilt) -> None:
        (building,) = (tmp_path / STORES).glob("*.building")
        lookers.append(sqlite3.connect(f"file:{building}?mode=ro", uri=True, isolation_level=None))
        lookers[-1].execute("select count(*) from purses").fetchall()

    async with purses_open(tmp_path) as runtime:
        await publish(runtime, coins(3))
        await runtime.rebuild(Purses, on_progress=look)
        assert await runtime.query(Purses, BALANCES, at_least=3) == [("ann", 3, 3)]
    for looker in lookers:
        looker.close()
    async with purses_open(tmp_path) as runtime:
        assert await runtime.query(Purses, BALANCES, at_least=3) == [("ann", 3, 3)]
    assert stores(tmp_path) == ["purses-0002.db"]


async def test_who_reads_it_for_long_is_told_and_the_next_rebuild_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("procession.projections.store._BUSY_S", 0.05)  # else it waits for five seconds
    lookers: list[sqlite3.Connection] = []

    def look(_: Rebuilt) -> None:
        (building,) = (tmp_path / STORES).glob("*.building")
        lookers.append(sqlite3.connect(f"file:{building}?mode=ro", uri=True, isolation_level=None))
        lookers[-1].execute("begin")
        lookers[-1].execute("select count(*) from purses").fetchall()

    async with purses_open(tmp_path) as runtime:
        await publish(runtime, coins(3))
        with pytest.raises(StoreUnusable, match=r"somebody has been reading it for .* s; end that, and try again"):
            await runtime.rebuild(Purses, on_progress=look)
        assert await runtime.query(Purses, BALANCES, at_least=3) == [("ann", 3, 3)]
        for looker in lookers:
            looker.close()
    async with purses_open(tmp_path) as runtime:
        await until_whole(runtime, 2)
        assert await runtime.query(Purses, BALANCES, at_least=3) == [("ann", 3, 3)]


async def test_progress_is_told_batch_by_batch(tmp_path: Path) -> None:
    seen: list[Rebuilt] = []
    async with purses_open(tmp_path, settings=SMALL_BATCHES) as runtime:
        await publish(runtime, coins(4))
        await runtime.rebuild(Purses, on_progress=seen.append)
    assert [(step.position, step.events) for step in seen] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert {step.until for step in seen} == {4}


async def test_no_query_fails_while_stores_are_swapped(tmp_path: Path) -> None:
    answers: list[int] = []

    async def ask(runtime: Runtime) -> None:
        while True:
            ((found,),) = await runtime.query(Purses, "select sum(coins) from purses")
            answers.append(found)

    async with purses_open(tmp_path) as runtime:
        position = await publish(runtime, coins(50))
        await runtime.query(Purses, BALANCES, at_least=position)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, runtime)
            for _ in range(8):
                await runtime.rebuild(Purses)
            nursery.cancel_scope.cancel()
    assert set(answers) == {50}
    assert stores(tmp_path) == ["purses-0009.db"]


async def test_events_go_on_while_it_is_rebuilt(tmp_path: Path) -> None:
    async with purses_open(tmp_path, settings=SMALL_BATCHES) as runtime:
        await publish(runtime, coins(20))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.rebuild, Purses)
            for _ in range(20):
                position = await publish(runtime, coins(1))
                await runtime.query(Purses, BALANCES, at_least=position)
        assert await runtime.query(Purses, BALANCES, at_least=position) == [("ann", 40, 40)]


async def test_what_was_seen_is_never_unseen_by_a_swap(tmp_path: Path) -> None:
    answers: list[int] = []

    async def ask(runtime: Runtime) -> None:
        while True:
            ((found,),) = await runtime.query(Purses, "select coalesce(sum(coins), 0) from purses")
            answers.append(found)

    async with purses_open(tmp_path) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(ask, runtime)
        for _ in range(4):
            async with trio.open_nursery() as beside:
                beside.start_soon(runtime.rebuild, Purses)
                for _ in range(4):
                    await runtime.query(Purses, BALANCES, at_least=await publish(runtime, coins(1)))
        nursery.cancel_scope.cancel()
    assert answers == sorted(answers)


async def test_two_rebuilds_at_once_are_refused(tmp_path: Path) -> None:
    async with purses_open(tmp_path, settings=SMALL_BATCHES) as runtime:
        await publish(runtime, coins(30))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.rebuild, Purses)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ActRefused, match="being rebuilt already"):
                await runtime.rebuild(Purses)


async def cancelled_rebuild(runtime: Runtime, after: int) -> None:
    with trio.CancelScope() as scope:
        await runtime.rebuild(Purses, on_progress=lambda done: scope.cancel() if done.position >= after else None)
    assert scope.cancelled_caught


async def test_a_rebuild_that_was_left_is_resumed(tmp_path: Path) -> None:
    async with purses_open(tmp_path, settings=SMALL_BATCHES) as runtime:
        await publish(runtime, coins(9))
        await cancelled_rebuild(runtime, after=4)
        assert stores(tmp_path) == ["purses-0001.db", "purses-0002.db.building"]
        rebuilt = await runtime.rebuild(Purses)
        assert await runtime.query(Purses, BALANCES, at_least=9) == [("ann", 9, 9)]
    assert (rebuilt.resumed, rebuilt.position) == (4, 9)
    assert stores(tmp_path) == ["purses-0002.db"]


async def test_the_next_start_goes_on_with_a_rebuild_that_was_left(tmp_path: Path) -> None:
    async with purses_open(tmp_path, settings=SMALL_BATCHES) as runtime:
        await publish(runtime, coins(9))
        await cancelled_rebuild(runtime, after=4)
    async with purses_open(tmp_path) as runtime:
        await until_whole(runtime, 2)
        assert await runtime.query(Purses, BALANCES, at_least=9) == [("ann", 9, 9)]


async def until_whole(runtime: Runtime, number: int) -> None:
    with trio.fail_after(40):
        while not runtime.projections()[0].path.endswith(f"-{number:04}.db"):
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_a_rebuild_left_by_other_code_is_made_anew(tmp_path: Path) -> None:
    async with purses_open(tmp_path, settings=SMALL_BATCHES) as runtime:
        await publish(runtime, coins(9))
        await cancelled_rebuild(runtime, after=4)

    class Later(Projector, name="purses", version=2):
        tables = (TABLE,)

        @projects
        def saved(self, saved: CoinSaved, store: Store) -> None:
            store.execute("insert into purses values (?, 7, 7) on conflict do nothing", (saved.purse,))

    async with purses_open(tmp_path, Later) as runtime:
        await until_whole(runtime, 2)
        assert await runtime.query(Later, BALANCES, at_least=9) == [("ann", 7, 7)]


async def test_a_rebuild_revives_what_has_stopped(tmp_path: Path) -> None:
    mended: list[bool] = []

    class Moody(Projector, name="moody", version=1):
        tables = (TABLE,)

        @projects
        def saved(self, saved: CoinSaved, store: Store) -> None:
            if not mended:
                raise ValueError("not today")
            store.execute("insert into purses values (?, 1, 1) on conflict do nothing", (saved.purse,))

    async with purses_open(tmp_path, Moody, settings=QUICK) as runtime:
        position = await publish(runtime, coins(1))
        with pytest.raises(ProjectionFailed, match="not today"):
            await runtime.rebuild(Moody)
        while runtime.projections()[0].state != "stopped":
            await trio.testing.wait_all_tasks_blocked(0.01)
        mended.append(True)
        await runtime.rebuild(Moody)
        assert await runtime.query(Moody, BALANCES, at_least=position) == [("ann", 1, 1)]
        position = await publish(runtime, coins(1, "bob"))
        assert await runtime.query(Moody, "select purse from purses", at_least=position) == [("ann",), ("bob",)]


async def test_in_memory_it_is_rebuilt_in_memory() -> None:
    async with open_runtime(MemoryJournal(), processes=[], events=EVENTS, projectors=[Purses]) as runtime:
        position = await publish(runtime, coins(3))
        rebuilt = await runtime.rebuild(Purses)
        assert await runtime.query(Purses, BALANCES, at_least=position) == [("ann", 3, 3)]
    assert rebuilt.events == 3


async def test_what_is_raised_in_the_block_comes_out(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="of ours"):
        async with purses_open(tmp_path):
            raise LookupError("of ours")


# A projector that changed.


class Renamed(Projector, name="purses", version=1):
    """Another projector under the same version."""

    tables = (TABLE,)

    @projects
    def saved(self, saved: CoinSaved, store: Store) -> None:
        store.execute("insert into purses values (?, ?, 0) on conflict do nothing", (saved.purse, saved.cents))

    spent = Purses.spent
    lost = Purses.lost


class Widened(Projector, name="purses", version=1):
    tables = ("create table purses (purse text primary key, note text) strict",)
    saved = Renamed.saved


class Second(Projector, name="purses", version=2):
    tables = ("create table purses (purse text primary key, total integer not null) strict",)

    @projects
    def saved(self, saved: CoinSaved, store: Store) -> None:
        store.execute(
            "insert into purses values (?, ?) on conflict do update set total = total + excluded.total",
            (saved.purse, saved.cents),
        )


async def made(path: Path, number: int = 5) -> int:
    async with purses_open(path) as runtime:
        position = await publish(runtime, coins(number))
        await runtime.query(Purses, BALANCES, at_least=position)
    return position


@pytest.mark.parametrize(("projector", "what"), [(Renamed, "its handlers"), (Widened, "its tables, or the events")])
async def test_a_change_under_the_same_version_is_refused(
    tmp_path: Path, projector: type[Projector], what: str
) -> None:
    await made(tmp_path)
    with pytest.raises(ProjectionChanged) as refused:
        async with purses_open(tmp_path, projector):
            pass
    sentence = str(refused.value)
    assert f"projector 'purses' changed and is still version 1: {what}" in sentence
    assert "give it version=2, and it is rebuilt beside the old one; or run `procession projections rebuild" in sentence
    async with purses_open(tmp_path) as runtime:
        assert await runtime.query(Purses, BALANCES) == [("ann", 5, 5)]


async def test_a_docstring_is_no_change(tmp_path: Path) -> None:
    class Described(Projector, name="purses", version=1):
        """Says more."""

        tables = (TABLE,)

        @projects
        def saved(self, saved: CoinSaved, store: Store) -> None:
            """One."""
            store.execute("select 1")

    class DescribedBetter(Projector, name="purses", version=1):
        """Says even more."""

        tables = (TABLE,)

        @projects
        def saved(self, saved: CoinSaved, store: Store) -> None:
            """Another."""
            store.execute("select 1")

    for projector in (Described, DescribedBetter):
        async with purses_open(tmp_path, projector) as runtime:
            assert await runtime.query(projector, BALANCES) == []


async def test_a_raised_version_is_rebuilt_beside_the_old_one(tmp_path: Path) -> None:
    position = await made(tmp_path)
    async with purses_open(tmp_path, Second, settings=SMALL_BATCHES) as runtime:
        assert await runtime.query(Second, "select count(*) from purses") == [(1,)]
        await until_whole(runtime, 2)
        assert await runtime.query(Second, "select * from purses", at_least=position) == [("ann", 5)]
        position = await publish(runtime, coins(1))
        assert await runtime.query(Second, "select * from purses", at_least=position) == [("ann", 6)]
    assert stores(tmp_path) == ["purses-0002.db"]


@pytest.mark.parametrize("place", ["commit", "finish"])
async def test_a_disk_that_is_full_for_a_while_ends_no_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    position = await made(tmp_path)
    full = [True]
    commit, finish = ProjectionStore.commit, StoreFolder.finish

    def commit_if_room(store: ProjectionStore, *given: Any) -> None:  # noqa: ANN401 - as the store
        if full and place == "commit" and store.path.endswith(".building"):
            raise sqlite3.OperationalError("database or disk is full")
        commit(store, *given)

    def finish_if_room(folder: StoreFolder, *given: Any) -> Any:  # noqa: ANN401 - as the folder
        if full and place == "finish":
            raise OSError(errno.ENOSPC, "No space left on device")
        return finish(folder, *given)

    monkeypatch.setattr(ProjectionStore, "commit", commit_if_room)
    monkeypatch.setattr(StoreFolder, "finish", finish_if_room)
    async with purses_open(tmp_path, Second, settings=SMALL_BATCHES) as runtime:
        with trio.fail_after(40):
            while "can't be made whole yet" not in caplog.text:
                await trio.testing.wait_all_tasks_blocked(0.01)
        await publish(runtime, coins(1))
        assert await runtime.query(Second, "select count(*) from purses") == [(1,)]
        full.clear()
        await until_whole(runtime, 2)
        assert await runtime.query(Second, "select * from purses", at_least=position + 1) == [("ann", 6)]


async def test_an_older_projector_is_refused(tmp_path: Path) -> None:
    await made(tmp_path)
    async with purses_open(tmp_path, Second) as runtime:
        await until_whole(runtime, 2)
    with pytest.raises(ProjectionChanged, match="has version 1, its store was made by version 2; start the newer code"):
        async with purses_open(tmp_path, Purses):
            pass


async def test_another_python_compiles_the_same_projector(tmp_path: Path) -> None:
    await made(tmp_path)
    with closing(sqlite3.connect(tmp_path / STORES / "purses-0001.db")) as store, store:
        store.execute("update procession_projection set code = 'as 3.9 compiled it', python = '3.9'")
    for _ in range(2):
        async with purses_open(tmp_path) as runtime:
            assert await runtime.query(Purses, BALANCES) == [("ann", 5, 5)]


# Stores that can't be used.


async def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"there is no such folder; make it, or name another by projections="):
        async with purses_open(tmp_path, projections=tmp_path / "none"):
            pass
    assert not (tmp_path / "purses.db").exists()


async def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnusable, match="it is no folder"):
        async with purses_open(tmp_path, projections=tmp_path / "file"):
            pass


async def test_a_store_of_another_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    await made(tmp_path)
    await made(tmp_path / "other")
    folder = tmp_path / "other" / STORES
    before = (folder / "purses-0001.db").read_bytes()
    with pytest.raises(StoreUnusable, match=r"it is of the journal .*; name the folder that belongs to this journal"):
        async with purses_open(tmp_path, projections=folder):
            pass
    assert (folder / "purses-0001.db").read_bytes() == before
    async with purses_open(tmp_path) as runtime:
        assert await runtime.query(Purses, BALANCES) == [("ann", 5, 5)]


async def test_a_store_that_is_ahead_of_a_restored_journal_is_refused(tmp_path: Path) -> None:
    async with purses_open(tmp_path) as runtime:
        await publish(runtime, coins(2))
        await runtime.journal.backup(str(tmp_path / "copy.db"))
        position = await publish(runtime, coins(2))
        await runtime.query(Purses, BALANCES, at_least=position)
    (tmp_path / "copy.db").replace(tmp_path / "purses.db")
    with pytest.raises(StoreUnusable, match="holds events up to 4 that this journal, up to 2, has not"):
        async with purses_open(tmp_path):
            pass


@pytest.mark.parametrize("content", [b"", b"no database, but long enough to be looked at" * 40])
async def test_a_file_of_another_kind_is_refused_an_empty_one_is_not(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STORES).mkdir()
    (tmp_path / STORES / "purses-0001.db").write_bytes(content)
    refused: list[StoreUnusable] = []
    try:
        async with purses_open(tmp_path) as runtime:
            assert await runtime.query(Purses, BALANCES) == []
    except StoreUnusable as error:
        refused.append(error)
    assert bool(refused) == bool(content)


class Vague(Projector, name="vague", version=1):
    tables = ("create tabel purses (purse)",)
    saved = Purses.saved


class Greedy(Projector, name="greedy", version=1):
    tables = ("create table purses (purse)", "insert into procession_projection values (2)")
    saved = Purses.saved


async def test_tables_that_are_no_sql_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match='near "tabel": syntax error; mend `tables`'):
        async with purses_open(tmp_path, Vague):
            pass


async def test_tables_reach_for_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="the table in which the store keeps its position"):
        async with purses_open(tmp_path, Greedy):
            pass


async def test_what_is_refused_at_the_start_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    position = await made(tmp_path)
    for _ in range(3):
        with pytest.raises(ProjectionChanged):
            async with purses_open(tmp_path, Renamed):
                pass
    async with purses_open(tmp_path) as runtime:
        owner = await runtime.journal.owner()
        assert owner is not None
        assert owner.unclean_starts == 0
        assert (await runtime.journal.heads()).position == position


def names_in(folder: Path) -> Iterator[str]:
    yield from (re.sub(r"\d+", "N", name) for name in sorted(file.name for file in folder.iterdir()))


async def test_projections_of_one_journal_lie_beside_each_other(tmp_path: Path) -> None:
    async with purses_open(tmp_path, Purses, Coins):
        pass
    assert list(names_in(tmp_path / STORES)) == ["coins-N.db", "coins.lock", "purses-N.db", "purses.lock"]


def test_two_projectors_with_one_store_are_refused() -> None:
    class Other(Projector, name="other", store="Purses"):
        tables = (TABLE,)
        saved = Purses.saved

    with pytest.raises(DefinitionError, match=r"has the store 'Purses', as Purses .* does") as refused:
        build_registry([], [], projectors=[Purses, Other])
    assert refused.value.code == "LAW09"
