"""Logs that are written by processes that are killed: a line counts where it is there whole.

One call of `write` does not make a line whole. Where a SIGKILL waits, Linux stops writing between two pages
(`generic_perform_write`), and a line across the end of a page keeps its first part only: seen after 6 of 690 kills of
a process that did nothing but write. What the next process wrote would be the end of that line.
"""

from __future__ import annotations

import os
from pathlib import Path

_TORN = " (torn)"


class LineLog:
    """What was done or heard, line by line; a line that was written survives the process."""

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        end = os.fstat(self._file).st_size
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            self.write(_TORN)

    def write(self, line: str) -> None:
        """In one system call."""
        os.write(self._file, f"{line}\n".encode())


def lines_of(path: Path) -> list[str]:
    """The lines that are there whole."""
    *whole, _ = path.read_text("utf-8").split("\n")
    return [line for line in whole if not line.endswith(_TORN)]
