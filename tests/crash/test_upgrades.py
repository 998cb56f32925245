"""A journal of an earlier version opens and folds as it did, wherever its migration was killed; a newer one stays."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from procession import Gateway, ProcessionError, ProcessManager
from procession.journal.sqlite_reader import read_sqlite
from procession.journal.sqlite_schema import SCHEMA
from procession.primitives.lifts import AnyLift
from tests.daemon.command import ROOT, environment
from tests.fixtures.journals import crate_v2, parcel_v1
from tests.fixtures.journals.folding import fold_all

JOURNALS = ROOT / "tests" / "fixtures" / "journals"
READ_BY: dict[str, tuple[Sequence[type[ProcessManager]], Sequence[Gateway], Sequence[AnyLift]]] = {
    "parcel": ([parcel_v1.Parcel], [parcel_v1.Couriers()], []),
    "crate": ([crate_v2.Crate], [crate_v2.Dockers()], [crate_v2.in_grams]),
}


def schema_of(journal: Path) -> int:
    """By the header of a file that was closed in order."""
    return int.from_bytes(journal.read_bytes()[60:64], "big")


EARLIER = sorted(found.stem for found in JOURNALS.glob("*.db") if schema_of(found) < SCHEMA)
"""All but the present schema's, which joins them when there is a newer one."""
KILLS = [*(("pwrite64", number) for number in (10, 21, 36)), *(("fdatasync", number) for number in (3, 4, 7))]
"""Of the thread that migrates. It writes the log from its ninth write on, and the file last; by its third sync the
migration is durable, by the fourth whose the journal is."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("strace", "install strace, on Debian: apt-get install strace"),
]


def life(fault: str, journal: Path, *tracer: str) -> subprocess.CompletedProcess[str]:
    """A process that opens it, and closes it in order."""
    command = [*tracer, sys.executable, "-m", "tests.crash.upgrading_child", fault, str(journal)]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )


def copied(name: str, folder: Path) -> Path:
    folder.mkdir()
    archive = JOURNALS / f"{name}.db.archive"
    if archive.exists():
        shutil.copytree(archive, folder / "journal.db.archive")
    return Path(shutil.copy(JOURNALS / f"{name}.db", folder / "journal.db"))


async def upgraded_under_kills(
    name: str, folder: Path, kills: Sequence[tuple[str, int]], fault: str = "-"
) -> tuple[int, list[str]]:
    """How often the process was killed before that call, and what was wrong once the next one had ended."""
    killed, breaches = 0, []
    for call, number in kills:
        journal = copied(name, folder / f"{call}-{number}")
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        first = life(fault, journal, "strace", "-f", "-qq", "-o", "/dev/null", *inject)
        killed += first.returncode == -signal.SIGKILL
        done = life(fault, journal)
        found = await unlike(name, journal) if done.returncode == 0 else [f"the next start ended: {last_of(done)}"]
        breaches += [f"{name}, {call} {number}: {breach}" for breach in found]
    return killed, breaches


async def unlike(name: str, journal: Path) -> list[str]:
    """What is not of the present schema, damaged, or not what it was."""
    breaches = [] if schema_of(journal) == SCHEMA else [f"it has schema {schema_of(journal)}"]
    expected = json.loads((JOURNALS / f"{name}.json").read_text())
    reader = await read_sqlite(journal)
    try:
        breaches += [f"{fault.code}: {fault.found}" for fault in await reader.verify()]
        folded = await fold_all(reader, *READ_BY[name.partition("_")[0]])
    except ProcessionError as error:
        return [*breaches, str(error)]
    finally:
        await reader.close()
    return breaches + [f"{part} are not what they were" for part in expected if folded[part] != expected[part]]


def last_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a process that failed said at last."""
    *_, last = done.stderr.splitlines() or ["it said nothing"]
    return last


def newer(folder: Path, *, in_log: bool) -> Path:
    """A journal that says that it has the next schema, in its file or only in the log of an owner that was killed."""
    made = copied(f"parcel_v{SCHEMA}", folder)
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        connection.execute(f"pragma user_version = {SCHEMA + 1}")
        if in_log:
            killed = folder / "killed"
            killed.mkdir()
            for name in (made.name, f"{made.name}-wal"):
                shutil.copy(folder / name, killed)
            return killed / made.name
    return made


def touched_though_newer(journal: Path, fault: str = "-") -> list[str]:
    """What became of a journal that must be refused and stay as it is."""
    before = {found: found.read_bytes() for found in (journal, Path(f"{journal}-wal")) if found.exists()}
    done = life(fault, journal)
    breaches = []
    if "JournalTooNew" not in last_of(done):
        breaches.append(f"it was not refused: exit code {done.returncode}, {last_of(done)}")
    return breaches + [
        f"{found.name} is not what it was"
        for found, content in before.items()
        if not found.exists() or found.read_bytes() != content
    ]


@pytest.mark.searches
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", EARLIER)
async def test_a_migration_that_is_killed_goes_on_and_the_journal_folds_as_before(name: str, tmp_path: Path) -> None:
    killed, breaches = await upgraded_under_kills(name, tmp_path, KILLS)
    assert breaches == []
    assert killed == len(KILLS)


@pytest.mark.parametrize("in_log", [False, True])
def test_a_newer_schema_is_refused_and_stays_byte_for_byte(in_log: bool, tmp_path: Path) -> None:
    assert touched_though_newer(newer(tmp_path / "newer", in_log=in_log)) == []


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("migrates_step_by_step", "can't be used as a journal: table archive already exists"),
        ("tells_its_number_first", "schema: flow is not defined as it was"),
        ("forgets_outcomes", "flows are not what they were"),
        ("writes_payloads_anew", "event_crc: "),
    ],
)
async def test_a_fault_that_is_planted_in_a_migration_is_found(fault: str, found: str, tmp_path: Path) -> None:
    killed, breaches = await upgraded_under_kills("parcel_v1", tmp_path, [("fdatasync", 4)], fault)
    assert killed == 1
    assert any(found in breach for breach in breaches), breaches


@pytest.mark.parametrize(
    ("fault", "in_log", "found"),
    [
        ("opens_newer_schemas", False, ["it was not refused: exit code 0", "journal.db is not what it was"]),
        ("looks_with_what_writes", True, ["journal.db is not what it was", "journal.db-wal is not what it was"]),
    ],
)
def test_a_fault_that_is_planted_in_the_refusal_is_found(
    fault: str, in_log: bool, found: list[str], tmp_path: Path
) -> None:
    breaches = touched_though_newer(newer(tmp_path / "newer", in_log=in_log), fault)
    assert [breach.partition(",")[0] for breach in breaches] == found
