"""Publishing over HTTP by wrk, beside a bare Starlette echo on the same Hypercorn: the two take turns."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.figures import Figures
from tests.daemon.command import ROOT

CONNECTIONS = 32
_SCRIPT = Path(__file__).with_name("publish.lua")


def measure(folder: Path, seconds: int) -> Figures:
    """Requests a second and latency of both; and of one client alone, where nothing shares a commit."""
    found: Figures = {}
    with _served("echo", folder) as echo, _served("product", folder) as product:
        for connections, width in ((CONNECTIONS, ""), (1, "alone_")):
            for what, served in (("echo", echo), ("product", product)):
                before_s = _cpu_s(served.pid)
                asked = _asked(served.address, connections, seconds)
                assert asked["failed"] == 0, f"{what}: {asked}"
                found[f"{width}{what}_cpu_us"] = 1e6 * (_cpu_s(served.pid) - before_s) / asked["requests"]
                found[f"{width}{what}_per_s"] = 1e6 * asked["requests"] / asked["took_us"]
                found[f"{width}{what}_ms_p50"] = asked["p50_us"] / 1000
                found[f"{width}{what}_ms_p99"] = asked["p99_us"] / 1000
    return found | {
        "ratio": found["product_per_s"] / found["echo_per_s"],
        "cpu_ratio": found["product_cpu_us"] / found["echo_cpu_us"],
        "alone_ratio": found["alone_product_per_s"] / found["alone_echo_per_s"],
    }


class Server(NamedTuple):
    """One that is asked."""

    address: str
    pid: int


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far, on Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _asked(address: str, connections: int, seconds: int) -> dict[str, int]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_SCRIPT), address]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures: dict[str, int] = json.loads(said.splitlines()[-1])
    return figures


@contextlib.contextmanager
def _served(what: str, folder: Path) -> Iterator[Server]:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "tests.bench.http_served", what, str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield Server(server.stdout.readline().strip(), server.pid)
            server.communicate(timeout=30)
        finally:
            server.kill()
