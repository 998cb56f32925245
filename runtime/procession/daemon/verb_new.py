"""`procession new`: a starter project of one's own."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

from procession.daemon.exit_codes import UsageRefused
from procession.daemon.output import Output

STARTER = Path(__file__).parent / "starter"
_PLACEHOLDER = "{{project}}"
_LEFT_OUT = frozenset({"__pycache__", ".pytest_cache"})
_NEXT = ("pytest", "procession demo --flows 100")


def run(options: argparse.Namespace, output: Output) -> int:
    """Copy the starter project into a folder that is empty or not there."""
    target = Path(options.dir)
    if target.exists() and not target.is_dir():
        raise UsageRefused(f"{target} is a file", "name a folder that is not there yet, or empty")
    if target.is_dir() and any(target.iterdir()):
        raise UsageRefused(
            f"{target} is not empty", "name a folder that is not there yet, or empty; nothing was written"
        )
    files = _copy(target)
    commands = [f"cd {shlex.quote(str(target))}", *_NEXT]
    if find_spec("pytest") is None:
        commands.insert(1, "pip install 'procession[testing]'")
    if output.as_json:
        output.json({"dir": str(target), "files": files, "next": commands})
        return 0
    for file in files:
        output.line(str(target / file))
    output.say("next:  " + "\n       ".join(commands))
    return 0


def _copy(target: Path) -> list[str]:
    name = re.sub(r"[^a-z0-9._-]+", "-", target.resolve().name.lower()).strip("-._") or "flows"
    files = []
    for source in sorted(STARTER.rglob("*")):
        place = source.relative_to(STARTER)
        if source.is_dir() or _LEFT_OUT & set(place.parts):
            continue
        made = target / place
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(source.read_text("utf-8").replace(_PLACEHOLDER, name), "utf-8")
        files.append(place.as_posix())
    return files
