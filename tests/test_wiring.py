"""Wirings whose gateways are classes: combined, checked, drawn, explored, simulated and run by the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import trio

from procession import Gateway, Settings, Wiring
from procession.errors import WiringError
from procession.laws.wiring_check import check_wiring
from procession.testing import World, explore, simulate
from procession.wiring import combine, load_wiring, open_wired, registry_of
from tests.daemon.command import ROOT, run_json, written
from tests.daemon.inside import json_inside, run_inside
from tests.fixtures.lamps import Caretaker, Lamp, LampBroken, MendLamp, Rounds, wire_production, wire_testing

WIRING = wire_testing(Settings())
SETTINGS = Settings(modules=("tests.fixtures.lamps",), import_paths=(str(ROOT),))


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A folder with a configuration that names the module."""
    (tmp_path / "lamps.toml").write_text(f'modules = ["tests.fixtures.lamps"]\nimport_paths = ["{ROOT}"]\n')
    return tmp_path


async def test_a_loaded_wiring_opens_with_its_resources_and_injectors(tmp_path: Path) -> None:
    wiring = load_wiring(SETTINGS, "testing")
    async with open_wired(wiring, SETTINGS, journal=tmp_path / "j.db") as runtime:
        assert await runtime.flow(Lamp, "Oak").wait_ended() == "completed"


async def test_without_its_injectors_only_what_is_published_comes_in(tmp_path: Path) -> None:
    async with open_wired(WIRING, SETTINGS, journal=tmp_path / "j.db", injecting=False) as runtime:
        await runtime.publish(LampBroken("Elm"), id="1")
        await runtime.drain()
        assert [flow.key for flow in await runtime.flows()] == ["Elm"]


async def test_what_only_an_injector_needs_is_refused_also_where_it_is_not_run(tmp_path: Path) -> None:
    wiring = attrs.evolve(WIRING, resources={"toolbox": object(), "where": "x"})
    with pytest.raises(WiringError, match=r"injector Rounds \(.*\) needs 'street', which is no resource"):
        async with open_wired(wiring, SETTINGS, journal=tmp_path / "j.db", injecting=False):
            pass
    assert list(tmp_path.iterdir()) == []


def test_wirings_combine_with_the_resources_that_they_share() -> None:
    shared = object()
    first = Wiring((Lamp,), (Caretaker,), resources={"toolbox": shared, "where": "cellar"})
    second = Wiring((), (), injectors=(Rounds,), resources={"toolbox": shared, "street": "Elm"})
    both = combine([first, second])
    assert both.resources == {"toolbox": shared, "where": "cellar", "street": "Elm"}
    assert both.injectors == (Rounds,)


def test_two_resources_of_one_name_are_refused() -> None:
    first = Wiring((), (), resources={"toolbox": object()})
    with pytest.raises(WiringError, match=r"two modules have a resource 'toolbox': a object and .*open_other; give"):
        combine([first, Wiring((), (), resources={"toolbox": open_other})])


def open_other() -> None:
    """Another factory."""


def test_a_registry_needs_no_instance() -> None:
    registry = registry_of(WIRING)
    assert registry.gateways == {"caretaker": Caretaker}
    assert registry.receivers[MendLamp].gateway is Caretaker


def test_a_check_needs_no_instance() -> None:
    assert [finding.code for finding in check_wiring(WIRING)] == []


def test_two_gateway_classes_for_one_command_are_refused() -> None:
    class Janitor(Caretaker, name="janitor"):
        pass

    both = attrs.evolve(WIRING, gateways=(Caretaker, Janitor))
    with pytest.raises(WiringError, match=r"Janitor.mend takes MendLamp, as Caretaker.mend"):
        registry_of(both)
    assert "DEF08" in {finding.code for finding in check_wiring(both)}


def test_a_gateway_named_twice_is_refused_as_class_and_as_instance() -> None:
    gateways: tuple[Gateway | type[Gateway], ...] = (Caretaker, Caretaker)
    with pytest.raises(WiringError, match="two gateway classes have the stored name 'caretaker'"):
        registry_of(attrs.evolve(WIRING, gateways=gateways))


async def test_a_world_plays_gateway_classes_and_opens_nothing(autojump_clock: trio.abc.Clock) -> None:
    async with World(WIRING) as world:
        await world.publish(LampBroken("Elm"))
        await world.settle()
        assert world.commands(MendLamp) == (MendLamp("Elm"),)


def test_exploring_needs_no_instance() -> None:
    explore(Lamp, wiring=WIRING).assert_clean()


def test_simulating_needs_no_instance() -> None:
    report = simulate(WIRING, load=[LampBroken("Elm"), LampBroken("Oak")], seeds=range(3), may_wait=[Lamp])
    assert report.seeds == 3


def test_the_command_line_takes_gateway_classes(configured: Path) -> None:
    config = ("--config", "lamps.toml")
    assert run_inside("check", *config, cwd=configured).code == 0
    assert "caretaker" in run_inside("map", *config, cwd=configured).out
    assert run_inside("explore", *config, cwd=configured).code == 0
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": "lamp.broken",
        "data": {"lamp": "Ash"},
    }
    file = written(configured / "events.jsonl", [event])
    found = json_inside("publish", file, *config, "--journal", "a.db", cwd=configured)
    assert (found["accepted"], found["journal"]["outcomes"]) == (1, {"lamp": {"completed": 1}})
    assert run_inside("why-not", "lamp/Ash", *config, "--journal", "a.db", cwd=configured).code == 0


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('"where": "cellar", ', "", "needs 'where', which is no resource"),
        (
            '"where": "cellar", ',
            '"where": "cellar", "spare": 1, ',
            "resource 'spare' is used by no gateway or injector",
        ),
    ],
)
def test_check_and_doctor_say_what_the_start_would_refuse(tmp_path: Path, old: str, new: str, found: str) -> None:
    text = (ROOT / "tests/fixtures/lamps.py").read_text().replace(old, new)
    (tmp_path / "changed.py").write_text(text)
    (tmp_path / "lamps.toml").write_text('modules = ["changed"]\nimport_paths = ["."]\n')
    config = ("--config", "lamps.toml")
    checked = run_inside("check", *config, cwd=tmp_path)
    assert (checked.code, found in checked.err) == (2, True), checked
    checks = json_inside("doctor", *config, cwd=tmp_path, code=1)["checks"]
    assert found in next(check["found"] for check in checks if check["name"] == "flows")


def test_a_demo_plays_gateway_classes_on_a_bad_day(configured: Path) -> None:
    found = run_json("demo", "--flows", "60", "--config", "lamps.toml", "--journal", "a.db", cwd=configured)
    assert found["attempts_failed"] > 0
    assert sum(found["journal"]["flows"]["lamp"].values()) == 60


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", "", "Success"),
        ('"toolbox": open_toolbox, "where": "test"', '"where": "test"', 'Missing key "toolbox" for TypedDict'),
        ('"where": "test"', '"where": 3', 'Incompatible types (expression has type "int", TypedDict item "where"'),
        ("(Caretaker,)", "(Toolbox,)", 'incompatible type "tuple[type[Toolbox]]"'),
        ("injectors=(Rounds,)", "injectors=(Caretaker,)", 'incompatible type "tuple[type[Caretaker]]"'),
    ],
)
def test_a_type_checker_proves_that_both_wirings_cover_everything(
    tmp_path: Path, old: str, new: str, found: str
) -> None:
    source = (ROOT / "tests/fixtures/lamps.py").read_text()
    assert old in source
    (tmp_path / "lamps.py").write_text(source.replace(old, new, 1))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), "lamps.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env={"MYPYPATH": str(ROOT / "runtime")}
    )
    assert found in done.stdout, done.stdout + done.stderr


def test_production_and_testing_wire_the_same_classes() -> None:
    production = wire_production(Settings())
    assert (production.gateways, production.injectors) == (WIRING.gateways, WIRING.injectors)
