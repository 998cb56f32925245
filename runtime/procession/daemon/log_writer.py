"""Writes the log to a descriptor, and waits for nobody: what is not taken waits in a bounded queue, or is dropped.

A log that is closed, full or not read must cost flows nothing. So a line is written at once where that can't block,
which is nearly always; else it waits, and a thread writes it when the other side reads again.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable

WAITING_BYTES_MAX = 4_194_304
"""Lines that wait for the other side to read; more are dropped, and counted."""
CLOSE_S_MAX = 1.0
"""What waits at the end is written in so long, or dropped."""
_PIECE_BYTES = 4_096
"""A pipe that can be written to takes so much without blocking (PIPE_BUF)."""
_LOOK_MS = 200


class LogWriter(logging.Handler):
    """To a file, a pipe or a terminal, by its descriptor; any thread may log."""

    def __init__(self, descriptor: int, waiting_bytes_max: int = WAITING_BYTES_MAX) -> None:
        super().__init__()
        self.dropped = 0
        """Lines that were not written."""
        self.on_dropped: Callable[[int], None] = _nothing
        """Is told how many in all."""
        self._descriptor = descriptor
        self._waiting_bytes_max = waiting_bytes_max
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._torn = False
        """The last line was not written to its end."""
        self._told = 0
        self._thread: threading.Thread | None = None

    @property
    def is_waiting(self) -> bool:
        """Lines wait to be taken."""
        return bool(self._waiting)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one, or have it wait; called under the lock of the handler."""
        line = self._line(record)
        if self._waiting_bytes + len(line) > self._waiting_bytes_max:
            self._drop(1)
            return
        if self.dropped > self._told and not self._waiting:
            line = self._missing() + line
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        if len(self._waiting) == 1:
            self._write()
        if self._waiting and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._keep_writing, name="procession log", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait for what is left to be written, for `CLOSE_S_MAX` at most."""
        thread = self._thread
        if thread is not None:
            thread.join(CLOSE_S_MAX)
        self.acquire()
        try:
            self._give_up()
        finally:
            self.release()

    def _line(self, record: logging.LogRecord) -> bytes:
        try:
            text = self.format(record)
        except Exception as error:  # noqa: BLE001 - a call of the log with wrong arguments ends nothing
            found = f"what was logged at {record.pathname}:{record.lineno} can't be written: {type(error).__name__}"
            text = self.format(logging.LogRecord(record.name, logging.ERROR, "", 0, found, None, None))
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def _missing(self) -> bytes:
        """A line that says what is missing before it."""
        found = f"{self.dropped - self._told} lines of the log were not written: nobody took them, or there was no room"
        self._told = self.dropped
        return self._line(logging.LogRecord("procession.daemon", logging.WARNING, "", 0, found, None, None))

    def _write(self) -> None:
        """Write what waits, as far as it is taken without waiting; under the lock."""
        try:
            while self._waiting and self._poll.poll(0):
                line = b"\n" + self._waiting[0] if self._torn else self._waiting[0]
                written = os.write(self._descriptor, line[:_PIECE_BYTES])
                rest = line[written:]
                self._waiting_bytes -= len(self._waiting[0]) - len(rest)
                self._torn = False
                if rest:
                    self._waiting[0] = rest
                else:
                    self._waiting.popleft()
        except OSError:  # closed, or full: what waited is lost, and what comes is tried again
            self._torn = True
            self._give_up()

    def _give_up(self) -> None:
        """Drop all that waits; under the lock."""
        number, self._waiting_bytes = len(self._waiting), 0
        self._waiting.clear()
        self._drop(number)

    def _keep_writing(self) -> None:
        """Until nothing waits."""
        while True:
            self._poll.poll(_LOOK_MS)
            self.acquire()
            try:
                self._write()
                if not self._waiting:
                    self._thread = None
                    return
            finally:
                self.release()

    def _drop(self, number: int) -> None:
        if not number:
            return
        self.dropped += number
        self.on_dropped(self.dropped)


def _nothing(dropped: int) -> None:
    pass
