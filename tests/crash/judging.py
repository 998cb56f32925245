"""What is said of a journal that senders filled over many lives: come to rest, its whole history is judged."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from tests.crash.checker import acknowledged, check
from tests.crash.lab import Lab, verified
from tests.crash.story import ITEMS, PARTS, number_of

_STILL_S = 5.0
_OPEN = (
    "select (select count(*) from flow where status <> 'ended') + (select count(*) from delivery)"
    " + (select count(*) from command where state = 'open')"
)


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """The journal of a lab by plain SQLite, read-only: nothing of what a crash left is tidied away."""
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'journal.db'}?mode=ro", uri=True)) as journal:
        yield journal


def come_to_rest(lab: Lab) -> None:
    """Wait until every flow has ended and nothing is open, or nothing moves any more: what is left is judged then."""
    still_at, stands = time.monotonic(), None
    with reading(lab.folder) as journal:
        while journal.execute(_OPEN).fetchone()[0]:
            now = journal.execute("select position, step_seq from owner").fetchone()
            if now != stands:
                still_at, stands = time.monotonic(), now
            if time.monotonic() > still_at + _STILL_S:
                return
            time.sleep(0.05)


def acknowledged_by_socket(folder: Path) -> list[str]:
    """Ids of events whose sender heard over the local socket that they were accepted."""
    lines = (folder / "acknowledged_by_socket.log").read_text().splitlines()
    return [id_ for line in lines for id_ in line.split()[1:]]


def acknowledgements(folder: Path) -> int:
    """How many events senders heard were accepted."""
    return len(acknowledged(folder)) + len(acknowledged_by_socket(folder))


def judged(folder: Path) -> list[str]:
    """Every breach of what is promised, as a sentence; the first ones of each kind."""
    return [
        *check(folder),
        *_lost(folder),
        *_other_ends(folder),
        *_done_again(folder),
        *verified(folder / "journal.db"),
    ]


def _lost(folder: Path) -> list[str]:
    with reading(folder) as journal:
        stored = {id_ for (id_,) in journal.execute("select source_id from event where source_id is not null")}
    lost = [id_ for id_ in acknowledged_by_socket(folder) if id_ not in stored]
    return [f"{id_} was accepted over the socket, and the journal does not have it" for id_ in lost[:20]]


def _done_again(folder: Path) -> list[str]:
    """What is done is not begun again, unless the process died in between."""
    found: list[str] = []
    done: set[str] = set()
    for line in (folder / "effects.log").read_text().splitlines():
        match line.split():
            case ("life",):
                done.clear()
            case "end", command:
                done.add(command)
            case "begin", command, flow, what if command in done:
                found.append(f"{what} of {flow} was done under the id {command}, and the same process began it again")
    return found[:20]


def _other_ends(folder: Path) -> list[str]:
    """Each flow ends as its events say, which its key tells, in whatever order they came."""
    with reading(folder) as journal:
        rows = journal.execute("select process, key, outcome from flow").fetchall()
    expected = {"order": _order_end, "batch": _batch_end}
    return [
        f"{process}/{key} ended as {outcome!r}, and its events say {expected[process](key)!r}"
        for process, key, outcome in rows
        if outcome != expected[process](key)
    ][:20]


def _order_end(key: str) -> str:
    return f"shipped {ITEMS} items for {sum(number_of(key, item) % 1000 for item in range(ITEMS))}"


def _batch_end(key: str) -> str:
    rejected = sum(number_of(key, part) % 3 == 0 for part in range(PARTS))
    return f"{PARTS - rejected} settled, {rejected} rejected"


def calls_under_way(folder: Path) -> int:
    """Attempts that gateways have begun and not ended, by their log."""
    lines = (folder / "effects.log").read_text().splitlines()
    return sum(line.startswith("begin ") - line.startswith("end ") for line in lines)
