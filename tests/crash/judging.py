"""What is said of a journal that senders filled over many lives: come to rest, its whole history is judged."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from tests.crash.checker import acknowledged, check
from tests.crash.lab import Lab, verified
from tests.crash.lines import lines_of
from tests.crash.story import ITEMS, PARTS, number_of

_STILL_S = 15.0
"""Longer than a busy machine lets a daemon stand."""
_SHOWN_MAX = 20
_LEVEL = re.compile(r'"level": "(ERROR|CRITICAL)"')
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
    lines = lines_of(folder / "acknowledged_by_socket.log")
    return [id_ for line in lines for id_ in line.split()[1:]]


def acknowledgements(folder: Path) -> int:
    """How many events senders heard were accepted."""
    return len(acknowledged(folder)) + len(acknowledged_by_socket(folder))


def judged(folder: Path, *, said: str | None = None) -> list[str]:
    """Every breach of what is promised, as a sentence; the first ones of each kind. Errors that say this are sound."""
    return [
        *check(folder),
        *_lost(folder),
        *_other_ends(folder),
        *_done_again(folder),
        *verified(folder / "journal.db"),
        *complaints(folder, said=said),
    ]


def complaints(folder: Path, *, said: str | None = None) -> list[str]:
    """What daemons said that no sound one says: a traceback, an error but one that says this, or no line of a log."""
    lines = (folder / "stderr").read_text().splitlines()
    bad = [
        line
        for line in lines
        if not line.startswith("{")
        or "Traceback" in line
        or (_LEVEL.search(line) and (said is None or said not in line))
    ]
    return [f"a daemon said: {line[:600]}" for line in bad[:20]]


def _lost(folder: Path) -> list[str]:
    with reading(folder) as journal:
        stored = {id_ for (id_,) in journal.execute("select source_id from event where source_id is not null")}
    lost = [id_ for id_ in acknowledged_by_socket(folder) if id_ not in stored]
    return [f"{id_} was accepted over the socket, and the journal does not have it" for id_ in lost[:20]]


def _done_again(folder: Path) -> list[str]:
    """What is done is not begun again, unless the process died in between."""
    found: list[str] = []
    done: dict[str, int] = {}
    lines = lines_of(folder / "effects.log")
    for number, line in enumerate(lines):
        match line.split():
            case ("life",):
                done.clear()
            case "end", command:
                done[command] = number
            case "begin", command, flow, what if command in done and len(found) < _SHOWN_MAX:
                left = next((at for at, later in enumerate(lines[number:]) if later == "life"), len(lines) - number)
                found.append(
                    f"{what} of {flow} was done under the id {command}, and the same process began it again"
                    f" {number - done[command]} lines later, {left} before its end; {_told_of(folder, command)}"
                )
    return found


def _told_of(folder: Path, command: str) -> str:
    """What the journal has of a command."""
    id_ = bytes.fromhex(command)
    with reading(folder) as journal:
        row = journal.execute("select state, attempts, log from command where id = ?", (id_,)).fetchone()
        answers = journal.execute(
            "select position, type, (select reason from unhandled where unhandled.position = event.position)"
            " from event where caused_by = ? order by position",
            (id_,),
        ).fetchall()
    return f"the journal has it as {row}, and its answers as {answers}"


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
    lines = lines_of(folder / "effects.log")
    return sum(line.startswith("begin ") - line.startswith("end ") for line in lines)


def calls_of_last_life(folder: Path) -> int:
    """Attempts that the gateways of the process that began last have begun."""
    lines = lines_of(folder / "effects.log")
    last = max((at for at, line in enumerate(lines) if line == "life"), default=0)
    return sum(line.startswith("begin ") for line in lines[last:])
