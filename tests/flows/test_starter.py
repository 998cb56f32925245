"""The starter project works as it is: it is what a new user sees first."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import procession
from procession.settings import Settings
from procession.settings_file import load_settings
from procession.wiring import load_file, wiring_of

STARTER = Path(procession.__file__).parent / "daemon" / "starter"
FLOW = STARTER / "flows" / "greeting.py"


def test_its_tests_pass_in_a_folder_of_their_own(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(STARTER, project, ignore=shutil.ignore_patterns("__pycache__"))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(Path(procession.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_its_configuration_is_valid_and_names_its_flow() -> None:
    assert load_settings(STARTER / "config" / "procession.toml", {}).modules == ("flows.greeting",)


def test_its_flow_can_be_loaded_by_its_path() -> None:
    wiring = wiring_of(load_file(FLOW), Settings())
    assert [process.__name__ for process in wiring.processes] == ["Greeting"]


def test_its_flow_and_gateway_have_under_25_lines_of_code() -> None:
    classes = [node for node in ast.parse(FLOW.read_text()).body if isinstance(node, ast.ClassDef)]
    shown = [ast.unparse(node) for node in classes if node.name in ("Greeting", "Doorman")]
    lines = [line for line in "\n".join(shown).splitlines() if line.strip() and '"""' not in line]
    assert len(lines) < 25


def test_only_the_name_of_the_project_is_filled_in() -> None:
    holes = {path.name for path in STARTER.rglob("*") if path.is_file() and "{{project}}" in path.read_text("utf-8")}
    assert holes == {"pyproject.toml", "README.md"}
