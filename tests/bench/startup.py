"""How long it takes until something runs: import, the command's help, and the first durable flow on a new file.

Each figure is that of a new process, as its user meets it; the floor is a Python that does nothing.
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
_ROOT = Path(__file__).parents[2]


def measure(folder: Path) -> Figures:
    """One round."""
    command = Path(sys.executable).with_name("procession")
    first = [sys.executable, "-m", "tests.bench.startup"]
    return {
        "python_s": _median([[sys.executable, "-c", "pass"]]),
        "import_s": _median([[sys.executable, "-c", "from procession import open_runtime"]]),
        "help_s": _median([[str(command), "--help"]]),
        "first_flow_s": _median([[*first, str(folder / f"first-{number}.db")] for number in range(_TRIES)]),
    }


def _median(commands: list[list[str]]) -> float:
    """Seconds for a run; one command is run again and again."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])}
    took_s = []
    for number in range(_TRIES):
        began = time.perf_counter()
        command = commands[number % len(commands)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=_ROOT, env=environment)
        took_s.append(time.perf_counter() - began)
    return statistics.median(took_s)


async def first_flow(path: Path) -> None:
    """From nothing to a flow whose end is durable."""
    async with open_runtime(
        path, processes=[saga.Order], gateways=[saga.Warehouse(), saga.Payments(), saga.Carrier()]
    ) as runtime:
        await runtime.publish([saga.placed(1)])
        print(await runtime.flow(saga.Order, "000001").wait_ended(10))


if __name__ == "__main__":
    trio.run(first_flow, Path(sys.argv[1]))
