"""The front door shows what it says: all of it, in order, the same to a checker as to Python."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import procession
import procession.testing


def homes_in_the_stub(door: ModuleType = procession) -> dict[str, str]:
    """Each name that the stub shows to type checkers, with the module that it comes from."""
    assert door.__file__ is not None
    tree = ast.parse(Path(door.__file__).with_suffix(".pyi").read_text("utf-8"))
    return {
        alias.asname or alias.name: node.module or ""
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_names_are_sorted_and_each_is_there_once() -> None:
    assert procession.__all__ == sorted(set(procession.__all__))


def test_a_type_checker_is_shown_the_same_names() -> None:
    assert sorted(homes_in_the_stub()) == procession.__all__


@pytest.mark.parametrize(("name", "home"), homes_in_the_stub().items())
def test_a_name_is_that_of_its_home(name: str, home: str) -> None:
    assert getattr(procession, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("name", procession.__all__)
def test_a_class_or_function_says_what_it_promises(name: str) -> None:
    shown = getattr(procession, name)
    assert (shown.__doc__ or "").strip() or not (inspect.isclass(shown) or inspect.isfunction(shown))


def test_the_names_are_listed() -> None:
    assert set(procession.__all__) <= set(dir(procession))


def test_a_name_that_is_not_there_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Sequence'"):
        _ = procession.Sequence  # type: ignore[attr-defined]  # what is to be refused


def loaded_by(code: str) -> frozenset[str]:
    """The modules that a new interpreter has loaded after it ran this."""
    told = f"{code}\nimport sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    return frozenset(run.stdout.split())


def parts_of(modules: frozenset[str], names: frozenset[str]) -> list[str]:
    """Which of these modules and packages were loaded, or something in them."""
    return sorted(module for module in modules if any(f"{module}.".startswith(f"{name}.") for name in names))


NOT_FOR_EVERY_SERVICE = frozenset(
    {
        "difflib",
        "opentelemetry",
        "procession.daemon",
        "procession.engine.shadow_child",
        "procession.engine.shadow_journal",
        "procession.journal.archive_verify",
        "procession.journal.archiver",
        "procession.journal.memory",
        "procession.journal.sqlite_archive",
        "procession.journal.sqlite_backup",
        "procession.journal.sqlite_verify",
        "procession.laws.participles",
        "procession.laws.projector_scan",
        "procession.laws.schemas",
        "procession.projections.projections",
        "procession.projections.store",
        "procession.reading.causes",
        "procession.reading.flow_map",
        "procession.reading.rehearsal",
        "procession.reading.replay",
        "procession.reading.timeline",
        "procession.reading.waits",
        "procession.testing",
        "procession.wiring",
        "httpx",
        "procession.gateways",
        "procession.human",
        "pytest",
        "hypothesis",
        "rich",
        "tomllib",
    }
)
"""What some services use some day: it is loaded then, and not before."""

READY_MADE = ("procession.gateways.", "procession.human.")
"""Where what only some services use has its home; who names that loads it."""

NOT_BEFORE_A_RUNTIME_OPENS = frozenset(
    {"aiosqlite", "asyncio", "cattrs", "procession.journal.sqlite", "procession.laws.purity_scan", "sqlite3"}
)


def test_importing_it_loads_nothing_yet() -> None:
    assert parts_of(loaded_by("import procession"), frozenset({"procession"})) == ["procession"]


def test_naming_what_services_use_loads_what_all_of_them_need_and_no_more() -> None:
    used = [name for name, home in homes_in_the_stub().items() if not home.startswith(READY_MADE)]
    loaded = loaded_by(f"from procession import {', '.join(used)}")
    assert "procession.engine.engine" in loaded
    assert parts_of(loaded, NOT_FOR_EVERY_SERVICE | NOT_BEFORE_A_RUNTIME_OPENS) == []


WITHOUT = """
import sys, procession
sys.modules[sys.argv[1]] = None
try:
    getattr(procession, sys.argv[2])
except ModuleNotFoundError as missing:
    print(missing)
"""


@pytest.mark.parametrize(
    ("name", "library", "says"),
    [
        ("Cron", "cronsim", "Cron needs the extra `cron`: pip install 'procession[cron]'"),
        ("HttpGateway", "httpx", "HttpGateway needs the extra `http-client`: pip install 'procession[http-client]'"),
        ("HttpPolicy", "httpx", "HttpGateway needs the extra `http-client`: pip install 'procession[http-client]'"),
    ],
)
def test_a_name_that_needs_an_extra_says_which(name: str, library: str, says: str) -> None:
    arguments = [sys.executable, "-c", WITHOUT, library, name]
    assert subprocess.run(arguments, capture_output=True, check=True, timeout=30, text=True).stdout.strip() == says


FIRST_FLOW = """
import sys, trio
from pathlib import Path
from tests.bench.startup import first_flow
trio.run(first_flow, Path(sys.argv[1]))
"""


def test_a_flow_on_a_new_file_loads_what_every_runtime_needs_and_no_more(tmp_path: Path) -> None:
    loaded = loaded_by(FIRST_FLOW.replace("sys.argv[1]", repr(str(tmp_path / "first.db"))))
    assert loaded >= {"aiosqlite", "cattrs", "procession.journal.sqlite"}
    assert parts_of(loaded, NOT_FOR_EVERY_SERVICE) == []


def test_the_testing_kit_shows_a_type_checker_the_same_names() -> None:
    assert sorted(homes_in_the_stub(procession.testing)) == sorted(procession.testing.__all__)


@pytest.mark.parametrize(("name", "home"), homes_in_the_stub(procession.testing).items())
def test_a_name_of_the_testing_kit_is_that_of_its_home(name: str, home: str) -> None:
    assert getattr(procession.testing, name) is getattr(importlib.import_module(home), name)


def test_a_name_that_the_testing_kit_does_not_have_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'take'"):
        _ = procession.testing.take  # type: ignore[attr-defined]  # what is to be refused
