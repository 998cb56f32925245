"""Ownership: starters that race for one journal, an owner that was stopped, and one whose lock was removed by hand.

    python -m tests.crash.owning --races 1000 --fences 20 --seed 1

Starters are forked from a process that has loaded everything, and are let go at once: they race within milliseconds.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from http import HTTPStatus
from pathlib import Path

import attrs
import httpx

from procession.daemon import verb_run
from procession.daemon.cli import main as procession
from procession.daemon.exit_codes import ExitCode
from procession.daemon.http import app, server
from procession.daemon.local_socket import address_of
from procession.journal.ownership import holder_of
from procession.primitives.outside import Outside
from tests.crash import served_flows
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.judging import reading
from tests.crash.lab import END_S_MAX, Lab, lab, stop, verified
from tests.crash.planting import plant_named
from tests.crash.senders import cloud_event
from tests.crash.served import FAULTS
from tests.crash.story import SOURCE, OrderPlaced
from tests.ports import free_port

STARTERS = 8
LOADED = (verb_run, app, server, served_flows)
"""What a daemon would load at its start: forked ones have it."""
_FRESH_EVERY = 5
"""So many races are for one journal; then for one that is not there yet."""
_FENCES_SHARE = 0.25
"""Of the time, where it is bounded: what fences may take."""
_LOSERS_S_MAX = 1.0
"""In which all losers of a race have said who the owner is."""


@attrs.define
class Report:
    """What was seen."""

    asked: tuple[int, int] = (0, 0)
    """How many races and fences there are to be."""
    races: int = 0
    refused: int = 0
    """Starters that lost, with the exit code and the word that the documents promise."""
    fences: int = 0
    stopped: int = 0
    """Owners that were stopped, beside which a starter was refused."""
    breaches: list[str] = attrs.field(factory=list)
    loser_s_max: float = 0.0

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            f"races of {STARTERS}": self.races,
            "starters refused by name": self.refused,
            "s until the slowest of them ended": self.loser_s_max,
            "owners fenced": self.fences,
            "stopped owners that went on owning": self.stopped,
        }
        races, fences = self.asked
        tried = {"starters refused by name": races, "owners fenced": fences}
        tried["stopped owners that went on owning"] = races and fences
        return Counts(figures, self.breaches, [name for name, wanted in tried.items() if wanted])

    def __str__(self) -> str:
        return (
            f"{self.races} races of {STARTERS}, {self.refused} starters refused, the slowest after"
            f" {self.loser_s_max:.2f} s; {self.fences} owners fenced; {len(self.breaches)} breaches"
        )


def race(held: Lab, chance: random.Random, report: Report, losers_s_max: float = _LOSERS_S_MAX) -> None:
    """Let starters go at once, with one configuration: one becomes the owner, the others say who it is, in time."""
    waits, lets_go = os.pipe()
    starters = {_forked(held, waits, lets_go) for _ in range(STARTERS)}
    os.close(waits)
    began = time.monotonic()
    os.close(lets_go)
    try:
        losers = _ended(starters, STARTERS - 1)
        lost_s = time.monotonic() - began
        report.loser_s_max = max(report.loser_s_max, lost_s)
        if lost_s > losers_s_max:
            report.breaches.append(f"the last of {STARTERS - 1} losers ended after {lost_s:.2f} s")
        (winner,) = starters - losers.keys()
        holder = holder_of(str(held.journal))
        if holder is None or not holder.running or holder.pid != winner:
            report.breaches.append(f"process {winner} won, and the lock names {holder}")
        for pid, code in losers.items():
            said = (held.folder / f"said-{pid}").read_text()
            if code == ExitCode.OWNED and f"process {winner}" in said:
                report.refused += 1
            else:
                report.breaches.append(f"a starter that lost to {winner} ended with {code} and said {said[-300:]!r}")
        os.kill(winner, chance.choice([signal.SIGKILL, signal.SIGTERM]))
        code = _ended({winner}, 1)[winner]
        # A SIGTERM that comes before it is listened for ends it as that does.
        if code not in (0, -signal.SIGKILL, -signal.SIGTERM):
            said = (held.folder / f"said-{winner}").read_text()
            report.breaches.append(f"the owner ended with {code} and said {said[-300:]!r}")
    finally:
        for pid in starters:
            (held.folder / f"said-{pid}").unlink(missing_ok=True)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    report.races += 1


def _forked(held: Lab, waits: int, lets_go: int) -> int:
    """A process that starts a daemon as soon as nobody can write to the pipe any more."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(lets_go)
            os.chdir(held.folder)
            # All at one address: the journal decides between them, not who listens first.
            os.environ.update(held.environ)
            plant_named(held.fault, FAULTS)
            said = os.open(f"said-{os.getpid()}", os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(said, 2)
            sys.stderr = os.fdopen(os.dup(said), "w")  # whoever runs this may have put another in its place
            os.read(waits, 1)
            code = procession(["run", "--config", "lab.toml"])
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def _ended(pids: set[int], number: int) -> dict[int, int]:
    """Wait until so many of them have ended: their exit codes."""
    codes: dict[int, int] = {}
    give_up_at = time.monotonic() + END_S_MAX
    while len(codes) < number:
        assert time.monotonic() < give_up_at, f"{len(codes)} of {number} ended"
        for pid in pids - codes.keys():
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                codes[pid] = os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return codes


def stopped_owner(held: Lab, report: Report) -> None:
    """An owner that does not move owns all the same: starters are refused, and it goes on when it may."""
    with held.life() as owner:
        assert held.wait_ready(owner), held.said
        owner.send_signal(signal.SIGSTOP)
        with held.life() as starter:
            code = starter.wait(END_S_MAX)
        if code != ExitCode.OWNED or f"process {owner.pid}" not in held.said:
            report.breaches.append(f"beside a stopped owner a starter ended with {code}: {held.said}")
        owner.send_signal(signal.SIGCONT)
        if published(held.port, "after the stop") != HTTPStatus.OK:
            report.breaches.append("an owner that was stopped takes no work any more")
        assert stop(owner)[0] == 0, held.said
    report.stopped += 1


def fence(held: Lab, report: Report, *, busy: bool) -> None:
    """An owner that was stopped, and whose lock was removed by hand: another took over, and it finds out."""
    name = f"fence {report.fences}"
    with held.life() as old:
        assert held.wait_ready(old), held.said
        assert published(held.port, f"{name}/old") == HTTPStatus.OK
        old.send_signal(signal.SIGSTOP)
        held.journal.with_name("journal.db.lock").unlink()
        port = free_port()
        with held.life(environ={"PROCESSION_HTTP__BIND": f"127.0.0.1:{port}"}) as new:
            assert held.wait_ready(new), held.said
            expected = {f"{name}/old", f"{name}/last"}
            if busy:  # else the old owner's chains still fit, and the epoch alone keeps it out
                assert published(port, f"{name}/new") == HTTPStatus.OK
                expected.add(f"{name}/new")
            old.send_signal(signal.SIGCONT)
            if published(held.port, f"{name}/fenced") == HTTPStatus.OK:
                report.breaches.append("an owner that was overtaken accepted an event")
                return
            code = old.wait(END_S_MAX)
            if code != ExitCode.OWNED or "was taken over by another owner" not in held.said:
                report.breaches.append(f"an owner that was overtaken ended with {code}: {held.said}")
            if published(port, f"{name}/last") != HTTPStatus.OK:
                report.breaches.append("the new owner takes no work any more")
            if not Path(address_of(str(held.journal))).exists():
                report.breaches.append("the old owner took the new one's socket away")
            if (code := stop(new)[0]) != 0:
                report.breaches.append(f"the new owner ended with {code}: {held.said}")
    with reading(held.folder) as journal:
        found = {
            id_ for (id_,) in journal.execute("select source_id from event where source_id like ?", (f"{name}/%",))
        }
    if found != expected:
        report.breaches.append(f"the journal has {sorted(found)}, and {sorted(expected)} were accepted")
    report.breaches += verified(held.journal)
    report.fences += 1


def published(port: int, name: str) -> int:
    """Publish an order of this name: the status of the answer, 0 where the connection broke."""
    event = cloud_event(Outside(OrderPlaced(name), name, SOURCE))
    media = {"Content-Type": "application/cloudevents+json"}
    try:
        return httpx.post(
            f"http://127.0.0.1:{port}/v1/events", json=event, headers=media, timeout=20, trust_env=False
        ).status_code
    except httpx.TransportError:
        return 0


def run(
    folder: Path,
    *,
    seed: int,
    races: int,
    fences: int,
    minutes: float | None = None,
    fault: str = "-",
    losers_s_max: float = _LOSERS_S_MAX,
) -> Report:
    """Fence so many owners, and race so often."""
    chance, report, began = random.Random(seed), Report((races, fences)), time.monotonic()
    with lab(folder / "fences", fault=fault) as held:
        if races and fences:
            stopped_owner(held, report)
        for number in within(minutes and minutes * _FENCES_SHARE, range(fences)):
            fence(held, report, busy=number % 2 == 1)
    left = minutes and minutes - (time.monotonic() - began) / 60
    for first in within(left, range(0, races, _FRESH_EVERY)):
        with lab(folder / f"races-{first}", fault=fault) as held:
            for _ in range(min(_FRESH_EVERY, races - first)):
                race(held, chance, report, losers_s_max)
            with held.life() as last:  # whatever was killed while it made the journal, the next one opens it
                assert held.wait_ready(last), held.said
                assert stop(last)[0] == 0, held.said
            report.breaches += verified(held.journal)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Race for a journal, and fence owners.")
    parser.add_argument("--races", type=int, default=1000)
    parser.add_argument("--fences", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--losers-s-max", type=float, default=_LOSERS_S_MAX, help="more where the machine has other work; default: 1"
    )
    add_arguments(parser, faults=FAULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(
            Path(folder),
            seed=given.seed,
            races=given.races,
            fences=given.fences,
            minutes=given.minutes,
            fault=given.fault,
            losers_s_max=given.losers_s_max,
        )
    print(f"seed {given.seed}, fault {given.fault}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
