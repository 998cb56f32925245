"""Tests that failed once are looked at again; what fails again, and what searches, has failed."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import second_look

HERE = Path(__file__).parent
INI = "[pytest]\nmarkers =\n    searches\n    slow\naddopts = -m 'not slow'\n"
# Each run of a test leaves a line: the how-manieth it is tells whether it fails.
FAILING = """
import pathlib, pytest
{mark}
def test_{name}():
    runs = pathlib.Path("{name}.runs")
    with runs.open("a") as file:
        file.write("run\\n")
    assert len(runs.read_text().splitlines()) not in {at}
"""
NO_BREACH = re.compile(r"\b(breaches|found)\b[^=]*== \[\]")
SEARCHING = ("crash/test_*.py", "simulation/test_swarm.py", "engine/test_clock_jumps.py")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def looked_at(folder: Path, failing: dict[str, str], mark: str = "", *, code: int | None = None) -> tuple[int, str]:
    """Run tests that fail at these of their runs, and look at them again."""
    (folder / "pytest.ini").write_text(INI)
    tests = [FAILING.format(name=name, at=at, mark=mark) for name, at in failing.items()]
    (folder / "test_it.py").write_text("\n".join(["def test_well():\n    pass\n", *tests]))
    first = run(folder, "-m", "pytest", "-m", "")
    again = run(folder, second_look.__file__, str(first.returncode if code is None else code), "passed-alone")
    return again.returncode, again.stderr


@pytest.mark.parametrize("mark", ["", "@pytest.mark.slow"])
def test_one_that_passes_alone_is_named(tmp_path: Path, mark: str) -> None:
    code, said = looked_at(tmp_path, {"a": "[1]", "b": "[1]"}, mark)
    assert code == 0, said
    assert "passed 3 of 3 alone: test_it.py::test_a, test_it.py::test_b" in said
    assert (tmp_path / "passed-alone").read_text() == "test_it.py::test_a\ntest_it.py::test_b\n"


@pytest.mark.parametrize(
    ("failing", "mark", "given", "said"),
    [
        ({"a": "[1, 4]"}, "", None, "failed again at look 3, alone (exit code 1)"),
        ({"a": "[1]", "b": "range(9)"}, "", None, "failed again at look 1"),
        ({"a": "[1]", "b": "[1]", "c": "[1]"}, "", None, "3 tests failed: up to 2"),
        ({"a": "[1]"}, "@pytest.mark.searches", None, "a test that searches has failed, which counts at once"),
        ({"a": "[1]"}, "", 2, "the run did not end (exit code 2)"),
        ({}, "", 1, "0 tests failed"),
    ],
)
def test_what_failed_stays_so(tmp_path: Path, failing: dict[str, str], mark: str, given: int | None, said: str) -> None:
    code, told = looked_at(tmp_path, failing, mark, code=given)
    assert code == (given or 1)
    assert said in told
    assert not (tmp_path / "passed-alone").exists()


def test_each_test_of_the_lab_that_finds_no_breach_searches() -> None:
    unmarked = []
    for path in (path for pattern in SEARCHING for path in sorted(HERE.glob(pattern))):
        text = path.read_text("utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                marked = any("pytest.mark.searches" in ast.unparse(one) for one in node.decorator_list)
                if not marked and NO_BREACH.search(ast.get_source_segment(text, node) or ""):
                    unmarked.append(f"{path.relative_to(HERE)}::{node.name}")
    assert unmarked == []
