"""`procession projections`: listed, rebuilt with and without an owner, and compared with a rebuild."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from procession import Event, Runtime, Settings, open_runtime
from procession.journal.sqlite_reader import read_sqlite
from procession.settings import ProjectorsSettings
from tests.daemon.command import run
from tests.daemon.inside import json_inside, run_inside
from tests.projections.purses import EVENTS, BellRang, CoinSaved, Purses, coins, publish, purses_open

CONFIG = "purses.toml"
WHERE = ("--config", CONFIG, "--journal", "purses.db")
FLOWS = """
from procession import Wiring
from tests.projections.purses import EVENTS, Purses

def wire_production(settings):
    return Wiring((), (), events=EVENTS, projectors=(Purses,))

wire_testing = wire_production
"""
QUICK = Settings(projectors=ProjectorsSettings(look_interval_s=0.05))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "changed.py").write_text(FLOWS)
    (tmp_path / CONFIG).write_text('modules = ["changed"]\nimport_paths = ["."]\n')
    return tmp_path


@pytest.fixture
def written(project: Path) -> Path:
    """A journal of four events, all projected."""

    async def write() -> None:
        async with purses_open(project) as runtime:
            position = await publish(runtime, [*coins(3), CoinSaved("bob", 2)])
            await runtime.query(Purses, "select 1", at_least=position, timeout_s=30)

    trio.run(write)
    return project


def store_of(project: Path, number: int) -> Path:
    return project / "purses.db.projections" / f"purses-{number:04}.db"


def listed(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json_inside("projections", "ls", *WHERE, cwd=project)["projections"][0]
    return found


def test_ls_tells_where_each_stands(written: Path) -> None:
    assert listed(written) == {
        "name": "purses",
        "version": 1,
        "state": "ready",
        "version_stored": 1,
        "position": 4,
        "lag_positions": 0,
        "events": 4,
        "path": str(store_of(Path(), 1)),
        "building_position": None,
        "pid": None,
    }
    done = run_inside("projections", "ls", *WHERE, cwd=written)
    assert done.out.split("\t")[:6] == ["purses", "1", "ready", "4", "0", "4"]


def checked(project: Path, code: int = 0) -> dict[str, Any]:
    """What doctor says of the projection."""
    checks = json_inside("doctor", *WHERE, cwd=project, code=code)["checks"]
    found: dict[str, Any] = next(check for check in checks if check["name"].startswith("projection"))
    return found


def test_doctor_tells_of_each_projection(written: Path) -> None:
    assert (checked(written)["grade"], checked(written)["found"]) == ("ok", "at 4, up to date")
    shutil.rmtree(written / "purses.db.projections")
    assert checked(written)["found"] == "no store was made yet"
    assert listed(written)["state"] == "none"
    (written / CONFIG).write_text((written / CONFIG).read_text() + '[projectors]\nfolder = "elsewhere"\n')
    assert "there is no such folder" in checked(written, code=1)["found"]


def test_what_came_since_and_concerns_none_is_no_lag(written: Path) -> None:
    trio.run(_publish, written, [BellRang(1), BellRang(2)])
    assert (listed(written)["position"], listed(written)["lag_positions"]) == (4, 0)
    trio.run(_publish, written, [*coins(1), BellRang(3)])
    assert (listed(written)["position"], listed(written)["lag_positions"]) == (4, 2)


def test_a_store_that_is_ahead_of_a_restored_journal_is_shown_as_that_and_can_be_rebuilt(written: Path) -> None:
    assert run_inside("backup", "copy.db", *WHERE, cwd=written).code == 0

    async def go_on() -> None:
        async with purses_open(written) as runtime:
            position = await publish(runtime, coins(2))
            await runtime.query(Purses, "select 1", at_least=position, timeout_s=30)

    trio.run(go_on)
    (written / "copy.db").replace(written / "purses.db")
    assert (listed(written)["state"], listed(written)["position"]) == ("ahead", 6)
    failed = checked(written, code=1)
    assert "holds events that the journal has not" in failed["found"]
    assert failed["cure"] == "run `procession projections rebuild purses`"
    json_inside("projections", "rebuild", *WHERE, cwd=written)
    assert (listed(written)["state"], listed(written)["position"]) == ("ready", 5)


def test_a_rebuild_with_no_owner_takes_the_place(written: Path) -> None:
    who = ("--by", "ann", "--reason", "a column more")
    found = json_inside("projections", "rebuild", *who, *WHERE, cwd=written)
    (rebuilt,) = found["rebuilt"]
    assert (rebuilt["projector"], rebuilt["position"], rebuilt["events"]) == (
        "purses",
        5,
        4,
    )
    assert (rebuilt["taken_up_by_owner"], found["stopped_by"]) == (False, None)
    assert listed(written)["path"] == str(store_of(Path(), 2))
    assert not store_of(written, 1).exists()
    assert requested(written / "purses.db") == [{"projection": "purses", "by": "ann", "why": "a column more"}]


def requested(journal: Path) -> list[dict[str, Any]]:
    """The rebuilds that the journal knows of."""

    async def read() -> list[dict[str, Any]]:
        reader = await read_sqlite(journal)
        try:
            rows = await reader.events(0, 100, ["procession.projection_rebuild_requested"])
        finally:
            await reader.close()
        return [json.loads(row.payload) for row in rows]

    return trio.run(read)


def test_what_was_never_projected_is_rebuilt_from_the_journal(written: Path) -> None:
    for file in (written / "purses.db.projections").iterdir():
        file.unlink()
    assert listed(written)["state"] == "none"
    json_inside("projections", "rebuild", "purses", *WHERE, cwd=written)
    assert (listed(written)["state"], listed(written)["events"]) == ("ready", 4)


def test_verify_says_that_a_rebuild_makes_the_same(written: Path) -> None:
    done = run_inside("projections", "verify", *WHERE, cwd=written)
    assert done.out == "purses: a rebuild of 4 events makes the same\n"


def test_verify_shows_what_differs(written: Path) -> None:
    with closing(sqlite3.connect(store_of(written, 1))) as store, store:
        store.execute("update purses set cents = 99 where purse = 'bob'")
    done = run_inside("projections", "verify", *WHERE, cwd=written)
    assert done.code == 1
    assert done.out == "purses: 1 rows of purses differ; it has ('bob', 99, 1), a rebuild makes ('bob', 2, 1)\n"
    (found,) = json_inside("projections", "verify", *WHERE, cwd=written, code=1)["verified"]
    assert [difference["table"] for difference in found["differences"]] == ["purses"]


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (("rebuild", "nobody"), 3, "there is no projector 'nobody'; the configuration has purses"),
        (("ls", "--folder", "none"), 5, "there is no such folder"),
        (("polish",), 2, "invalid choice: 'polish'"),
    ],
)
def test_what_is_not_there_is_refused(written: Path, arguments: tuple[str, ...], code: int, found: str) -> None:
    done = run_inside("projections", *arguments, *WHERE, cwd=written)
    assert done.code == code
    assert found in done.err


async def test_a_rebuild_beside_an_owner_is_taken_up_by_it(project: Path) -> None:
    async with purses_open(project, settings=QUICK) as runtime:
        position = await publish(runtime, coins(3))
        await runtime.query(Purses, "select 1", at_least=position, timeout_s=30)
        done = await trio.to_thread.run_sync(_inside, project, "rebuild")
        assert done["rebuilt"][0]["taken_up_by_owner"]
        await taken_up(runtime)
        position = await publish(runtime, coins(1))
        found = await runtime.query(Purses, "select coins from purses", at_least=position, timeout_s=30)
        assert found == [(4,)]
        shown = await trio.to_thread.run_sync(_inside, project, "ls")
        assert shown["projections"][0]["pid"] is not None
    assert not store_of(project, 1).exists()


async def taken_up(runtime: Runtime) -> None:
    with trio.fail_after(30):
        while not runtime.projections()[0].path.endswith("0002.db"):
            await trio.testing.wait_all_tasks_blocked(0.02)


async def _publish(project: Path, events: Sequence[Event]) -> None:
    """Into the journal, while nobody projects."""
    async with open_runtime(project / "purses.db", processes=[], events=EVENTS) as runtime:
        await publish(runtime, events)


def _inside(project: Path, act: str) -> Any:  # noqa: ANN401 - JSON
    done = run("projections", act, "--json", *WHERE, cwd=project, environ={"PYTHONPATH": _PATHS})
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


_PATHS = ":".join(str(Path(__file__).parents[2] / name) for name in ("", "runtime"))
