"""A real daemon under requests made from its own OpenAPI document.

    python -m tests.daemon.http.fuzz --requests 100000

What fits the document must be answered as it says, what does not must be refused, nothing may fail: all checks of
schemathesis are on. Between them come sound requests to what there is. Each request is followed by some that are the
same with a part of them broken, which are cheap: none of those may fail either, and each answer must be one that the
document knows. Afterwards the daemon must still work, its log must hold no traceback, its memory must be bounded.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs
import hypothesis
import requests
import schemathesis
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.served import FAULTS
from tests.daemon.http.damage import Asked, damaged
from tests.daemon.http.fuzzed_daemon import PATIENCE_S, Fuzzed, daemon
from tests.daemon.http.known_answers import Answers
from tests.daemon.http.traffic import sound_requests

RSS_GROWTH_MB_MAX = 128
_ROUND_EXAMPLES = 10
_BROKEN_EACH = 12
_MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
_WORKS_S = 10
"""What is published is done by then."""
_SHOWN_CHARS = 1_500
_Case = schemathesis.Case[Any]
_SAID = {"by": "fuzz", "why": "to go on"}
_KEYS = ("b1", "b2", "broken", "7")
_CHECKS = {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "409", "422"]}}
"""A type, a pattern and a bound can't say all: what fits them is refused where it means nothing."""


@attrs.define(eq=False)
class Found:
    """What came of it."""

    requests: int = 0
    seconds: float = 0
    statuses: Counter[int] = attrs.field(factory=Counter)
    failures: dict[str, str] = attrs.field(factory=dict)
    """The first of each kind, with how to ask again."""
    rss_mb: list[float] = attrs.field(factory=list)
    """Of the daemon, at first, and a tenth of the way after a tenth of the way."""
    exit_code: int | None = None
    operations: set[str] = attrs.field(factory=set)
    answered: set[str] = attrs.field(factory=set)
    """Operations that were answered with 200 at least once."""

    sound: dict[bool, int] = attrs.field(factory=lambda: {True: 0, False: 0})
    """Sound requests that were answered as they must, and those that others had come before."""
    unexpected: dict[str, str] = attrs.field(factory=dict)

    def saw(self, case: _Case, status: int) -> None:
        """An answer came."""
        self.statuses[status] += 1
        if status == 200:
            self.answered.add(case.operation.label)

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "requests": self.requests,
            "operations": len(self.operations),
            "answers of 5xx": sum(number for status, number in self.statuses.items() if status >= 500),
            "sound requests answered as they must be": self.sound[True],
            "MB more memory": self.rss_mb[-1] - self.rss_mb[0],
        }
        return Counts(figures, [*self.failures], ("requests", "operations", "sound requests answered as they must be"))

    def __str__(self) -> str:
        answered = ", ".join(f"{status}: {number:,}" for status, number in sorted(self.statuses.items()))
        memory = ", ".join(f"{mb:.0f}" for mb in self.rss_mb)
        return (
            f"{self.requests:,} requests of {len(self.operations)} operations in {self.seconds:.0f} s"
            f" ({self.requests / self.seconds:,.0f}/s); {answered}; RSS in MB: {memory}; exit code {self.exit_code};"
            f" {len(self.failures)} kinds of failures; "
            f" sound requests answered so: {self.sound[True]:,}, otherwise: {self.sound[False]:,}"
        )


@attrs.define(eq=False)
class Damaging:
    """Sends what is damaged."""

    asked: Fuzzed
    found: Found
    answers: Answers
    chance: random.Random
    broken_each: int
    """How many broken requests follow each."""
    _connection: http.client.HTTPConnection = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(self.asked.address.removeprefix("http://"), timeout=PATIENCE_S)

    def volley_of(self, case: _Case) -> None:
        """As `volley`, of a request of schemathesis."""
        prepared = requests.Request(**case.as_transport_kwargs(base_url=self.asked.address)).prepare()
        body: Any = prepared.body or b""
        headers = {name: str(value) for name, value in prepared.headers.items() if name.lower() == "content-type"}
        sound = Asked(
            str(prepared.method), prepared.path_url, headers, body.encode() if isinstance(body, str) else bytes(body)
        )
        self.volley(sound)

    def volley(self, sound: Asked) -> None:
        """Some requests that are this one with a part of it broken."""
        for _ in range(self.broken_each):
            self.send(damaged(sound, self.chance))

    def send(self, asked: Asked) -> int:
        """The status of the answer; 0 where it is nothing that a client could send, or was not answered."""
        connection, response = self._connection, None
        for _ in range(2):  # the first time its connection may have been closed behind the answer before
            try:
                connection.request(asked.method, asked.target, asked.body, dict(asked.headers))
                response = connection.getresponse()
                break
            except (http.client.InvalidURL, ValueError):
                connection.close()
                return 0
            except (http.client.HTTPException, OSError):
                connection.close()
        if response is None:
            self.found.failures.setdefault("no answer", str(asked))
            return 0
        media = response.headers.get("content-type", "").partition(";")[0]
        body = b"" if media == "text/event-stream" else response.read()
        if media == "text/event-stream":
            connection.close()
        self.found.requests += 1
        self.found.statuses[response.status] += 1
        fault = self.answers.fault(asked, response.status, media, body)
        if fault:
            name = f"damaged {asked.method} {response.status} {fault[:60]}"
            self.found.failures.setdefault(name, f"{asked}\n{body[:_SHOWN_CHARS]!r}")
        return response.status

    def sound(self, number: int) -> None:
        """One round of sound requests, each with its volley; those of a gateway that others stopped included."""
        for path in ("/v1/gateways/clerks/resume", "/v1/gateways/packers/resume"):
            self.asked.ask("POST", path, json=_SAID)
        for asked, status in sound_requests(number, self._task_of):
            found = self.send(asked)
            self.found.sound[found == status] += 1
            if found != status:
                self.found.unexpected.setdefault(f"{asked.method} {asked.target}: {found}, not {status}", str(asked))
            self.volley(asked)

    def _task_of(self, flow: str) -> str:
        give_up_at = time.monotonic() + _WORKS_S
        while time.monotonic() < give_up_at:
            for task in self.asked.ask("GET", "/v1/tasks?limit=1000&state=all").json()["tasks"]:
                if task["asked_by"] == flow:
                    return str(task["task_id"])
        self.found.failures.setdefault("no task", f"{flow} was begun, and asks for none")
        return "none"


def fuzz(
    requests_max: int,
    seed: int,
    minutes: float | None = None,
    *,
    only: str | None = None,
    fault: str = "-",
    broken_each: int = _BROKEN_EACH,
) -> Found:
    """Ask so often, or for so long; `only`: nothing but what has this path, beside the sound requests."""
    load_all_checks()
    found, began = Found(), time.monotonic()
    with daemon(fault) as asked:
        schema = schemathesis.openapi.from_url(
            f"{asked.address}/openapi.json", config=SchemathesisConfig.from_dict({"checks": _CHECKS})
        )
        there: list[Any] = [one.ok() for one in schema.get_all_operations()]  # type: ignore[union-attr]  # it is valid
        operations = [one for one in there if only in (None, one.path)]
        answers = Answers.of(asked.ask("GET", "/openapi.json").json())
        damaging = Damaging(asked, found, answers, random.Random(seed), broken_each)
        tasks = [task["task_id"] for task in asked.ask("GET", "/v1/tasks").json()["tasks"]]
        chance = random.Random(seed)
        sounds = itertools.count()
        found.rss_mb.append(asked.rss_mb())
        rounds = ((seed + n, one, mode) for n in itertools.count() for one in operations for mode in _MODES)
        for round_seed, operation, mode in rounds:
            done = max(found.requests / requests_max, (time.monotonic() - began) / (60 * minutes) if minutes else 0)
            if done >= 1 and {one.label for one in operations} == found.operations:
                break
            if operation is operations[0]:
                damaging.sound(next(sounds))
            _some(asked, operation, mode, found, chance, (*_KEYS, *tasks), round_seed, damaging)
            if 1 > done >= len(found.rss_mb) / 10:
                found.rss_mb.append(asked.rss_mb())
                found.seconds = time.monotonic() - began
                sys.stderr.write(f"{found}\n")  # where it is broken off, this is what is known
        found.rss_mb.append(asked.rss_mb())
        found.seconds = time.monotonic() - began
        _check_it_works(asked, found)
        asked.process.send_signal(signal.SIGTERM)
        found.exit_code = asked.process.wait(PATIENCE_S)
        for line in asked.tracebacks():
            found.failures.setdefault("traceback in the log", line[:_SHOWN_CHARS])
        if found.exit_code:
            found.failures["exit code"] = str(found.exit_code)
        if found.rss_mb[-1] - found.rss_mb[0] > RSS_GROWTH_MB_MAX:
            found.failures["memory"] = f"{found.rss_mb} MB"
    return found


def _some(
    asked: Fuzzed,
    operation: Any,  # noqa: ANN401 - of schemathesis
    mode: schemathesis.GenerationMode,
    found: Found,
    chance: random.Random,
    names: Sequence[str],
    seed: int,
    damaging: Damaging,
) -> None:
    """Some requests of one kind to one operation."""

    def one(case: _Case) -> None:
        if mode is schemathesis.GenerationMode.POSITIVE and chance.random() < 0.5:
            for part in {"key", "task"} & set(case.path_parameters or {}):
                case.path_parameters[part] = chance.choice(names)  # else no flow and no task would ever be met
        found.requests += 1
        found.operations.add(operation.label)
        if operation.path.endswith("/stream"):
            _follow(asked, case, found)
        else:
            _ask(asked, case, found)
        damaging.volley_of(case)

    given: Any = hypothesis.given(operation.as_strategy(generation_mode=mode))
    settings = hypothesis.settings(
        max_examples=_ROUND_EXAMPLES,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # nothing can be wrong with it
        run: Any = settings(hypothesis.seed(seed)(given(one)))
        run()


def _ask(asked: Fuzzed, case: _Case, found: Found) -> None:
    response = case.call(session=asked.session, timeout=PATIENCE_S)
    found.saw(case, response.status_code)
    try:
        case.validate_response(response)
    except FailureGroup as group:
        for failure in group.exceptions:
            name = f"{type(failure).__name__} {case.operation.label} {response.status_code}"
            found.failures.setdefault(
                name, f"{failure}\n{case.as_curl_command()}\n{response.content[:_SHOWN_CHARS]!r}"[: 3 * _SHOWN_CHARS]
            )


def _follow(asked: Fuzzed, case: _Case, found: Found) -> None:
    """A stream never ends by itself: its head is looked at, and it is left."""
    sent = case.as_transport_kwargs(base_url=asked.address)
    with asked.session.request(**sent, stream=True, timeout=PATIENCE_S) as response:
        found.saw(case, response.status_code)
        media = response.headers.get("content-type", "").partition(";")[0]
        wanted = {200: "text/event-stream"}.get(response.status_code, "application/problem+json")
        if media != wanted or str(response.status_code) not in case.operation.definition.raw["responses"]:
            found.failures.setdefault(f"stream {response.status_code} {media}", case.as_curl_command())


def _check_it_works(asked: Fuzzed, found: Found) -> None:
    """Whatever was paused, limited and archived: it takes an event, and its flow ends."""
    said = {"by": "fuzz", "why": "to look whether it works"}
    assert asked.ask("GET", "/readyz").status_code == 200
    limits = {"concurrency": 4, "rate_per_s": None, "timeout_s": 30, "attempts_max": 2}
    assert asked.ask("POST", "/v1/gateways/packers/limits", json={**said, "limits": limits}).status_code == 200
    assert asked.ask("POST", "/v1/gateways/packers/resume", json=said).status_code == 200
    asked.publish("basket.sent", "last/sent", basket="the last one")
    give_up_at = time.monotonic() + _WORKS_S
    while asked.ask("GET", "/v1/flows/basket/the%20last%20one").json().get("status") != "ended":
        if time.monotonic() > give_up_at:
            found.failures["it does not work"] = asked.ask("GET", "/v1/flows/basket/the%20last%20one/why-not").text
            return
        time.sleep(0.05)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print what came of it; 1 where something failed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", metavar="PATH", help="nothing but what has this path, beside the sound requests")
    options.add_argument("--broken", type=int, default=_BROKEN_EACH, help="how many broken requests follow each")
    add_arguments(options, faults=FAULTS)
    chosen = options.parse_args(arguments)
    found = fuzz(
        chosen.requests,
        chosen.seed,
        chosen.minutes,
        only=chosen.only,
        fault=chosen.fault,
        broken_each=chosen.broken,
    )
    for name, how in found.failures.items():
        sys.stdout.write(f"--- {name}\n{how}\n\n")
    for what in itertools.islice(found.unexpected, 5):
        sys.stdout.write(f"a sound request met something else: {what}\n")
    sys.stdout.write(f"{found}\n")
    return hand_out(chosen, found.counts, shown=False)


if __name__ == "__main__":
    sys.exit(main())
