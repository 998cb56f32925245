"""The order saga with the guard off and armed, each in a process of its own: an audit hook can't be removed.

python -m tests.bench.guard report FILE 5000    one run, as a line of JSON
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import trio

from procession import Settings
from procession.settings import PuritySettings
from tests.bench import saga
from tests.bench.figures import Figures

ROOT = Path(__file__).parent.parent.parent


def measure(folder: Path, flows: int) -> Figures:
    """Off, armed, armed, off: what the machine does meanwhile meets both alike."""
    runs = [
        (guard, _run(guard, folder / f"{number}.db", flows))
        for number, guard in enumerate(("off", "report", "report", "off"))
    ]
    found: Figures = {}
    for name in ("cpu_us_per_flow", "flows_per_s"):
        for guard in ("off", "report"):
            values = [figures[name] for armed, figures in runs if armed == guard]
            found[f"{guard}_{name}"] = sum(values) / len(values)
    found["cpu_more_percent"] = 100 * (found["report_cpu_us_per_flow"] / found["off_cpu_us_per_flow"] - 1)
    found["wall_more_percent"] = 100 * (found["off_flows_per_s"] / found["report_flows_per_s"] - 1)
    return found


def _run(guard: str, journal: Path, flows: int) -> Figures:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.guard", guard, str(journal), str(flows)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def _one(guard: Literal["off", "report"], journal: Path, flows: int) -> Figures:
    settings = Settings(purity=PuritySettings(guard=guard))
    began_s = time.process_time()
    flows_per_s = trio.run(functools.partial(saga.throughput, settings=settings), journal, flows)
    return {"cpu_us_per_flow": 1e6 * (time.process_time() - began_s) / flows, "flows_per_s": flows_per_s}


if __name__ == "__main__":
    print(json.dumps(_one("report" if sys.argv[1] == "report" else "off", Path(sys.argv[2]), int(sys.argv[3]))))
