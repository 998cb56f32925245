"""Aggregates under kills: senders and flows ask accounts, the process is ended with SIGKILL, and each is decided once.

    python -m tests.crash.deciding --kills 100 --seed 1

Each life prints `ready` once its first events are durable, and sends again some of what was answered before it; the
last one lets everything come to rest, and ends in order.
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
from collections.abc import Iterator
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
from tests.crash.checker import contents_of
from tests.crash.counts import Counts, add_arguments, hand_out, within
from tests.crash.story import EffectsLog
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
        return Counts(figures, self.breaches)


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
    log = EffectsLog(str(folder / "answers.log"))
    begun = {int(line.split()[0].split("-")[1]) for line in (folder / "answers.log").read_text().splitlines()}
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


async def ask(runtime: Runtime, log: EffectsLog, seed: int, sender: int, numbers: range) -> None:
    """One command after another; each answer is logged at once."""
    for number in numbers:
        id_ = f"{sender}-{number}"
        reply = await runtime.send(command_of(seed, sender, number), id=id_, source=SOURCE)
        said = "no" if reply.refusal is not None else str(len(reply.events))
        log.write(f"{id_} {reply.position - len(reply.events)} {said}")


def run_with_kills(
    folder: Path, *, seed: int, kills: int, alive_s_max: float = _ALIVE_S_MAX, minutes: float | None = None
) -> Report:
    """Kill so many lives, let one more come to rest, and check everything."""
    (folder / "answers.log").touch()
    chance = random.Random(seed)
    left = done = 0
    for life in within(minutes, range(kills)):
        with _child(folder, seed, life) as child:
            assert child.stdout is not None
            said = child.stdout.readline()
            assert said == b"ready\n", f"the child said {said!r}: {_errors(folder)}"
            time.sleep(chance.uniform(0.01, alive_s_max))
            assert child.poll() is None, f"the child ended before it was killed: {_errors(folder)}"
            child.send_signal(signal.SIGKILL)
            child.wait()
        left += _open_commands(folder)
        done += 1
    with _child(folder, seed, done, "last") as child:
        ended = child.wait(_LAST_LIFE_S_MAX)
    assert ended == 0, f"the last life ended with {ended}: {_errors(folder)}"
    with closing(_connect(folder)) as journal:
        contents = contents_of(journal)
    lines = (folder / "answers.log").read_text().splitlines()
    answers = [line.split() for line in lines if line.endswith(("no", "0", "1"))]
    transfers = sum(row.process == "transfer" for row in contents.flows)
    return Report(done, len(answers), transfers, left, [*islice(_breaches(contents, answers), _SHOWN_MAX)])


def _breaches(contents: Contents, answers: list[list[str]]) -> Iterator[str]:
    acknowledged = tuple((SOURCE, id_, int(position)) for id_, position, _ in answers)
    for law in LAWS:
        yield from law(Past(contents, acknowledged))
    yield from (found for _, found in decided_again(contents, build_registry([Transfer], (), aggregates=[Account])))
    yield from _each_answer_is_there_once(contents, answers)
    yield from _each_transfer_moves_money_once(contents)
    yield from _no_account_is_overdrawn(contents)
    yield from (f"{row.type} is {row.state}" for row in contents.commands if row.state not in ("answered", "refused"))


def _each_answer_is_there_once(contents: Contents, answers: list[list[str]]) -> Iterator[str]:
    by_position = {row.position: row for row in contents.events}
    caused = Counter(row.caused_by for row in contents.events)
    for id_, position, said in answers:
        row = by_position.get(int(position))
        if row is None or (row.source, row.source_id) != (SOURCE, id_):
            yield f"{id_} was answered, and is not at position {position}"
        elif (row.type == "procession.command_refused") != (said == "no") or caused[row.id] != (said == "1"):
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
def _child(folder: Path, seed: int, life: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-m", "tests.crash.deciding", "--life", str(folder), str(seed), str(life), *options]
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
    add_arguments(parser)
    given = parser.parse_args()
    if given.life:
        folder, seed, life, *options = given.life
        trio.run(partial(live, Path(folder), int(seed), int(life), last="last" in options))
        return 0
    with tempfile.TemporaryDirectory(prefix="deciding-") as name:
        report = run_with_kills(Path(name), seed=given.seed, kills=given.kills, minutes=given.minutes)
    print(f"seed {given.seed}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
