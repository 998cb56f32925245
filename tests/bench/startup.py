"""How long it takes until something runs: import, the command's help, and the first durable flow on a new file.

Each figure is that of a new process, as its user meets it: with bytecode, as installing writes it, and with what it
reads in the cache of the system. The floors are a Python that does nothing, and one that imports the libraries.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import trio

from procession import open_runtime
from tests.bench import saga
from tests.bench.figures import Figures

_TRIES = 7
_USUAL = "from procession import Command, Event, Gateway, ProcessManager, after, folds, on, open_runtime, starts"
_ROOT = Path(__file__).parents[2]


def measure(folder: Path) -> Figures:
    """One round."""
    command = Path(sys.executable).with_name("procession")
    first = [sys.executable, "-m", "tests.bench.startup"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        "python_s": _median([[sys.executable, "-c", "pass"]], environment),
        "libraries_s": _median([[sys.executable, "-c", "import trio, attrs, cattrs"]], environment),
        "import_s": _median([[sys.executable, "-c", _USUAL]], environment),
        "help_s": _median([[str(command), "--help"]], environment),
        "first_flow_s": _median(
            [[*first, str(folder / f"first-{number}.db")] for number in range(_TRIES + 1)], environment
        ),
    }


def _median(commands: list[list[str]], environment: dict[str, str]) -> float:
    """Seconds for a run; one command is run again and again. The first run, which writes bytecode, does not count."""
    took_s = []
    for number in range(_TRIES + 1):
        began = time.perf_counter()
        command = commands[number % len(commands)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=_ROOT, env=environment)
        took_s.append(time.perf_counter() - began)
    return statistics.median(took_s[1:])


async def first_flow(path: Path) -> None:
    """From nothing to a flow whose end is durable."""
    async with open_runtime(
        path, processes=[saga.Order], gateways=[saga.Warehouse(), saga.Payments(), saga.Carrier()]
    ) as runtime:
        await runtime.publish([saga.placed(1)])
        print(await runtime.flow(saga.Order, "000001").wait_ended(10))


if __name__ == "__main__":
    trio.run(first_flow, Path(sys.argv[1]))
