"""Whether a folder takes what a commit needs: asked before anything that still works is closed."""

from __future__ import annotations

import contextlib
import os

from procession.journal_errors import CommitFailed

ROOM_BYTES_MIN = 1_048_576
"""Less is no room: the write-ahead log of one commit with many rows may be as long."""


def require_room(journal: str) -> None:
    """Write as much beside the journal, sync it, and take it away again. Waits for the disk.

    Raises:
        CommitFailed: it could not be written.
    """
    path = f"{journal}.probe"
    try:
        probe = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            left = memoryview(bytes(ROOM_BYTES_MIN))
            while left:
                left = left[os.write(probe, left) :]
            os.fsync(probe)
        finally:
            os.close(probe)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise CommitFailed(f"{said}: {ROOM_BYTES_MIN:,} bytes can't be written beside the journal") from error
    finally:
        with contextlib.suppress(OSError):  # it could not be made, or not be taken away where nothing can be written
            os.unlink(path)
