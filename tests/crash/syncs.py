"""What was told after a sync that failed: nothing that was written before, until the journal was opened anew.

A page that the disk refused counts as clean to the kernel, and the next sync says that all is well. So a life that
tries again on the same file, and believes it, has lost what it told; and only a power loss would show it. The order of
its calls shows it at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.crash.power_loss import LOGS
from tests.crash.short_life import JOURNAL

_LOG, _HEAD = f"{JOURNAL}-wal", f"{JOURNAL}-head"
_LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\(.*")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_PATH = re.compile(r"<([^<>]+)>|\"([^\"]+)\"")
_BYTES = re.compile(r"((?:\\x[0-9a-f]{2})+)")
_POSITION = slice(44, 52)
"""Of the last event, in a head file."""


def believed(trace: Path, folder: Path, told: Iterable[str], durable: int) -> Iterator[str]:
    """One sentence for each line of acknowledgements that was told on a file whose sync had failed.

    What was durable before may be told after: the head file says, before anybody hears of a commit, how far that is.

    Args:
        trace: as strace wrote it, with `-x`, and 72 bytes at least of what is written.
        folder: where the journal is.
        told: the lines that the life wrote into its log of acknowledgements, whose writes the trace has.
        durable: the last event of the journal before that life.
    """
    failed = unsynced = wrote = False
    lines = iter(told)
    for name, file, rest in _calls(trace, folder):
        if name == "pwrite64" and file == _HEAD and not failed:
            durable = _position_of(rest)
        elif name == "pwrite64" and file == _LOG:
            unsynced = True
            wrote = wrote or failed
        elif name == "fdatasync" and "= -1" in rest and file:  # SQLite takes no notice of a folder's: not all have it
            failed, wrote = True, wrote or unsynced
        elif name == "fdatasync" and file == _LOG:
            unsynced = False
        elif name == "openat" and file == JOURNAL and "O_RDWR" in rest:
            failed = wrote = False
        elif name == "write" and file == LOGS[0]:
            last = max(int(one.rpartition("=")[2]) for one in next(lines).split()[1:])
            if failed and wrote and last > durable:
                yield (
                    f"it acknowledged event {last} after a sync had failed at event {durable}, and had not opened the"
                    " journal anew"
                )


def _calls(trace: Path, folder: Path) -> Iterator[tuple[str, str, str]]:
    """The name of each call that returned, the file of the folder that it is about, and all of it."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        thread, rest = found["thread"], found["rest"]
        if _RESUMED.match(rest):
            rest = begun.pop(thread, "") + rest
        elif rest.endswith("<unfinished ...>"):
            begun[thread] = rest
            continue
        call = _CALL.match(rest)
        if call:
            yield call["name"], _file_of(rest, folder), rest


def _position_of(rest: str) -> int:
    """What a write of the head file says."""
    found = _BYTES.search(rest)
    assert found is not None, f"it writes no head: {rest}"
    return int.from_bytes(bytes.fromhex(found[1].replace("\\x", ""))[_POSITION])


def _file_of(rest: str, folder: Path) -> str:
    """The file of the folder that a call is about."""
    for one in _PATH.findall(rest):
        path = Path(one[0] or one[1])
        if path.parent == folder:
            return path.name
    return ""
