"""`procession run` over a wiring that has all there is: resources, injectors, aggregates and projections."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.command import run, run_json
from tests.daemon.serving import Daemon, project, serving
from tests.daemon.test_projections import requested

pytestmark = pytest.mark.timeout(180)  # each test starts many processes

FLOWS = """
import contextlib
import pathlib
import time

import trio

from procession import (
    Aggregate, Command, Effects, Event, Gateway, Injector, Intake, ProcessManager, Projector, Refusal, Store, Wiring,
    applies, decides, ends, on, projects, starts,
)


class Rang(Event, name="bell.rang"):
    door: str


class Opened(Event, name="door.opened"):
    door: str


class Greeted(Event, name="guest.greeted"):
    door: str


class OpenDoor(Command, name="door.open"):
    door: str


class Greet(Command, name="guest.greet"):
    door: str


class AlreadyOpen(Refusal, name="door.already_open"):
    door: str


class Door(Aggregate, name="door", key="door"):
    is_open: bool = False

    @applies
    def was_opened(self, opened: Opened) -> "Door":
        return self.evolve(is_open=True)

    @decides
    def open(self, command: OpenDoor) -> Opened | AlreadyOpen:
        return AlreadyOpen(command.door) if self.is_open else Opened(command.door)


class Visit(ProcessManager, name="visit", key="door"):
    @starts
    def let_in(self, rang: Rang) -> Effects:
        yield OpenDoor(rang.door)

    @on
    def greet(self, opened: Opened) -> Effects:
        yield Greet(opened.door)

    @ends
    def seated(self, greeted: Greeted) -> None: ...


class Log:
    def __init__(self, name: str) -> None:
        self.path = pathlib.Path(name)

    def add(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(line + "\\n")


@contextlib.asynccontextmanager
async def open_log(name: str):
    log = Log(name)
    log.add("opened")
    try:
        yield log
    finally:
        log.add("closed")


class Host(Gateway, name="host"):
    log: Log

    async def greet(self, command: Greet) -> Greeted:
        self.log.add("greeted " + command.door)
        return Greeted(command.door)


class Bell(Injector, name="bell"):
    log: Log

    async def run(self, publish: Intake) -> None:
        try:
            await publish(Rang("front"), id="1", source="bell")
            await trio.sleep_forever()
        finally:
            self.log.add("bell ended")


class Broken(Injector, name="broken"):
    log: Log

    async def run(self, publish: Intake) -> None:
        raise OSError("the line is cut")


class Doors(Projector, name="doors", version=1):
    tables = ("create table doors (door text primary key) strict",)

    @projects
    def opened(self, opened: Opened, store: Store) -> None:
        store.execute("insert into doors values (?)", (opened.door,))


class Brittle(Projector, name="brittle", version=1):
    tables = ("create table doors (door text primary key) strict",)

    @projects
    def opened(self, opened: Opened, store: Store) -> None:
        store.execute("insert into rooms values (?)", (opened.door,))


def wire_production(settings: object) -> Wiring:
    return Wiring(
        processes=(Visit,), gateways=(Host,), aggregates=(Door,), projectors=(Doors, Brittle),
        injectors=(Bell, Broken), resources={"log": open_log, "name": "log.txt"},
    )


wire_testing = wire_production
"""
QUICK = "[supervision]\nrestarts_max = 1\nbackoff_initial_s = 0.01\nbackoff_max_s = 0.02\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = project(tmp_path_factory.mktemp("whole"), QUICK)
    (folder / "errands.py").write_text(FLOWS)
    with serving(folder) as running:
        yield running


def tree_of(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """Every actor of the running tree by name."""
    found: dict[str, dict[str, Any]] = {}
    left = [run_json("top", cwd=daemon.folder)["tree"]]
    while left:
        actor = left.pop()
        found[actor["name"]] = actor
        left += actor["children"]
    return found


def settled(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """The tree once both that fail were given up and the guest was seated."""
    while True:
        tree = tree_of(daemon)
        if {tree["brittle"]["state"], tree["injectors/broken"]["state"]} == {"failed"} and run_json(
            "ls", "--status", "ended", cwd=daemon.folder
        )["flows"]:
            return tree


def test_what_fails_is_shown_as_stopped_and_disturbs_nobody(daemon: Daemon) -> None:
    tree = settled(daemon)
    assert "OSError: the line is cut" in tree["injectors/broken"]["detail"]
    assert "stopped at position 0" in tree["brittle"]["detail"]
    assert (tree["injectors/bell"]["state"], tree["host"]["state"], tree["doors"]["state"]) == ("running",) * 3
    (visit,) = run_json("ls", cwd=daemon.folder)["flows"]
    assert (visit["flow"], visit["outcome"]) == ("visit/front", "completed")


def test_what_has_stopped_is_named_first_and_to_the_service_manager(daemon: Daemon) -> None:
    settled(daemon)
    first = run("top", cwd=daemon.folder).stdout.decode().splitlines()[0]
    assert "well" not in first
    assert "stopped: brittle, injectors/broken" in first
    assert run_json("top", cwd=daemon.folder)["stopped"] == ["brittle", "injectors/broken"]
    while "stopped: brittle, injectors/broken" not in daemon.listen("STATUS")["STATUS"]:
        pass


def test_a_rebuild_beside_it_is_an_act_in_its_journal(daemon: Daemon) -> None:
    settled(daemon)
    done = run("projections", "rebuild", "doors", "--by", "ann", "--reason", "to see", cwd=daemon.folder)
    assert done.returncode == 0, done.stderr
    assert requested(daemon.folder / "procession.db") == [{"projection": "doors", "by": "ann", "why": "to see"}]


def test_at_sigterm_injectors_end_first_and_resources_last(tmp_path: Path) -> None:
    folder = project(tmp_path, QUICK)
    (folder / "errands.py").write_text(FLOWS)
    with serving(folder) as daemon:
        settled(daemon)
        assert daemon.stop(signal.SIGTERM) == 0
        assert daemon.logged[-1]["message"] == "closed in order"
    assert (folder / "log.txt").read_text().splitlines() == ["opened", "greeted front", "bell ended", "closed"]
