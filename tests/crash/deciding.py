"""Aggregates under kills: senders and flows ask accounts, the process is ended with SIGKILL, and each is decided once.

    python -m tests.crash.deciding --kills 100 --seed 1
    python -m tests.crash.deciding --kills 2 --fault answers_before_the_commit

Each life prints `ready` once its first events are durable, and sends again some of what was answered before it; the
last one lets everything come to rest, and ends in order. A fault is planted in every life.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import attrs
import trio

from procession import Command, Runtime, Settings, open_runtime
from procession.journal.rows import Contents
from procession.laws.histories import LAWS, Past
from procession.primitives.registration import build_registry
from procession.settings import AggregatesSettings, FlowsSettings, JournalSettings
from procession.testing.simulation.decided_again import decided_again
from tests.crash.checker import command_id_of, contents_of
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.deciding_faults import FAULTS
from tests.crash.lines import LineLog, lines_of
from tests.engine.bank import Account, Deposit, Transfer, TransferRequested, Withdraw

ROOT = Path(__file__).parents[2]
SOURCE = "senders"
SENDERS = 6
ACCOUNTS = 4
_READY_S_MAX, _LAST_LIFE_S_MAX = 30, 60
_SHOWN_MAX = 10
_ALIVE_S_MAX = 0.15


@attrs.frozen
class Report:
    """What a run with kills left."""

    kills: int
    answers: int
    """Commands of which a sender heard how they were decided."""
    transfers: int
    open_at_kills: int
    """Commands of flows that kills left undecided, over all kills."""
    breaches: list[str]

    @property
    def counts(self) -> Counts:
        """As figures."""
        figures = {
            "kills": self.kills,
            "commands answered": self.answers,
            "transfers between accounts": self.transfers,
            "commands that kills left undecided": self.open_at_kills,
        }
        return Counts(figures, self.breaches, ("kills", "commands answered", "transfers between accounts"))


def command_of(seed: int, sender: int, number: int) -> Command:
    """The same in every life, and for every sender something else."""
    chance = random.Random(f"{seed} {sender} {number}")
    account = f"a{chance.randrange(ACCOUNTS)}"
    return (Deposit if chance.random() < 0.6 else Withdraw)(account, chance.randrange(1, 100))


def transfer_of(seed: int, number: int) -> TransferRequested:
    chance = random.Random(f"{seed} transfer {number}")
    return TransferRequested(f"t{number}", f"a{chance.randrange(ACCOUNTS)}", "target", chance.randrange(1, 60))


def settings_of(life: int) -> Settings:
    """Small caches and windows, another choice in each life."""
    chance = random.Random(life)
    return Settings(
        journal=JournalSettings(careful_after=1_000_000),
        flows=FlowsSettings(cached_max=chance.choice([1, 8]), load_slice_steps=chance.choice([1, 3, 256])),
        aggregates=AggregatesSettings(
            cached_max=chance.choice([1, 2, 100]),
            commands_loaded_max=chance.choice([1, 2, 100]),
            snapshot_every_events=chance.choice([1, 3, 200]),
        ),
    )


async def live(folder: Path, seed: int, life: int, *, last: bool) -> None:
    """One life of the child."""
    log = LineLog(folder / "answers.log")
    begun = {int(line.split()[0].split("-")[1]) for line in lines_of(folder / "answers.log")}
    first = max(begun, default=0)
    async with open_runtime(
        folder / "journal.db", processes=[Transfer], aggregates=[Account], settings=settings_of(life)
    ) as runtime:
        numbers = range(max(0, first - 3), first + 3 if last else sys.maxsize)
        async with trio.open_nursery() as nursery:
            for sender in range(SENDERS):
                nursery.start_soon(ask, runtime, log, seed, sender, numbers)
            for number in numbers:
                event = transfer_of(seed, number)
                await runtime.publish(event, id=event.transfer_id, source="transfers")
                if number == numbers[0] + 1:
                    os.write(1, b"ready\n")
        await runtime.drain()


async def ask(runtime: Runtime, log: LineLog, seed: int, sender: int, numbers: range) -> None:
    """One command after another; each answer is logged at once."""
    for number in numbers:
        id_ = f"{sender}-{number}"
        reply = await runtime.send(command_of(seed, sender, number), id=id_, source=SOURCE)
        said = "no" if reply.refusal is not None else str(len(reply.events))
        log.write(f"{id_} {reply.position - len(reply.events)} {said}")


def run_with_kills(
    folder: Path,
    *,
    seed: int,
    kills: int,
    alive_s_max: float = _ALIVE_S_MAX,
    minutes: float | None = None,
    fault: str = "-",
) -> Report:
    """Kill so many lives, let one more come to rest, and check everything."""
    (folder / "answers.log").touch()
    chance = random.Random(seed)
    left = done = 0
    died: list[str] = []
    for life in within(minutes, range(kills)):
        with _child(folder, seed, life, fault) as child:
            assert child.stdout is not None
            said = child.stdout.readline()
            assert said in (b"ready\n", b""), said
            time.sleep(chance.uniform(0.01, alive_s_max))
            child.send_signal(signal.SIGKILL)
            if child.wait() != -signal.SIGKILL:
                died.append(f"a life ended with {child.returncode} before it was killed: {_errors(folder)}")
                break
        left += _open_commands(folder)
        done += 1
    last = _last_life(folder, seed, done, fault)
    lines = lines_of(folder / "answers.log")
    answers = [line.split() for line in lines if line.endswith(("no", "0", "1"))]
    with closing(_connect(folder)) as journal:
        acknowledged = tuple((SOURCE, id_, int(position)) for id_, position, _ in answers)
        past = Past(contents_of(journal), acknowledged, command_id=command_id_of(journal))
    transfers = sum(row.process == "transfer" for row in past.contents.flows)
    return Report(done, len(answers), transfers, left, [*died, *last, *_breaches(past, answers)])


def _last_life(folder: Path, seed: int, life: int, fault: str) -> list[str]:
    """Let one come to rest and end; what was wrong with that."""
    with _child(folder, seed, life, fault, "last") as child:
        try:
            ended = child.wait(_LAST_LIFE_S_MAX)
        except subprocess.TimeoutExpired:
            return [f"the last life did not come to rest within {_LAST_LIFE_S_MAX} s"]
    return [f"the last life ended with {ended}: {_errors(folder)}"] if ended else []


def _breaches(past: Past, answers: list[list[str]]) -> list[str]:
    """Of each check the first ones."""
    contents = past.contents
    again = decided_again(contents, build_registry([Transfer], (), aggregates=[Account]))
    checks: list[Iterable[str]] = [
        *(law(past) for law in LAWS),
        (f"{rule}: {found}" for rule, found in again),
        _each_answer_says_what_was_decided(contents, answers),
        _each_transfer_moves_money_once(contents),
        _no_account_is_overdrawn(contents),
        (f"{row.type} is {row.state}" for row in contents.commands if row.state not in ("answered", "refused")),
    ]
    return [breach for check in checks for breach in islice(check, _SHOWN_MAX)]


def _each_answer_says_what_was_decided(contents: Contents, answers: list[list[str]]) -> Iterator[str]:
    """Where it is, and that it is there once, is told by the laws."""
    by_position = {row.position: row for row in contents.events}
    caused = Counter(row.caused_by for row in contents.events)
    for id_, position, said in answers:
        row = by_position.get(int(position))
        if row is None or row.source_id != id_:
            continue
        if (row.type == "procession.command_refused") != (said == "no") or caused[row.id] != (said == "1"):
            yield f"{id_} was answered with {said}, and led to {caused[row.id]} events of {row.type}"


def _each_transfer_moves_money_once(contents: Contents) -> Iterator[str]:
    moved: Counter[tuple[str, str]] = Counter()
    for row in contents.events:
        transfer = json.loads(row.payload).get("transfer_id") if row.type.startswith("account.") else None
        if transfer:
            moved[transfer, row.type] += 1
    yield from (f"{transfer} has {number} events {type_}" for (transfer, type_), number in moved.items() if number > 1)
    for flow in contents.flows:
        if flow.process == "transfer":
            both = moved[flow.key, "account.withdrawn"], moved[flow.key, "account.deposited"]
            if both != ((1, 1) if flow.outcome == "completed" else (0, 0)) or flow.status != "ended":
                yield f"{flow.key} is {flow.status} ({flow.outcome}), and took and gave {both} times"


def _no_account_is_overdrawn(contents: Contents) -> Iterator[str]:
    balance: dict[str, int] = defaultdict(int)
    for row in contents.events:
        if row.type.startswith("account."):
            said = json.loads(row.payload)
            balance[said["account_id"]] += said["amount_cents"] * (1 if row.type == "account.deposited" else -1)
            if balance[said["account_id"]] < 0:
                yield f"{said['account_id']} is overdrawn at event {row.position}"


@contextmanager
def _child(folder: Path, seed: int, life: int, fault: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    who = ["--life", str(folder), str(seed), str(life), *options]
    arguments = [sys.executable, "-m", "tests.crash.deciding", "--fault", fault, *who]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with (
        (folder / "errors.log").open("a") as errors,
        subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors) as child,
    ):
        try:
            yield child
        finally:
            child.kill()


def _connect(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{folder / 'journal.db'}?mode=ro", uri=True)


def _open_commands(folder: Path) -> int:
    with closing(_connect(folder)) as journal:
        found: int = journal.execute("select count(*) from command where state = 'open'").fetchone()[0]
        return found


def _errors(folder: Path) -> str:
    return (folder / "errors.log").read_text()[-2000:]


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a process whose accounts are asked, and judge what it left.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--life", nargs="+", metavar=("FOLDER", "SEED LIFE [last]"), help="be the one that is killed")
    add_arguments(parser, faults=FAULTS)
    given = parser.parse_args()
    if given.life:
        if given.fault in FAULTS:
            FAULTS[given.fault]()
        folder, seed, life, *options = given.life
        trio.run(partial(live, Path(folder), int(seed), int(life), last="last" in options))
        return 0
    with tempfile.TemporaryDirectory(prefix="deciding-") as name:
        report = run_with_kills(
            Path(name), seed=given.seed, kills=given.kills, minutes=given.minutes, fault=given.fault
        )
    print(f"seed {given.seed}, fault {given.fault}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
