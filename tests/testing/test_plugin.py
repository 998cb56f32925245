"""The plugin: what a project gets from pytest once procession is installed, and what it does not pay for it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from procession.testing.plugin import seeds_of

ROOT = Path(__file__).parent.parent.parent
ENTRY_POINTS = {"procession": "procession.testing.plugin"}
TESTS = """
import time

import pytest
import trio
from procession import Event, ProcessManager, open_runtime, starts
from procession.testing import given

class Placed(Event, name="order.placed"):
    order: str

class Declined(Event, name="order.declined"):
    order: str

class Order(ProcessManager, name="order", key="order", concerns=(Declined,)):
    @starts
    def placed(self, placed: Placed) -> None: ...

@pytest.mark.parametrize("event", [Placed("1"), Declined("1")])
def test_ids(event): pass

def test_seeds(procession_seeds):
    print("seeds", procession_seeds)

class Late(ProcessManager, name="late", key="order"):
    @starts
    def placed(self, placed: Placed) -> None:
        getattr(time, placed.order)()

async def run(path):
    async with open_runtime(path, processes=[Late]) as runtime:
        await runtime.publish(Placed("time"))
        await runtime.drain()
        return [flow.status for flow in await runtime.flows()]

def test_purity_is_not_held(tmp_path):
    assert trio.run(run, tmp_path / "a.db") == ["active"]

@pytest.mark.usefixtures("pure_turns")
def test_purity_is_held(tmp_path):
    assert trio.run(run, tmp_path / "a.db") == ["quarantined"]

def test_fails():
    given(Order, Placed("1")).when(Declined("1")).then_ends()
"""


def pytest_run(folder: Path, *arguments: str) -> str:
    """What a pytest process of its own prints, with this plugin and no other."""
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    plugins = ["-p", "procession.testing.plugin", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "runtime"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout + run.stderr


def test_it_is_announced_to_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == ENTRY_POINTS


def test_a_project_gets_names_seeds_pure_turns_and_failures_that_show_its_own_lines(tmp_path: Path) -> None:
    said = pytest_run(tmp_path, "-v", "-s", "--procession-seeds", "17-19")
    assert "test_it.py::test_ids[Placed] PASSED" in said
    assert "test_it.py::test_ids[Declined] PASSED" in said
    assert "seeds range(17, 20)" in said
    assert "test_it.py::test_purity_is_not_held PASSED" in said
    assert "test_it.py::test_purity_is_held PASSED" in said
    assert "scenario.py" not in said
    assert ">       given(Order" in said
    assert "! ends 'completed' |" in said


@pytest.mark.parametrize(("text", "seeds"), [("1", [0]), ("3", [0, 1, 2]), ("17-17", [17]), ("5-6", [5, 6])])
def test_seeds_are_so_many_or_those_from_one_to_another(text: str, seeds: list[int]) -> None:
    assert list(seeds_of(text)) == seeds


@pytest.mark.parametrize("text", ["0", "few", "5-3", "-1", "1-", "", "1-2-3", "9" * 19])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' names no seeds; write a number of them"):
        seeds_of(text)


def test_loading_it_loads_neither_trio_nor_hypothesis() -> None:
    code = "import procession.testing.plugin, sys; print({'trio', 'hypothesis', 'attrs', 'cattrs'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "set()"
