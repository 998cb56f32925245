"""Who owns a journal file: an OS lock on a file beside it, which names the holder. Linux and macOS."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import weakref
from datetime import UTC, datetime

import attrs
import trio

from procession.journal_errors import JournalOwned, JournalUnwritable

if sys.platform == "win32":  # pragma: no cover - refused in one place, so that nobody meets half a lock
    raise ImportError("procession runs on Linux and macOS: a journal is owned by an OS lock that this system lacks")

import fcntl
import itertools

_TRIES_MAX = 5
_NAMELESS_TRIES_MAX = 50
_TRY_PAUSE_S = 0.02


@attrs.frozen
class Holder:
    """What a lock file says."""

    pid: int
    host: str
    started_us: int
    address: str | None
    """Address of the owner's local socket, where it has one."""
    running: bool
    """Whether the lock is held; if not, the rest tells of the last owner, who did not close."""

    @property
    def named(self) -> bool:
        """Whether that process is there: one that was killed leaves its name to the next, until that writes its own."""
        if self.pid == 0 or self.host != os.uname().nodename:
            return self.pid != 0
        with contextlib.suppress(PermissionError):  # it is another user's
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return False
        return True

    @property
    def started_at(self) -> str:
        """When the holder started, ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.started_us / 1_000_000, tz=UTC).isoformat(timespec="seconds")


logger = logging.getLogger("procession.journal")


class Lock:
    """The lock of one journal, held by this process until `release` or its death."""

    def __init__(self, path: str, descriptor: int, holder: Holder) -> None:
        self.path = path
        self.holder = holder
        self._descriptor = descriptor
        _held.add(self)

    def announce(self, address: str | None) -> None:
        """Name the owner's local socket in the lock file; once it is released there is nobody to name."""
        self.holder = attrs.evolve(self.holder, address=address)
        if self._descriptor >= 0:
            try:
                _describe(self._descriptor, self.holder)
            except OSError as error:
                logger.warning("%s can't be written: %s; verbs don't find this owner", lock_path(self.path), error)

    def owned(self) -> JournalOwned:
        """The error for whoever else wants this journal."""
        return _owned(self.path, self.holder)

    def let_go(self) -> None:
        """In a forked child: close what it shares with the owner, which goes on holding the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def release(self) -> None:
        """Empty the file and let the lock go. Doing it twice is fine."""
        if self._descriptor >= 0:
            # In a forked child the descriptor is shared: only the owner may empty the file and unlock it.
            if os.getpid() == self.holder.pid:
                # On a disk that fails, the next owner is one after an unclean end, and can be one at once all the same.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1


@attrs.frozen
class HeldJournal:
    """The file of a journal that this process owns, and has not opened. Made by `holding.held`."""

    path: str
    """As it was named."""
    lock: Lock


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _let_go_of_all() -> None:
    for lock in list(_held):
        lock.let_go()


# An OS lock lives as long as any process has its descriptor open: a child that outlives its parent would hold it on.
os.register_at_fork(after_in_child=_let_go_of_all)


def lock_path(path: str) -> str:
    """The lock file of a journal file."""
    return f"{path}.lock"


async def acquire(path: str, started_us: int) -> Lock:
    """Take the lock of a journal for this process.

    Raises:
        JournalOwned: another process, or another runtime in this one, holds it.
        JournalUnwritable: the lock file can't be made.

    Cancellation: nothing is held.
    """
    try:
        descriptor = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise JournalUnwritable(path, f"its lock file can't be made: {error.strerror}") from error
    lock: Lock | None = None
    try:
        for attempt in itertools.count(1):
            if _try_lock(path, descriptor, fcntl.LOCK_EX):
                break
            # A reader that asks whether an owner runs holds the lock for a moment, and an owner that has just taken it
            # has not named itself yet: look again before refusing.
            found = _parse(_content(descriptor), running=True)
            if attempt >= (_TRIES_MAX if found.named else _NAMELESS_TRIES_MAX):
                raise _owned(path, found)
            await trio.sleep(_TRY_PAUSE_S)
        holder = Holder(os.getpid(), os.uname().nodename, started_us, None, running=True)
        _describe(descriptor, holder)
        lock = Lock(path, descriptor, holder)
    except OSError as error:
        raise JournalUnwritable(path, f"its lock file can't be written: {error.strerror}") from error
    finally:
        if lock is None:
            os.close(descriptor)
    return lock


def holder_of(path: str) -> Holder | None:
    """Who holds the lock of a journal, or died holding it; None where nobody does. Writes nothing.

    Raises:
        JournalUnwritable: its file system gives no locks.
    """
    try:
        descriptor = os.open(lock_path(path), os.O_RDONLY)
    except OSError:
        return None
    try:
        running = not _try_lock(path, descriptor, fcntl.LOCK_SH)
        content = _content(descriptor)
    finally:
        os.close(descriptor)
    if not content and not running:
        return None
    return _parse(content, running=running)


def _try_lock(path: str, descriptor: int, kind: int) -> bool:
    """Whether it was taken.

    Raises:
        JournalUnwritable: nobody can tell who owns it, so nobody may.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        found = f"its file system gives no lock on {lock_path(path)}: {error.strerror}"
        raise JournalUnwritable(path, found, "keep it on a local disk") from error
    return True


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, 4096, 0)


def _describe(descriptor: int, holder: Holder) -> None:
    content = json.dumps(
        {
            "pid": holder.pid,
            "host": holder.host,
            "started_us": holder.started_us,
            "started_at": holder.started_at,
            "address": holder.address,
        }
    )
    line = content.encode() + b"\n"
    os.pwrite(descriptor, line, 0)  # over what was there, and the rest cut off then: nobody finds it empty meanwhile
    os.ftruncate(descriptor, len(line))


def _parse(content: bytes, *, running: bool) -> Holder:
    try:
        found = json.loads(content.partition(b"\n")[0])
        return Holder(found["pid"], found["host"], found["started_us"], found["address"], running)
    except (ValueError, KeyError, TypeError):
        # Caught between being made and being written: held, but not yet named.
        return Holder(0, "unknown", 0, None, running)


def _owned(path: str, holder: Holder) -> JournalOwned:
    return JournalOwned(path, holder.pid, holder.host, holder.started_at)
