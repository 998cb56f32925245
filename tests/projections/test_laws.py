"""Law 5 for any history, and for a process that dies at any commit: the projection is what the events say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest
import trio

from procession import Event, Projector, Settings, open_runtime
from procession.journal.memory import MemoryJournal
from procession.settings import ProjectorsSettings
from procession.testing import project
from tests.daemon.command import ROOT, environment
from tests.projections.purses import (
    BALANCES,
    EVENTS,
    BellRang,
    Coins,
    CoinSaved,
    CoinSpent,
    PurseLost,
    Purses,
    coins,
    publish,
    purses_open,
)

PURSES = st.sampled_from(["ann", "bob", "eve"])
CENTS = st.integers(1, 9)
FACTS = st.one_of(
    st.builds(CoinSaved, PURSES, CENTS),
    st.builds(CoinSpent, PURSES, CENTS),
    st.builds(PurseLost, PURSES),
    st.builds(BellRang, CENTS),
)
TABLES: dict[type[Projector], str] = {Purses: BALANCES, Coins: "select * from coins order by purse"}


@pytest.mark.parametrize("projector", TABLES)
@hypothesis.settings(max_examples=25)
@hypothesis.given(st.lists(st.lists(FACTS, max_size=8), max_size=5), st.integers(1, 9))
def test_a_rebuild_equals_the_live_one_for_any_history(
    projector: type[Projector], commits: list[list[Event]], rows_max: int
) -> None:
    async def lived() -> None:
        settings = Settings(projectors=ProjectorsSettings(batch_rows_max=rows_max))
        async with open_runtime(
            MemoryJournal(), processes=[], events=EVENTS, projectors=[projector], settings=settings
        ) as runtime:
            position = 0
            for events in filter(None, commits):
                position = await publish(runtime, events)
            live = await runtime.query(projector, TABLES[projector], at_least=position)
            await runtime.rebuild(projector)
            rebuilt = await runtime.query(projector, TABLES[projector], at_least=position)
        whole = [event for events in commits for event in events]
        assert live == rebuilt == project(projector, *whole).query(TABLES[projector])

    trio.run(lived)


CHILD = """
import itertools, os, signal, sys, trio
from pathlib import Path
from procession.projections import store
from tests.projections.purses import *

folder, when, act = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
commit = store.ProjectionStore.commit

def dies_at(number):
    commits = itertools.count(1)
    def dying(self, *arguments):
        this = next(commits)  # each projector commits in a thread of its own
        if this == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, *arguments)
        if this == number and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
    store.ProjectionStore.commit = dying

async def main(place):
    settings = Settings(projectors=ProjectorsSettings(batch_rows_max=3))
    async with purses_open(place, Purses, Coins, settings=settings) as runtime:
        head = (await runtime.journal.heads()).position
        for projector in (Purses, Coins):
            await runtime.query(projector, "select 1", at_least=head)
        if act == "rebuild":
            await runtime.rebuild(Purses)

for number in map(int, sys.argv[4:]):
    pid = os.fork()
    if not pid:
        dies_at(number)
        trio.run(main, folder / str(number))
        os._exit(0)
    print(number, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
WRITTEN = 12
COMMITS = 2 * WRITTEN // 3
OF_A_REBUILD = WRITTEN // 3


async def test_killed_at_a_commit_each_event_counts_once(tmp_path: Path) -> None:
    await killed_at(tmp_path, "after", "follow", range(3, 5))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_every_commit_each_event_counts_once(tmp_path: Path, when: str) -> None:
    await killed_at(tmp_path, when, "follow", range(1, COMMITS + 1))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_every_commit_of_a_rebuild_each_event_counts_once(tmp_path: Path, when: str) -> None:
    await killed_at(tmp_path, when, "rebuild", range(COMMITS + 1, COMMITS + 1 + OF_A_REBUILD))


async def killed_at(folder: Path, when: str, act: str, commits: range) -> None:
    """For each commit a journal of its own, and a process that dies right before or after it; then all is there."""
    async with open_runtime(folder / "purses.db", processes=[], events=EVENTS) as runtime:
        await publish(runtime, [*coins(WRITTEN - 2), CoinSaved("bob", 7), CoinSpent("bob", 2)])
    for number in commits:
        (folder / str(number)).mkdir()
        shutil.copy(folder / "purses.db", folder / str(number) / "purses.db")
    done = await trio.to_thread.run_sync(_dying, folder, when, act, commits)
    assert done.stdout.decode().splitlines() == [f"{number} -9" for number in commits], done.stderr.decode()
    for number in commits:
        async with purses_open(folder / str(number), Purses, Coins) as runtime:
            purses = await runtime.query(Purses, BALANCES, at_least=WRITTEN)
            saved = await runtime.query(Coins, "select purse, saved from coins", at_least=WRITTEN)
            assert (purses, saved) == ([("ann", 10, 10), ("bob", 5, 1)], [("ann", 10), ("bob", 1)])
            assert [info.events for info in runtime.projections()] == [12, 11]


def _dying(folder: Path, when: str, act: str, commits: range) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), when, act, *map(str, commits)],
        cwd=ROOT,
        env=environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'runtime'}"},
        capture_output=True,
        timeout=120,
        check=False,
    )
