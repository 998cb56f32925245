"""The owner's unix socket: where it lies, and the lines that pass over it, one JSON object each way."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import tempfile
from pathlib import Path

import attrs
import trio

from procession.journal_errors import JournalUnwritable
from procession.primitives.codec import from_json, to_json

PROTOCOL = 1
LINE_BYTES_MIN = 4_194_304
_ADDRESS_BYTES_MAX = 100
"""The kernel takes 107 bytes on Linux and 103 on macOS."""
_BACKLOG = 64
_RECEIVE_BYTES = 65_536


class LineTooLongError(ValueError):
    """More bytes came without a line's end than a line may have."""


def address_of(journal: str) -> str:
    """Where the owner of this journal listens: beside it, or, where that path is too long, in a folder of the user."""
    beside = f"{os.path.realpath(journal)}.sock"
    name = f"procession-{hashlib.sha256(os.fsencode(beside)).hexdigest()[:16]}.sock"
    own = Path(tempfile.gettempdir()) / _own_folder() / name
    runtime: str | None = os.environ.get("XDG_RUNTIME_DIR")
    candidates: list[str] = [beside, *([str(Path(runtime) / name)] if runtime else []), str(own)]
    for address in candidates:
        if len(os.fsencode(address)) <= _ADDRESS_BYTES_MAX:
            return address
    return str(Path("/tmp") / _own_folder() / name)  # noqa: S108 - the folder is the user's own, mode 0700


@attrs.frozen
class Listening:
    """A socket that listens at an address."""

    address: str
    listener: trio.SocketListener
    _file: tuple[int, int]
    """Device and inode of what lies at the address."""

    def leave(self) -> None:
        """Take away what lies at the address, unless it is another owner's by now."""
        with contextlib.suppress(FileNotFoundError):
            if _file_at(self.address) == self._file:
                os.unlink(self.address)  # noqa: PTH108 - does not wait


def _file_at(address: str) -> tuple[int, int]:
    found = os.lstat(address)
    return found.st_dev, found.st_ino


def listen(address: str) -> Listening:
    """Listen at an address, mode 0600; what a dead owner left there goes first. The caller owns the journal.

    Raises:
        JournalUnwritable: the socket can't be made there, or something else lies there.
    """
    try:
        _make_room(Path(address))
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)  # made with its mode, so that there is no moment in which others may connect
        try:
            bound.bind(address)
        finally:
            os.umask(mask)
        bound.listen(_BACKLOG)
        file = _file_at(address)
    except OSError as error:
        raise JournalUnwritable(address, f"its owner can't listen there: {error.strerror}") from error
    return Listening(address, trio.SocketListener(trio.socket.from_stdlib_socket(bound)), file)


def _own_folder() -> str:
    return f"procession-{os.getuid()}"


def _make_room(place: Path) -> None:
    folder = place.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.name == _own_folder() and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
        raise JournalUnwritable(str(place), "the folder of that name is another user's; set XDG_RUNTIME_DIR")
    if os.path.lexists(place):
        if not stat.S_ISSOCK(place.lstat().st_mode):
            raise JournalUnwritable(str(place), "a file that is no socket lies where the owner would listen")
        place.unlink()


class Lines:
    """JSON objects over a stream, one a line."""

    def __init__(self, stream: trio.SocketStream, line_bytes_max: int) -> None:
        self.stream = stream
        self._max = line_bytes_max
        self._buffer = bytearray()
        self._looked = 0

    async def send(self, found: object) -> None:
        """Send one object."""
        await self.stream.send_all(to_json(found) + b"\n")

    async def receive(self) -> object | None:
        """The next object; None where the other side has closed.

        Raises:
            LineTooLongError: a line is too long.
            ValueError: a line is no JSON.
        """
        while (end := self._buffer.find(b"\n", self._looked)) < 0:
            if not await self._more():
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._looked = 0
        found: object = from_json(line)
        return found

    async def wait_closed(self) -> None:
        """Until the other side closes; what it sends meanwhile is kept."""
        while await self._more():
            pass

    async def _more(self) -> bool:
        self._looked = len(self._buffer)
        if self._looked > self._max:
            raise LineTooLongError(f"a line has over {self._max:,} bytes")
        received = await self.stream.receive_some(_RECEIVE_BYTES)
        self._buffer += received
        return bool(received)
