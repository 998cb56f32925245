"""What a service writes to standard error: lines for people on a terminal, else one JSON object a line."""

from __future__ import annotations

import datetime
import json
import logging
from typing import IO

from procession.daemon.log_writer import LogWriter
from procession.mask import without_credentials
from procession.telemetry.trace_context import log_fields

_LOGGERS_OF_OTHERS_LEVEL = logging.WARNING


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """`flow`, `trace_id` and `span_id` of a record, as far as they are known; to be asked where it is logged."""
    named = getattr(record, "flow", None)
    found = {"flow": named} if isinstance(named, str) else {}
    return {**found, **log_fields()}


class JsonLines(logging.Formatter):
    """One record as a JSON object: `at level logger message`, and `error` with its traceback where there is one.

    What is logged of a flow tells `flow`; in a turn of a traced one, or in a gateway's call for it, also `trace_id` and
    `span_id`.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        found = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": without_credentials(record.getMessage()),
            **fields_of(record),
        }
        if record.exc_info:
            found["error"] = without_credentials(self.formatException(record.exc_info))
        return json.dumps(found, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """One record as a line for people, with its traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        return without_credentials(super().format(record))


def log_to(stream: IO[str], level: str) -> LogWriter | None:
    """Write what this package logs at this level and above, and warnings of others, to a stream and nowhere else.

    What writes it, where the stream is a file of the system: nobody waits for it.
    """
    descriptor = _descriptor_of(stream)
    writer = None if descriptor is None else LogWriter(descriptor)
    handler = writer or logging.StreamHandler(stream)
    handler.setFormatter(PlainLines("%(asctime)s %(levelname)s %(message)s") if stream.isatty() else JsonLines())
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(_LOGGERS_OF_OTHERS_LEVEL)
    logging.getLogger("procession").setLevel(level)
    return writer


def _descriptor_of(stream: IO[str]) -> int | None:
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError):  # one in memory, or one that is closed
        return None
