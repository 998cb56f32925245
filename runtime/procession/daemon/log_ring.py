"""The newest records of this package's log, in memory, for those who look: a bounded ring that any thread may fill."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
from collections import deque
from collections.abc import Iterator
from typing import Literal

import attrs

from procession.daemon.log_lines import fields_of
from procession.mask import without_credentials

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
PACKAGE = "procession"
_MESSAGE_CHARS_MAX = 2_000
_ERROR_CHARS_MAX = 8_000
_CUT = " … cut"
_FORMATTER = logging.Formatter()


@attrs.frozen
class LogRecord:
    """One record, masked and cut; docs/dashboard.md says what may be in it."""

    number: int
    """Counted from 1, without gaps, since the ring was made."""
    at: str
    level: str
    logger: str
    message: str
    flow: str | None
    """The flow that it was logged of, `order/421`; None where that is not known."""
    trace_id: str | None
    span_id: str | None
    error: str | None
    """The traceback, its end where it is long."""


@attrs.frozen
class LogFilter:
    """Which records are wanted."""

    level: Level = "DEBUG"
    """At this level and above."""
    flow: str | None = None
    """Of this flow alone."""

    def lets(self, record: LogRecord) -> bool:
        """Whether a record is wanted."""
        levels = logging.getLevelNamesMapping()
        if levels.get(record.level, logging.CRITICAL) < levels[self.level]:
            return False
        return self.flow is None or record.flow == self.flow


def _clean(text: str) -> str:
    """Without halves of characters, which no answer could hold."""
    return text.encode("utf-8", "backslashreplace").decode()


class LogRing(logging.Handler):
    """Keeps what is logged while it is kept; the oldest makes room."""

    def __init__(self, records_max: int) -> None:
        super().__init__()
        self.id = os.urandom(4).hex()
        """Numbers of another ring, of a process that was before, say nothing about this one."""
        self.number = 0
        """Of the newest record."""
        self.is_kept = False
        self._records: deque[LogRecord] = deque(maxlen=records_max)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Take what this package logs, at the level that is set for it, for as long as the block."""
        if self.is_kept:
            yield
            return
        logger = logging.getLogger(PACKAGE)
        logger.addHandler(self)
        self.is_kept = True
        try:
            yield
        finally:
            self.is_kept = False
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one; called under the lock of the handler, by the thread that logs."""
        fields = fields_of(record)
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        message = _clean(without_credentials(record.getMessage()))
        error = None
        if record.exc_info:
            error = _clean(without_credentials(_FORMATTER.formatException(record.exc_info)))
            if len(error) > _ERROR_CHARS_MAX:
                error = f"{_CUT}\n{error[-_ERROR_CHARS_MAX:]}"  # what was raised stands at its end
        if len(message) > _MESSAGE_CHARS_MAX:
            message = message[:_MESSAGE_CHARS_MAX] + _CUT
        self._records.append(
            LogRecord(
                number=self.number + 1,
                at=at.replace("+00:00", "Z"),
                level=record.levelname,
                logger=record.name,
                message=message,
                flow=fields.get("flow"),
                trace_id=fields.get("trace_id"),
                span_id=fields.get("span_id"),
                error=error,
            )
        )
        self.number += 1

    def after(self, number: int) -> tuple[list[LogRecord], int]:
        """The records after a number, the oldest first; and how many of them are gone already."""
        self.acquire()
        try:
            found = [record for record in self._records if record.number > number]
            return found, max(0, self.number - number - len(found))
        finally:
            self.release()
