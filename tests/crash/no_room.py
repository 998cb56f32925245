"""Two disks that become full while a daemon writes to them, and have room again when that is over.

`mounted` is a small one of its own: real, but only root may mount it. `injected` is any folder, whose writes strace
refuses as a full disk would: strace attaches to the daemon while it runs, and leaves it when there is room again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

from tests.small_disk import small_disk

Kind = Literal["mounted", "injected"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Full = Callable[[int], contextlib.AbstractContextManager[None]]
"""Given the daemon's process id: the disk has no room for as long as the block."""
_SIZE_BYTES = 32_000_000
_LEFT_BYTES = 1_500_000
"""What the daemon fills by itself. Less than it asks for before it goes on is left then."""
_CALLS = "write,pwrite64,fallocate"
_REFUSED = ("", "-wal", ".probe")
"""The files beside the journal that grow; what is written over in its place needs no room."""
_PATIENCE_S = 20.0
_SET_PTRACER, _ANYONE = 0x59616D61, -1


@contextlib.contextmanager
def disk(kind: Kind, journal: Path) -> Iterator[Full]:
    """The folder of a journal, made, as such a disk.

    Raises:
        NothingMounted: a disk can't be mounted here.
    """
    journal.parent.mkdir()
    if kind == "injected":
        yield lambda pid: _injected(journal.resolve(), pid)
        return
    with small_disk(journal.parent, _SIZE_BYTES):
        yield lambda _: _ballasted(journal.parent)


def let_trace() -> None:
    """In the daemon's process, before it is the daemon: where only parents may trace (Yama), this one may too."""
    ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_ulong(_ANYONE), 0, 0, 0)


@contextlib.contextmanager
def _ballasted(folder: Path) -> Iterator[None]:
    """Something else takes all but a little."""
    stands = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(max(0, stands.f_bavail * stands.f_frsize - _LEFT_BYTES)))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def _injected(journal: Path, pid: int) -> Iterator[None]:
    """Each write that would need room fails."""
    paths = [argument for end in _REFUSED for argument in ("-P", f"{journal}{end}")]
    fault = ("-e", f"trace={_CALLS}", "-e", f"inject={_CALLS}:error=ENOSPC")
    command = ["strace", "-f", "-qqq", "-o", "/dev/null", *paths, *fault, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        try:
            _wait_traced(pid, tracer)
            yield
        finally:
            tracer.terminate()  # it lets go of the daemon, which goes on
            tracer.communicate(timeout=_PATIENCE_S)


def _wait_traced(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    """Until strace has all threads of a process, or has ended."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while tracer.poll() is None and time.monotonic() < give_up_at:
        with contextlib.suppress(OSError):  # a thread has ended, or all have
            stands = [(thread / "status").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
            if all(f"TracerPid:\t{tracer.pid}\n" in one for one in stands):
                return
        time.sleep(0.01)
    tracer.kill()
    raise AssertionError(f"strace does not attach to the daemon: {tracer.communicate()[1].decode()}")
