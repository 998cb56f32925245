"""What a process did to the files of a folder, call by call, as strace saw it.

It watches the real process with the real SQLite and C library, so nothing stands between the journal and the kernel
that is not there in production. (A recording VFS would be another build of SQLite than the one that ships.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

_CALLS = (
    "openat,creat,pwrite64,pwritev,pwritev2,write,ftruncate,fallocate,fsync,fdatasync,unlink,unlinkat,rename,renameat"
    ",renameat2,open,openat2,writev,truncate,link,linkat,symlink,symlinkat,copy_file_range,sendfile,sync_file_range"
)
"""Those that are followed, and others that change files or sync them: of the folder's, they are strange."""
_BY_NAME = re.compile("open|creat|unlink|rename|truncate|link|symlink")
_NOT_FOLLOWED = ("-shm", ".lock", ".probe", ".suspect", ".suspect.new")
_TEXT_BYTES_MAX = 1_000_000
_SYNCS = frozenset({"fsync", "fdatasync"})
_HANDED_OVER = frozenset({"pwrite64", "write"})
_LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*?)(?P<end>\) += .*| <unfinished \.\.\.>)$")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_FILE = re.compile(r"\d+<(?P<path>(?:\\x[0-9a-f]{2})+)>(?:\(deleted\))?")
_TEXT = re.compile(r'"(?P<text>(?:\\x[0-9a-f]{2})*)"')


@attrs.frozen
class Wrote:
    """Bytes handed to the kernel."""

    name: str
    offset: int
    data: bytes


@attrs.frozen
class Cut:
    """A file made shorter or longer."""

    name: str
    size: int


@attrs.frozen
class Made:
    """A name that was not there before."""

    name: str


@attrs.frozen
class Removed:
    """A name taken away."""

    name: str


@attrs.frozen
class Synced:
    """All that was written to this file before is on the disk."""

    name: str


@attrs.frozen
class SyncFailed:
    """The kernel could not write this file, and takes what was handed over for written all the same.

    So does Linux: no later sync tries it again.
    """

    name: str


@attrs.frozen
class FolderSynced:
    """All names made and removed before are on the disk."""


@attrs.frozen
class Told:
    """A line that left for the world outside, which no power loss takes back."""

    name: str
    line: bytes


Operation = Wrote | Cut | Made | Removed | Synced | SyncFailed | FolderSynced | Told


class StrangeCallError(Exception):
    """The process did something that this does not follow; an image of it would prove nothing."""


def recording_of(arguments: Sequence[str], log: Path, fault: str = "") -> list[str]:
    """The command that runs another one and records what it does; a fault is one of strace's, `fsync:error=EIO`."""
    quicker = () if "signal=" in fault else ("--seccomp-bpf",)  # with it no signal comes
    return [
        "strace",
        "-f",
        "-y",
        "-xx",
        "-s",
        str(_TEXT_BYTES_MAX),
        *quicker,
        "-e",
        f"trace={_CALLS}",
        *(("-e", f"inject={fault}") if fault else ()),
        "-o",
        str(log),
        *arguments,
    ]


def operations(log: Path, folder: Path, told: Sequence[str], existing: Iterable[str] = ()) -> Iterator[Operation]:
    """What was done to the files of a folder, in order.

    Args:
        log: what strace wrote.
        folder: whose files are followed; those ending in `-shm` and `.lock` are not, for they are made anew, and the
            file of suspects, which a start can do without.
        told: names of logs that stand for the world outside.
        existing: names that were there when it began.

    Raises:
        StrangeCallError: it can't be followed.
    """
    begun: dict[str, tuple[str, str]] = {}
    existing = set(existing)
    with log.open() as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            thread, rest = found["thread"], found["rest"]
            call, resumed = _CALL.match(rest), _RESUMED.match(rest)
            if resumed is not None:
                name, arguments = begun.pop(thread)
                # What was written counts from when it was handed over, what was synced from when that returned.
                if name not in _HANDED_OVER:
                    yield from _operation(name, arguments, resumed["rest"], folder, told, existing)
            elif call is not None and call["end"].startswith(" <unfinished"):
                begun[thread] = (call["name"], call["arguments"])
                if call["name"] in _HANDED_OVER:
                    yield from _operation(call["name"], call["arguments"], ") = 0", folder, told, existing)
            elif call is not None:
                yield from _operation(call["name"], call["arguments"], call["end"], folder, told, existing)


def _operation(
    name: str, arguments: str, end: str, folder: Path, told: Sequence[str], existing: set[str]
) -> Iterator[Operation]:
    failed = "= -1" in end
    if (failed and name not in _SYNCS) or (
        name in _SYNCS and "= ?" in end
    ):  # or the process was gone before it returned
        return
    paths = [_decoded(text) for text in (*_FILE.findall(arguments), *_opened(arguments, name))]
    inside = [Path(path).name for path in paths if Path(path).parent == folder and not path.endswith(_NOT_FOLLOWED)]
    if failed:
        yield from map(SyncFailed, inside)
    elif name in _SYNCS and paths and Path(paths[0]) == folder:
        yield FolderSynced()
    elif inside:
        if name == "write" and inside[-1] not in told:
            raise StrangeCallError(f"write({arguments[:200]}")
        yield from _in_file(name, inside[-1], arguments, existing)


def _in_file(name: str, file: str, arguments: str, existing: set[str]) -> Iterator[Operation]:
    if name in ("openat", "open", "creat"):
        if "O_CREAT" in arguments and file not in existing:
            existing.add(file)
            yield Made(file)
        if "O_TRUNC" in arguments:
            yield Cut(file, 0)
    elif name == "pwrite64":
        counted, _, offset = arguments.rpartition(", ")
        yield Wrote(file, int(offset), _data_of(counted))
    elif name == "write":
        yield Told(file, _data_of(arguments))
    elif name == "ftruncate":
        yield Cut(file, int(arguments.rpartition(", ")[2]))
    elif name in _SYNCS:
        yield Synced(file)
    elif name in ("unlink", "unlinkat"):
        existing.discard(file)
        yield Removed(file)
    else:
        raise StrangeCallError(f"{name}({arguments[:200]}")


def _data_of(arguments: str) -> bytes:
    text = _TEXT.search(arguments)
    assert text is not None, "what is written stands in quotes"
    data = bytes.fromhex(text["text"].replace(r"\x", ""))
    if len(data) != int(arguments.rpartition(", ")[2]):
        raise StrangeCallError(f"only {len(data)} bytes are told of a write: {arguments[-40:]}")
    return data


def _opened(arguments: str, name: str) -> list[str]:
    return [found["text"] for found in _TEXT.finditer(arguments)] if _BY_NAME.match(name) else []


def _decoded(text: str) -> str:
    return bytes.fromhex(text.replace(r"\x", "")).decode()
