"""A disk that is full: nothing accepted is lost, reading goes on, and it recovers by itself once there is room.

    python -m tests.crash.full_disk --rounds 6 --seed 1
    python -m tests.crash.full_disk --disk injected --fault never_tries_again

Clients publish to a daemon over HTTP and the local socket. Twice in its life the disk of its journal becomes full under
them (see `no_room.py`), is looked at for a while, and has room again. Meanwhile all that pages of the dashboard ask is
asked. At the end everything comes to rest, and the whole history is judged.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path

import attrs
import httpx

from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.judging import acknowledgements, come_to_rest, judged
from tests.crash.lab import Lab, Load, lab, sending, stop
from tests.crash.lines import lines_of
from tests.crash.no_room import KINDS, Full, Kind, disk, let_trace
from tests.crash.senders import cloud_event
from tests.crash.served import FAULTS
from tests.crash.story import burst
from tests.small_disk import NothingMounted

RECOVERS_S_MAX = 5.0
FILLINGS = 2
_OUTCOME_WAIT_S = (1.0, 30.0)
"""Those whose commit failed hear soon that nobody knows, or wait until somebody does."""
_SETTINGS = "journal.wal_pages_max = 100\ncommit.outcome_wait_s = {}\n"
_CLIENTS = Load(http=4, socket=2, pause_ms=20)
_JOURNAL = "disk/journal.db"
_LOOKED_S = 1.0
_FULL_S_MAX = _FIRST_S_MAX = 60.0
_ANSWER_S = 30.0
_KNOCK_S = 2.0
_ENDS_S = 2.0
"""Whoever answers nothing more may be about to end."""
_PAUSE_S = 0.02
_CALM_TIMES_MAX = 2
"""A pause that took longer counts as so many: where this process waits for a processor, the daemon waits too."""
_PAGES = (
    "/livez", "/", "/v1/overview", "/v1/flows?limit=10", "/v1/search?q=status:active", "/v1/positions",
    "/v1/runtime/tasks", "/v1/session", "/metrics",
)  # fmt: skip
"""What pages of the dashboard are made of, and what others ask who watch it."""
_WHY = ("full", "no space")
_MEDIA = {"Content-Type": "application/cloudevents+json"}
_LATER = ("HTTP 503", "socket NotAccepted", "socket OutcomeUnknown")


@attrs.define
class Report:
    """What many rounds found."""

    rounds: int = 0
    fillings: int = 0
    acknowledgements: int = 0
    refusals: int = 0
    reads: int = 0
    recovered_s: list[float] = attrs.field(factory=list)
    breaches: list[str] = attrs.field(factory=list)

    def breach(self, said: str) -> None:
        """Note one of a kind."""
        if said not in self.breaches:
            self.breaches.append(said)

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "rounds": self.rounds,
            "times a disk was full": self.fillings,
            "acknowledged events": self.acknowledgements,
            "refusals": self.refusals,
            "reads while it was full": self.reads,
            "s at most until it recovered": max(self.recovered_s, default=0.0),
        }
        return Counts(figures, self.breaches, tuple(figures))

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds, in which a disk was full {self.fillings} times; {self.acknowledgements} events"
            f" acknowledged, {self.refusals} refusals; {self.reads} reads while it was full; recovered after"
            f" {', '.join(f'{seconds:.2f}' for seconds in self.recovered_s) or 'no'} s; {len(self.breaches)} breaches"
        )


class _OverError(Exception):
    """It can't go on: nothing more is to be seen of this daemon."""


@attrs.define(eq=False)
class _Witness:
    """Asks a daemon what it says of itself."""

    served: Lab
    process: subprocess.Popen[bytes]
    client: httpx.Client
    known: str
    """An event that it has accepted, as a CloudEvent."""
    report: Report

    def fill(self, full: Full) -> None:
        """The disk becomes full, and has room again."""
        with full(self.process.pid):
            self._wait_refused()
            self.report.fillings += 1
            look_until = time.monotonic() + _LOOKED_S
            while time.monotonic() < look_until:
                self._look()
                time.sleep(_PAUSE_S)
        self._wait_accepted()
        if (status := self._status("/readyz")) != HTTPStatus.OK:
            self.report.breach(f"/readyz was answered by {status} after it had recovered")

    def _wait_refused(self) -> None:
        give_up_at = time.monotonic() + _FULL_S_MAX
        while self._knock() != HTTPStatus.SERVICE_UNAVAILABLE:
            if time.monotonic() > give_up_at:
                raise _OverError(f"nothing was refused {_FULL_S_MAX:g} s after its disk was full")
            time.sleep(_PAUSE_S)

    def _wait_accepted(self) -> None:
        """Until clients hear again that something was accepted."""
        began, before = time.monotonic(), acknowledgements(self.served.folder)
        passed_s = 0.0
        while acknowledgements(self.served.folder) == before:
            self._check_running()
            if passed_s > RECOVERS_S_MAX:
                raise _OverError(f"nothing was accepted {RECOVERS_S_MAX:g} s after there was room again")
            looked_at = time.monotonic()
            time.sleep(_PAUSE_S)
            passed_s += min(time.monotonic() - looked_at, _CALM_TIMES_MAX * _PAUSE_S)
        self.report.recovered_s.append(time.monotonic() - began)

    def _look(self) -> None:
        """All can be read, nothing is accepted, and it says why."""
        for path in _PAGES:
            self._read(path)
        listed = self._read("/v1/flows?limit=10")
        flows = [] if listed is None else listed.json()["flows"]
        if listed is not None and not flows:
            self.report.breach("no flow was listed while its disk was full")
        for flow in flows[:1]:
            self._read(f"/v1/flows/{flow['process']}/{flow['key']}/history")
        overview = self._read("/v1/overview")
        if overview is not None and not _says_why(overview.json()["held"]):
            self.report.breach(f"the overview says that it is held by {overview.json()['held']!r}: its disk was full")
        ready = self._asked("GET", "/readyz")
        if ready is None or ready.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            self.report.breach(f"/readyz was answered by {_status_of(ready)} while its disk was full")
        elif not _says_why(ready.text):
            self.report.breach(f"/readyz does not say that its disk was full: {ready.text}")
        if (status := self._knock(_ANSWER_S)) != HTTPStatus.SERVICE_UNAVAILABLE:
            self.report.breach(f"an event was answered by {status} while its disk was full")
        self._check_running()

    def _read(self, path: str) -> httpx.Response | None:
        """The answer; None where there was none that could be read."""
        answer = self._asked("GET", path)
        self.report.reads += 1
        if answer is not None and answer.status_code == HTTPStatus.OK:
            return answer
        shown = path if "/history" not in path else "a flow's history"
        self.report.breach(f"{shown} was answered by {_status_of(answer)} while its disk was full")
        return None

    def _status(self, path: str) -> int:
        return _status_of(self._asked("GET", path))

    def _knock(self, patience_s: float = _KNOCK_S) -> int:
        """Send what it has already: nothing would be written for it; 0 where it is not answered soon."""
        answer = self._asked("POST", "/v1/events", patience_s, self.known)
        if answer is not None and answer.status_code == HTTPStatus.OK:
            (accepted,) = answer.json()["events"]
            if not accepted["duplicate"]:
                self.report.breach("an event that was there already was accepted again")
        return _status_of(answer)

    def _asked(
        self, method: str, path: str, timeout_s: float = _ANSWER_S, content: str | None = None
    ) -> httpx.Response | None:
        try:
            headers = None if content is None else _MEDIA
            return self.client.request(method, path, content=content, headers=headers, timeout=timeout_s)
        except httpx.TimeoutException:
            return None
        except httpx.TransportError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_ENDS_S)
            self._check_running()
            return None

    def _check_running(self) -> None:
        if (code := self.process.poll()) is not None:
            raise _OverError(f"it ended with {code} for its disk was full")


def _says_why(text: str) -> bool:
    return any(why in text for why in _WHY)


def _status_of(answer: httpx.Response | None) -> int:
    return 0 if answer is None else answer.status_code


def run(
    folder: Path,
    kind: Kind,
    report: Report,
    *,
    seed: int,
    fault: str = "-",
    outcome_wait_s: float = _OUTCOME_WAIT_S[0],
    fillings: int = FILLINGS,
) -> None:
    """One round: a daemon and its disk, which becomes full so many times, from the first event until all rests.

    Raises:
        NothingMounted: there is no such disk here.
    """
    limits = httpx.Limits(keepalive_expiry=1)  # on a busy machine a request meets the end of a connection else
    with (
        lab(folder, _SETTINGS.format(outcome_wait_s), fault=fault, journal=_JOURNAL) as served,
        disk(kind, served.journal) as full,
        _named(folder / "journal.db", served.journal),
        sending(served, attrs.evolve(_CLIENTS, seed=seed)) as end,
        served.life(before=let_trace) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{served.port}", trust_env=False, limits=limits) as client,
    ):
        assert served.wait_ready(process), served.said
        witness = _Witness(served, process, client, _first(folder, seed), report)
        try:
            for _ in range(fillings):
                witness.fill(full)
        except _OverError as over:
            report.breach(str(over))
        else:
            told = end()
            report.refusals += sum(told.get(later, 0) for later in _LATER)
            come_to_rest(served)
            code, _ = stop(process)
            if code:
                report.breach(f"it ended with {code}")
            report.breaches += judged(folder, said="the journal is held: ")
        report.rounds += 1
        report.acknowledgements += acknowledgements(folder)


@contextlib.contextmanager
def _named(name: Path, journal: Path) -> Iterator[None]:
    """Where senders and judges look for it."""
    name.symlink_to(journal)
    yield


def _first(folder: Path, seed: int) -> str:
    """An event of the first burst, once all of it was accepted."""
    logs = [folder / "acknowledged.log", folder / "acknowledged_by_socket.log"]
    give_up_at = time.monotonic() + _FIRST_S_MAX
    while not any(line.startswith("0 ") for log in logs for line in lines_of(log)):
        assert time.monotonic() < give_up_at, f"nothing was accepted in {_FIRST_S_MAX:g} s"
        time.sleep(_PAUSE_S)
    return json.dumps(cloud_event(burst(seed, 0, 0)[0]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Have the disk of a daemon full, and free again.")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--disk", choices=KINDS, nargs="+", default=KINDS, help="these, in turn; mounted needs root")
    add_arguments(parser, faults=FAULTS)
    given = parser.parse_args(arguments)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="lab-") as work:
        for number in within(given.minutes, range(given.rounds)):
            kind = given.disk[number % len(given.disk)]
            wait_s = _OUTCOME_WAIT_S[number // len(given.disk) % len(_OUTCOME_WAIT_S)]
            folder, seed = Path(work) / f"round-{number}", given.seed + number
            try:
                run(folder, kind, report, seed=seed, fault=given.fault, outcome_wait_s=wait_s)
            except NothingMounted as why:
                report.breach(f"it was not tried on a mounted disk: {why}")
    print(f"seed {given.seed}, fault {given.fault}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
