"""The command inside of this process: a hundred times as quick as a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import attrs

from procession.daemon.cli import main
from tests.daemon.command import ROOT

USERS_MODULE = "changed"
"""The name of the module that a test writes; each test gets its own."""


@attrs.frozen
class Done:
    """What one run of the command left."""

    code: int
    out: str
    err: str


def run_inside(*arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> Done:
    """Run the command to its end; modules and folders that it imports from are forgotten after it."""
    out, err, path = io.StringIO(), io.StringIO(), list(sys.path)
    try:
        with (
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, environ or {}),
            mock.patch.object(logging.getLogger(), "handlers", []),  # the command sets up a log of its own
        ):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as end:  # a command line that can't be read
                code = int(end.code or 0)
    finally:
        sys.path[:] = path
        sys.modules.pop(USERS_MODULE, None)
        if not ROOT.is_relative_to(cwd):  # else pytest itself lies there, where its environment is in the project
            for name in [name for name, module in sys.modules.items() if _lies_in(cwd, module)]:
                del sys.modules[name]
    return Done(code, out.getvalue(), err.getvalue())


def _lies_in(folder: Path, module: object) -> bool:
    return (getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}")


def json_inside(
    *arguments: str | Path,
    cwd: Path,
    code: int = 0,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run the command with --json, and read what it says."""
    done = run_inside(*arguments, "--json", cwd=cwd, environ=environ)
    assert done.code == code, done.err or done.out
    found: dict[str, Any] = json.loads(done.out)
    return found
