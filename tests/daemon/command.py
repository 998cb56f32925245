"""The real command, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import procession

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "config" / "procession.toml"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a command, without any that this process has for itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROCESSION_", "NO_COLOR"))}
    return kept | {"PYTHONPATH": str(Path(procession.__file__).parent.parent)} | dict(extra or {})


def arguments_of(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "procession", *map(str, arguments)]


def run(
    *arguments: str | Path, cwd: Path, stdin: bytes = b"", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    return subprocess.run(
        arguments_of(*arguments),
        cwd=cwd,
        input=stdin,
        env=environment(environ),
        capture_output=True,
        timeout=60,
        check=False,
    )


def run_json(*arguments: str | Path, cwd: Path, code: int = 0, stdin: bytes = b"") -> dict[str, Any]:
    """Run the command with --json, and read what it says."""
    done = run(*arguments, "--json", cwd=cwd, stdin=stdin)
    assert done.returncode == code, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def written(path: Path, events: Iterable[Mapping[str, object]]) -> Path:
    """A file of CloudEvents."""
    path.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events), "utf-8")
    return path


def start_event(number: int, *, source: str = "test", **data: object) -> dict[str, object]:
    """An application for a loan, as a CloudEvent."""
    fields = {"case_id": str(number), "reg_date": "2026-01-01", "amount_req": "500"} | data
    return {"specversion": "1.0", "id": f"{number}/0", "source": source, "type": "bpic2012.A_SUBMITTED", "data": fields}
