"""What a start costs after a crash that left so many flows in flight, each with a command that was sent and not done.

The process that dies is a real one, ended by the system. Ready is when the runtime's block is entered; then the
commands are sent again, each under its id, and each answer ends its flow.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import trio

from procession import Command, Effects, Event, Gateway, Outside, ProcessManager, ends, open_runtime, starts
from tests.bench.figures import Figures

SIZES = (1_000, 10_000, 100_000)
_BATCH = 500
_ROOT = Path(__file__).parents[2]


class JobGiven(Event, name="job.given"):
    job: str
    pages: int


class JobPrinted(Event, name="job.printed"):
    job: str


class Print(Command, name="job.print"):
    job: str
    pages: int


class Job(ProcessManager, name="job", key="job"):
    @starts
    def begin(self, given: JobGiven) -> Effects:
        yield Print(given.job, given.pages)

    @ends
    def printed(self, printed: JobPrinted) -> None:
        """It is on paper."""


class Printer(Gateway, name="printer", concurrency=64, timeout_s=3600):
    works: bool

    async def print(self, command: Print) -> JobPrinted:
        if not self.works:
            await trio.sleep_forever()
        return JobPrinted(command.job)


async def leave_in_flight(path: Path, flows: int) -> None:
    """Start so many flows, and die."""
    async with open_runtime(path, processes=[Job], gateways=[Printer(works=False)]) as runtime:
        for at in range(0, flows, _BATCH):
            numbers = range(at, min(at + _BATCH, flows))
            await runtime.publish([Outside(JobGiven(f"{n:08}", n), f"{n:08}", "bench") for n in numbers])
        os.kill(os.getpid(), signal.SIGKILL)


async def start_again(path: Path, flows: int) -> Figures:
    """The seconds to ready, and how fast the commands were sent again and done."""
    began = time.perf_counter()
    async with open_runtime(path, processes=[Job], gateways=[Printer(works=True)]) as runtime:
        ready = time.perf_counter()
        await runtime.drain()
        done = time.perf_counter()
        ended = runtime.counters()["procession_flows_ended"]
        assert ended == flows, f"{ended} of {flows} flows ended"
    return {"ready_s": ready - began, "sent_again_per_s": flows / (done - ready)}


def sizes_upto(flows: int) -> list[int]:
    """The sizes below, and this one."""
    return [*(size for size in SIZES if size < flows), flows]


def measure(folder: Path, *, flows: int = SIZES[-1]) -> Figures:
    """One round: each size, up to this one."""
    found: Figures = {}
    for size in sizes_upto(flows):
        for name, value in _measured(folder / f"recovery-{size}.db", size).items():
            found[f"{name}_{size}"] = value
    return found


def _measured(path: Path, flows: int) -> Figures:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])}
    died = subprocess.run(
        [sys.executable, "-m", "tests.bench.recovery", str(path), str(flows)], cwd=_ROOT, env=environment, check=False
    )
    assert died.returncode == -signal.SIGKILL, f"the process was to be killed, and ended with {died.returncode}"
    return trio.run(start_again, path, flows)


if __name__ == "__main__":
    trio.run(leave_in_flight, Path(sys.argv[1]), int(sys.argv[2]))
