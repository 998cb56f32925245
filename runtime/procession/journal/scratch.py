"""Folders for a while: gone at the end of a block, and where the process was killed, with the next of their kind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LOCK = ".held"
"""Its lock says that somebody works in the folder. One without it is being made, and stays."""


@contextlib.contextmanager
def scratch(prefix: str, folder: str | None = None) -> Iterator[str]:
    """A new folder of this prefix for as long as the block; what killed processes left of the same goes first.

    Args:
        prefix: of its name.
        folder: in which it is made; default: the one for temporary files.
    """
    sweep(prefix, folder)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as path:
        making, lock = Path(path) / f"{_LOCK}.making", Path(path) / _LOCK
        descriptor = os.open(making, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            making.rename(lock)  # it has its name when it is held
            yield path
        finally:
            os.close(descriptor)


def sweep(prefix: str, folder: str | None = None) -> list[str]:
    """Remove the folders of this user and prefix that nobody holds any more; their paths."""
    gone = []
    with contextlib.suppress(OSError), os.scandir(folder or tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and _is_left(entry):
                shutil.rmtree(entry.path, ignore_errors=True)
                gone.append(entry.path)
    return gone


def _is_left(entry: os.DirEntry[str]) -> bool:
    """Whether nobody holds it: an OS lock ends with the process that has it."""
    with contextlib.suppress(OSError):
        found = entry.stat(follow_symlinks=False)
        if not entry.is_dir(follow_symlinks=False) or found.st_uid != os.getuid():
            return False
        descriptor = os.open(Path(entry.path) / _LOCK, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        return True
    return False
