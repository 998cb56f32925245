"""Overload: 200 senders send ten times what a daemon on a slow disk can take, beside a client that never reads.

    python -m tests.crash.flooding --seconds 60 --waiting 100000

Many flows wait from the beginning. Memory must stay within what the settings bound, each refusal must say when to come
again, and what was accepted must be there at the end.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import attrs
import trio

from procession.primitives.outside import Outside
from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.judging import complaints, reading
from tests.crash.lab import Lab, lab, stop, verified
from tests.crash.senders import BATCH, Wire, cloud_event, post
from tests.crash.served import FAULTS
from tests.crash.story import SOURCE, OrderPlaced
from tests.crash.streaming import connected, rss_mb

SENDERS = 200
_BATCH = 50
_COMMIT_MS = 400
OFFERED_TIMES_MIN = 10
_LOOK_S = 0.1
GROWN_MB_MAX = 64
WAITING_MB_MAX = 200
"""Memory for the flows that wait: of 100,000, as of few."""
THREADS_MORE_MAX = 4
"""Threads come and go with reads of the journal; none comes with flows, events or senders."""
SETTINGS = "http.send_s = 600\nintake.events_max = 200\nhttp.requests_max = 1000\ncommit.rows_max = 100\n"


@attrs.define
class Report:
    """What was seen."""

    waiting: int = 0
    """Flows that waited before the flood began."""
    offered: int = 0
    """Events that were sent, each time anew."""
    accepted: dict[str, int] = attrs.field(factory=dict)
    """Id and position of what senders heard was accepted."""
    told: Counter[int] = attrs.field(factory=Counter)
    """By status of the answer."""
    unsaid: int = 0
    """Refusals that did not say when to come again."""
    waiting_mb: float = 0.0
    """Memory more once the flows that wait were accepted."""
    before_mb: float = 0.0
    """Memory before the flood."""
    rss_mb_max: float = 0.0
    threads: list[int] = attrs.field(factory=list)
    """Of the daemon: empty, with flows that wait, before the flood, and the most in it."""
    breaches: list[str] = attrs.field(factory=list)

    @property
    def times(self) -> float:
        """How much more was sent than was taken."""
        return self.offered / max(1, len(self.accepted))

    @property
    def grown_mb(self) -> float:
        """The most memory in the flood, beyond that before it."""
        return self.rss_mb_max - self.before_mb

    def judge(self, stored: dict[str, int]) -> None:
        """Compare with what the journal has."""
        lost = [id_ for id_, position in self.accepted.items() if stored.get(id_) != position]
        for id_ in lost[:20]:
            self.breaches.append(f"{id_} was accepted at {self.accepted[id_]}, and is at {stored.get(id_)}")
        if self.unsaid:
            self.breaches.append(f"{self.unsaid} refusals did not say when to come again")
        if unknown := set(self.told) - {200, 429, 503}:
            self.breaches.append(f"senders heard {sorted(unknown)}")
        if not self.told[429]:
            self.breaches.append("nothing was refused: the intake has no bound")
        if not self.accepted:
            self.breaches.append("nothing was accepted: what is kept can't be told")
        if self.waiting_mb > WAITING_MB_MAX:
            self.breaches.append(f"{self.waiting} flows that wait took {self.waiting_mb:.0f} MB, over {WAITING_MB_MAX}")
        if max(self.threads) > self.threads[0] + THREADS_MORE_MAX:
            self.breaches.append(f"threads grew from {self.threads[0]} to {max(self.threads)}")
        if self.grown_mb > GROWN_MB_MAX:
            self.breaches.append(f"memory grew by {self.grown_mb:.0f} MB in the flood, over {GROWN_MB_MAX}")

    @property
    def counts(self) -> Counts:
        """As figures; a flood that is none is a breach too."""
        figures = {
            "flows waited": self.waiting,
            "MB more for them": self.waiting_mb,
            f"events sent by {SENDERS} senders": self.offered,
            "accepted": len(self.accepted),
            "refused by 429": self.told[429],
            "MB more in the flood": self.grown_mb,
        }
        breaches = [*self.breaches]
        if self.times < OFFERED_TIMES_MIN:
            breaches.append(
                f"{self.times:.1f} times as much was sent as was taken, under {OFFERED_TIMES_MIN}: no flood"
            )
        return Counts(figures, breaches, (f"events sent by {SENDERS} senders", "accepted", "refused by 429"))

    def __str__(self) -> str:
        return (
            f"{self.waiting} flows waited, {self.waiting_mb:.0f} MB more for them; {self.offered} events sent by"
            f" {SENDERS} senders, {len(self.accepted)} accepted (1 of {self.times:.0f}); answers {dict(self.told)};"
            f" memory {self.before_mb:.0f} MB, {self.grown_mb:.0f} MB more in the flood; threads {self.threads};"
            f" {len(self.breaches)} breaches"
        )


def threads(pid: int) -> int:
    """Of a process, on Linux."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


async def _fill(port: int, flows: int) -> None:
    """Flows that wait, each with a timer."""
    wire = Wire(await trio.open_tcp_stream("127.0.0.1", port))
    async with wire.stream:
        first = 0
        while first < flows:
            keys = [f"waiting-{number}" for number in range(first, min(first + 500, flows))]
            batch = [cloud_event(Outside(OrderPlaced(key), key, SOURCE)) for key in keys]
            answer = await post(wire, "/v1/events", BATCH, json.dumps(batch).encode())
            if answer.status == 200:
                first += len(keys)


async def _flood(port: int, report: Report, sender: int) -> None:
    """Send as fast as answers come, and never the same again."""
    wire = Wire(await trio.open_tcp_stream("127.0.0.1", port))
    number = 0
    async with wire.stream:
        while True:
            ids = [f"flood-{sender}-{number + at}" for at in range(_BATCH)]
            number += _BATCH
            body = json.dumps([cloud_event(Outside(OrderPlaced(id_), id_, SOURCE)) for id_ in ids]).encode()
            report.offered += _BATCH
            answer = await post(wire, "/v1/events", BATCH, body)
            report.told[answer.status] += 1
            if answer.status == 200:
                report.accepted |= {one["id"]: one["position"] for one in json.loads(answer.body)["events"]}
            elif "retry-after" not in answer.headers:
                report.unsaid += 1


async def _loaded(loaded: Lab, pid: int, report: Report, seconds: float) -> None:
    with trio.move_on_after(seconds):
        async with connected(loaded.port, "?after=0"), trio.open_nursery() as nursery:
            for sender in range(SENDERS):
                nursery.start_soon(_flood, loaded.port, report, sender)
            while True:
                report.rss_mb_max = max(report.rss_mb_max, rss_mb(pid))
                report.threads[-1] = max(report.threads[-1], threads(pid))
                await trio.sleep(_LOOK_S)


def run(folder: Path, *, seconds: float, waiting: int, fault: str = "-") -> Report:
    """Fill a journal with flows that wait, flood it on a slow disk for so long, end it, and judge."""
    report = Report(waiting)
    with lab(folder, SETTINGS, fault=fault) as flooded:
        with flooded.life() as quick:
            assert flooded.wait_ready(quick), flooded.said
            empty_mb = rss_mb(quick.pid)
            report.threads.append(threads(quick.pid))
            trio.run(_fill, flooded.port, waiting)
            report.threads.append(threads(quick.pid))
            report.waiting_mb = rss_mb(quick.pid) - empty_mb
            assert stop(quick)[0] == 0, flooded.said
        flooded.commit_ms = _COMMIT_MS
        with flooded.life() as slow:
            assert flooded.wait_ready(slow), flooded.said
            report.before_mb = rss_mb(slow.pid)
            report.threads += [threads(slow.pid)] * 2
            trio.run(partial(_loaded, flooded, slow.pid, report, seconds))
            if (code := stop(slow)[0]) != 0:
                report.breaches.append(f"the daemon ended with {code}: {flooded.said}")
        with reading(folder) as journal:
            report.judge(dict(journal.execute("select source_id, position from event where source_id is not null")))
        report.breaches += verified(flooded.journal) + complaints(folder)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Flood a daemon on a slow disk.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--waiting", type=int, default=100_000)
    add_arguments(parser, minutes=False, faults=FAULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(Path(folder) / "flooded", seconds=given.seconds, waiting=given.waiting, fault=given.fault)
    print(f"fault {given.fault}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
