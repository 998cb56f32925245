"""The order saga with telemetry off and on, each in a process of its own; what is on goes to a receiver beside them.

python -m tests.bench.telemetry traced FILE 5000 http://127.0.0.1:4318    one run, as a line of JSON
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import trio

from procession import Settings, open_runtime
from procession.telemetry_settings import TelemetrySettings
from tests.bench import saga
from tests.bench.figures import Figures
from tests.telemetry.receiver import receiving

ROOT = Path(__file__).parent.parent.parent
RATIOS = {"off": None, "traced": 0.01, "all": 1.0}
"""What is measured, and which share of flows is traced in it; None: nothing is traced, and no metrics are sent."""
ORDER = ("off", "traced", "all", "traced", "off")
"""What the machine does meanwhile meets all alike."""


def measure(folder: Path, flows: int) -> Figures:
    """One round."""
    runs: dict[str, list[Figures]] = {name: [] for name in RATIOS}
    with receiving() as receiver:
        for number, name in enumerate(ORDER):
            before = len(receiver.spans)
            runs[name].append(_run(name, folder / f"{number}.db", flows, receiver.endpoint))
            runs[name][-1]["spans"] = len(receiver.spans) - before
    found: Figures = {}
    for name, figures in runs.items():
        for what in figures[0]:
            found[f"{name}_{what}"] = sum(each[what] for each in figures) / len(figures)
    for name in ("traced", "all"):
        found[f"{name}_ratio"] = found[f"{name}_flows_per_s"] / found["off_flows_per_s"]
        found[f"{name}_cpu_ratio"] = found["off_cpu_us_per_flow"] / found[f"{name}_cpu_us_per_flow"]
    return found


def _run(name: str, journal: Path, flows: int, endpoint: str) -> Figures:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.telemetry", name, str(journal), str(flows), endpoint],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def _one(name: str, journal: Path, flows: int, endpoint: str) -> Figures:
    ratio = RATIOS[name]
    settings = Settings()
    if ratio is not None:
        told = TelemetrySettings(
            otlp_endpoint=endpoint, trace_ratio=ratio, metrics_endpoint=endpoint, metrics_interval_s=1
        )
        settings = Settings(telemetry=told)
    took_s, took_cpu_s = trio.run(_timed, journal, flows, settings)
    return {"cpu_us_per_flow": 1e6 * took_cpu_s / flows, "flows_per_s": flows / took_s}


async def _timed(journal: Path, flows: int, settings: Settings) -> tuple[float, float]:
    """Seconds, and those of this process's own time, from the first publish to the last end, once all is warm."""
    gateways = [saga.Warehouse(), saga.Payments(), saga.Carrier()]
    async with open_runtime(journal, processes=[saga.Order], gateways=gateways, settings=settings) as runtime:
        first = max(100, flows // 5)
        await saga.all_at_once(runtime, range(first))
        await trio.sleep(2 * settings.telemetry.otlp_interval_s)  # what is sent first loads what it is sent with
        return await saga.all_at_once(runtime, range(first, first + flows))


if __name__ == "__main__":
    print(json.dumps(_one(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
