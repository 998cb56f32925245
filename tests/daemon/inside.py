"""The command inside of this process: a hundred times as quick as a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import attrs

from procession.daemon.cli import main

USERS_MODULE = "changed"
"""The name of the module that a test writes; each test gets its own."""


@attrs.frozen
class Done:
    """What one run of the command left."""

    code: int
    out: str
    err: str


def run_inside(*arguments: str | Path, cwd: Path) -> Done:
    """Run the command to its end; modules and folders that it imports from are forgotten after it."""
    out, err, path = io.StringIO(), io.StringIO(), list(sys.path)
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as end:  # a command line that can't be read
                code = int(end.code or 0)
    finally:
        sys.path[:] = path
        sys.modules.pop(USERS_MODULE, None)
    return Done(code, out.getvalue(), err.getvalue())


def json_inside(*arguments: str | Path, cwd: Path, code: int = 0) -> dict[str, Any]:
    """Run the command with --json, and read what it says."""
    done = run_inside(*arguments, "--json", cwd=cwd)
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found
