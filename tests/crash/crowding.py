"""Order within a flow, and duplicates: 100 senders speak to one flow at one time, and say many things twice.

    python -m tests.crash.crowding --flows 2 --senders 100 --kills 10 --seconds 20 --seed 1

Each sender says one thing after another over HTTP. Some it says twice at once over two connections, twice in one batch,
or again long after it was accepted, alone or before something new. The daemon is killed meanwhile. Each thing must have
one place, whoever asks; what was said after another was accepted comes after it; and each flow handles all of it, once,
in that order, which its own end must tell as well.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import attrs
import trio

from procession import Event
from procession.primitives.outside import Outside
from tests.crash.checker import check_now
from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.crowded_flows import Gathered, Hushed, Said, chained
from tests.crash.judging import come_to_rest, complaints, reading
from tests.crash.lab import Lab, lab, stop, verified
from tests.crash.senders import BATCH, Wire, cloud_event, post
from tests.crash.served import FAULTS

SOURCE = "crowd"
_WAYS = {"alone": 5, "twice at once": 2, "twice in one batch": 1, "again": 1, "again, before something new": 1}
_ALIVE_S = (0.2, 1.0)
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, EOFError)
_LATER = (429, 503)
_AGAIN_S = 0.1
_LOOK_S = 0.05
_SHOWN_MAX = 20


class Place(NamedTuple):
    """When something was said, by a count of all that happened, and where it was then said to be."""

    asked_at: int
    heard_at: int
    position: int


@attrs.define
class Report:
    """What was heard."""

    flows: int
    senders: int
    kills: int = 0
    cut_off: int = 0
    resent: int = 0
    """Answers to something of which its sender had heard that it was accepted."""
    ways: Counter[str] = attrs.field(factory=Counter)
    asked_at: dict[str, int] = attrs.field(factory=dict)
    places: dict[str, Place] = attrs.field(factory=dict)
    """By id: what was heard of it first."""
    fresh: Counter[str] = attrs.field(factory=Counter)
    """By id: how often it was answered as new."""
    breaches: list[str] = attrs.field(factory=list)
    ticks: Iterator[int] = attrs.field(factory=itertools.count)

    def ask(self, ids: Iterable[str]) -> set[str]:
        """These are said now: those of which it was heard before that they are accepted."""
        for id_ in ids:
            self.asked_at.setdefault(id_, next(self.ticks))
        return {id_ for id_ in ids if id_ in self.places}

    def hear(self, id_: str, position: int, *, duplicate: bool, known: bool) -> None:
        """One answer."""
        place = self.places.setdefault(id_, Place(self.asked_at[id_], next(self.ticks), position))
        self.resent += known
        self.fresh[id_] += not duplicate
        if place.position != position:
            self.breaches.append(f"{id_} was accepted at {place.position}, and then at {position}")
        if known and not duplicate:
            self.breaches.append(f"{id_} was accepted before, and is said to be new")

    @property
    def counts(self) -> Counts:
        """As figures; where nothing was said again, nothing was tried."""
        tried = ("events accepted", "answers to what had been accepted")
        figures = {
            "events accepted": len(self.places),
            "senders for each flow": self.senders,
            "answers to what had been accepted": self.resent,
            "kills": self.kills,
        }
        return Counts(figures, self.breaches, tried)

    def __str__(self) -> str:
        twice = sum(number for way, number in self.ways.items() if way != "alone")
        return (
            f"{self.flows} flows, {self.senders} senders for each; {len(self.places)} events accepted, {twice} times"
            f" something was said twice, {self.resent} of them after they were accepted; {self.kills} kills,"
            f" {self.cut_off} requests cut off; {len(self.breaches)} breaches"
        )


@attrs.define(eq=False)
class Sender:
    """One of many who speak to a flow; it has two connections."""

    port: int
    report: Report
    wires: list[Wire | None] = attrs.field(factory=lambda: [None, None])

    async def say(self, events: Sequence[tuple[str, Event]], by: int = 0) -> None:
        """Say it until it is accepted."""
        body = json.dumps([cloud_event(Outside(event, id_, SOURCE)) for id_, event in events]).encode()
        while True:
            known = self.report.ask([id_ for id_, _ in events])
            try:
                self.wires[by] = wire = self.wires[by] or Wire(await trio.open_tcp_stream("127.0.0.1", self.port))
                answer = await post(wire, "/v1/events", BATCH, body)
            except _GONE:
                self.report.cut_off += 1
                self.leave(by)
                await trio.sleep(_AGAIN_S)
                continue
            if answer.status not in _LATER:
                break
            await trio.sleep(_AGAIN_S)
        assert answer.status == 200, answer.body
        for one in json.loads(answer.body)["events"]:
            self.report.hear(one["id"], one["position"], duplicate=one["duplicate"], known=one["id"] in known)

    def leave(self, *which: int) -> None:
        """Close these connections."""
        for by in which:
            if (wire := self.wires[by]) is not None:
                wire.stream.socket.close()
            self.wires[by] = None


async def _speak(sender: Sender, flow: int, number: int, chance: random.Random, hush: trio.Event) -> None:
    """One thing after another, until it is enough."""
    said: list[tuple[str, Event]] = []
    while not hush.is_set():
        one = (f"{flow}/{number}/{len(said)}", Said(f"{flow}", number, len(said)))
        (way,) = chance.choices(list(_WAYS), list(_WAYS.values())) if said else ("alone",)
        sender.report.ways[way] += 1
        match way:
            case "alone":
                await sender.say([one])
            case "twice at once":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(sender.say, [one], 0)
                    nursery.start_soon(sender.say, [one], 1)
            case "twice in one batch":
                await sender.say([one, one])
            case "again":
                await sender.say([chance.choice(said)])
                continue
            case _:
                await sender.say([chance.choice(said), one])
        said.append(one)
    sender.leave(0, 1)


def _killed(crowded: Lab, chance: random.Random) -> None:
    with crowded.life() as process:
        assert crowded.wait_ready(process), crowded.said
        time.sleep(chance.uniform(*_ALIVE_S))
        crowded.kill(process)


def _begun(crowded: Lab, process: subprocess.Popen[bytes]) -> None:
    assert crowded.wait_ready(process), crowded.said


async def _crowd(
    crowded: Lab, report: Report, seed: int, kills: int, seconds: float, places_min: int, resent_min: int
) -> None:
    """Let all speak while the daemon is killed, and for so long to one that is not, until so much was heard."""
    chance, hush, silent = random.Random(seed), trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_all_speak, crowded, report, chance, hush, silent)
        for _ in range(kills):
            await trio.to_thread.run_sync(_killed, crowded, chance)
            report.kills += 1
        with crowded.life() as process:
            await trio.to_thread.run_sync(_begun, crowded, process)
            await trio.sleep(seconds)
            # Who speaks only counts: there is no event for it.
            while (  # noqa: ASYNC110
                len(report.places) < places_min or report.resent < resent_min
            ) and process.poll() is None:
                await trio.sleep(_LOOK_S)
            hush.set()
            await silent.wait()
            last = Sender(crowded.port, report)
            await last.say([(f"{flow}/hushed", Hushed(f"{flow}")) for flow in range(report.flows)])
            last.leave(0)
            await trio.to_thread.run_sync(come_to_rest, crowded)
            if (code := (await trio.to_thread.run_sync(stop, process))[0]) != 0:
                report.breaches.append(f"the last life ended with {code}: {crowded.said}")


async def _all_speak(crowded: Lab, report: Report, chance: random.Random, hush: trio.Event, silent: trio.Event) -> None:
    first = Sender(crowded.port, report)
    await first.say([(f"{flow}/gathered", Gathered(f"{flow}")) for flow in range(report.flows)])
    first.leave(0)
    async with trio.open_nursery() as nursery:
        for flow, number in itertools.product(range(report.flows), range(report.senders)):
            drawn = random.Random(chance.random())
            nursery.start_soon(_speak, Sender(crowded.port, report), flow, number, drawn, hush)
    silent.set()


def out_of_order(places: dict[str, Place]) -> Iterator[str]:
    """What was said after something else was accepted, and stands before it."""
    heard = sorted(places.items(), key=lambda one: one[1].heard_at)
    before, at = ("", -1), 0
    for id_, place in sorted(places.items(), key=lambda one: one[1].asked_at):
        while at < len(heard) and heard[at][1].heard_at < place.asked_at:
            before = max(before, (heard[at][0], heard[at][1].position), key=lambda one: one[1])
            at += 1
        if before[1] >= place.position:
            yield f"{id_} was said after {before[0]} was accepted at {before[1]}, and is at {place.position}"


def judge(folder: Path, report: Report) -> None:
    """Compare what senders heard with the journal, and the journal with what each flow says it heard."""
    with reading(folder) as journal:
        stored = dict(journal.execute("select source_id, position from event where source = ?", (SOURCE,)))
        ends = dict(journal.execute("select key, outcome from flow where process = 'crowd'"))
        said = journal.execute("select payload from event where type = 'crowd.said' order by position").fetchall()
    found = [
        f"{id_} was accepted at {place.position}, and is at {stored.get(id_)}"
        for id_, place in report.places.items()
        if stored.get(id_) != place.position
    ]
    found += [f"{id_} is in the journal, and nobody heard so" for id_ in stored.keys() - report.places.keys()]
    found += [f"{id_} was answered {times} times as new" for id_, times in report.fresh.items() if times > 1]
    report.breaches += found[:_SHOWN_MAX]
    report.breaches += itertools.islice(out_of_order(report.places), _SHOWN_MAX)
    chains = {f"{flow}": (0, "") for flow in range(report.flows)}
    for (payload,) in said:
        one = json.loads(payload)
        heard, chain = chains[one["crowd"]]
        chains[one["crowd"]] = heard + 1, chained(chain, one["sender"], one["number"])
    for flow, (heard, chain) in chains.items():
        if ends.get(flow) != f"{heard} {chain}":
            report.breaches.append(f"crowd/{flow} ended as {ends.get(flow)!r}, and accepted was {heard} {chain}")
    report.breaches += check_now(folder) + verified(folder / "journal.db") + complaints(folder)


def run(
    folder: Path,
    *,
    flows: int,
    senders: int,
    kills: int,
    seconds: float,
    seed: int,
    fault: str = "-",
    places_min: int = 0,
    resent_min: int = 0,
) -> Report:
    """Let so many speak, for so long and until so much was accepted and said again; and judge."""
    report = Report(flows, senders)
    with lab(folder, fault=fault) as crowded:
        trio.run(partial(_crowd, crowded, report, seed, kills, seconds, places_min, resent_min))
    judge(folder, report)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Many senders for one flow, who say many things twice.")
    parser.add_argument("--flows", type=int, default=2)
    parser.add_argument("--senders", type=int, default=100, help="for each flow")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20, help="in the last life, which is not killed")
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser, minutes=False, faults=FAULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(
            Path(folder) / "crowded",
            flows=given.flows,
            senders=given.senders,
            kills=given.kills,
            seconds=given.seconds,
            seed=given.seed,
            fault=given.fault,
        )
    print(f"seed {given.seed}, fault {given.fault}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
