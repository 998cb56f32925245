"""Spans on their way out: a bounded queue, and a thread that sends what is in it. Nobody waits for either."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

logger = logging.getLogger("procession.telemetry")
CLOSE_S_MAX = 1.5
"""What is left at the end is sent in so long, or dropped."""
_LAST_S_MAX = 0.3
"""Then what the thread is in is broken off, and waited for so long."""
_BATCH_MAX = 512
"""Spans in one request."""


class Hushed(logging.Filter):
    """Keeps to itself what is logged in one thread."""

    said = ""
    thread: int | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self.thread:
            return True
        self.said = record.getMessage()
        return False


class SpanQueue(SpanProcessor):
    """A processor for a tracer provider. What finds no room, or is not taken, is dropped and counted.

    Args:
        exporter: where batches go; it may fail, or hang for as long as it likes.
        waiting_max: spans that wait.
        interval_s: a batch that is not full is sent after so long.
        address: where that is, for people.
        logger_of_exporter: what this logger is told by the thread that sends is kept, and told once, not at each try.
    """

    def __init__(
        self, exporter: SpanExporter, *, waiting_max: int, interval_s: float, address: str, logger_of_exporter: str
    ) -> None:
        self.dropped = 0
        self.on_dropped: Callable[[int], None] = _nothing
        """Told how many were dropped in all, from whatever thread."""
        self._exporter = exporter
        self._waiting_max = waiting_max
        self._batch_max = min(_BATCH_MAX, waiting_max)
        self._interval_s = interval_s
        self._waiting: deque[ReadableSpan] = deque()
        self._lock = threading.Lock()
        self._some, self._full = threading.Event(), threading.Event()
        self._closing = self._abandoned = False
        self._well = True
        self._address = address
        self._hushed = Hushed()
        self._logger_of_exporter = logging.getLogger(logger_of_exporter)
        self._thread = threading.Thread(target=self._run, name="procession telemetry", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span in, where there is room."""
        waiting = len(self._waiting)
        if waiting >= self._waiting_max or self._closing:
            self._drop(1)
            return
        self._waiting.append(span)
        if not waiting:
            self._some.set()
        if waiting + 1 >= self._batch_max:
            self._full.set()

    def close(self) -> None:
        """Send what is left; returns in two seconds at the latest, and takes nothing more."""
        self._closing = True
        self._some.set()
        self._full.set()
        self._thread.join(CLOSE_S_MAX)
        self._abandoned = True
        self._exporter.shutdown()
        self._thread.join(_LAST_S_MAX)
        left = len(self._waiting)
        if left:
            self._drop(left)
        if self.dropped:
            logger.warning("%d spans in all were not delivered to %s", self.dropped, self._address)

    def shutdown(self) -> None:
        """As `close`, for a provider that is shut down."""
        self.close()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Nothing is waited for: say so."""
        return not self._waiting

    def _run(self) -> None:
        self._hushed.thread = threading.get_ident()
        self._logger_of_exporter.addFilter(self._hushed)
        try:
            while not self._abandoned and (self._waiting or not self._closing):
                self._wait()
                while self._waiting and not self._abandoned:
                    self._send([self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_max))])
        finally:
            self._logger_of_exporter.removeFilter(self._hushed)

    def _wait(self) -> None:
        """Until there is something, and then until it is a batch, or long enough ago."""
        if not self._waiting:
            self._some.wait()
        self._some.clear()
        if not self._closing:
            self._full.wait(self._interval_s)
        self._full.clear()

    def _send(self, batch: list[ReadableSpan]) -> None:
        try:
            taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:  # the thread must live on, whatever an exporter does
            logger.exception("the exporter of spans failed")
            taken = False
        if not taken:
            self._drop(len(batch))
        if taken != self._well:
            self._well = taken
            if taken:
                logger.info("spans are delivered again; %d were dropped so far", self.dropped)
            else:
                text = "spans are not delivered to %s, and are dropped until they are: %s"
                logger.warning(text, self._address, self._hushed.said)

    def _drop(self, number: int) -> None:
        with self._lock:
            self.dropped += number
            self.on_dropped(self.dropped)


def _nothing(dropped: int) -> None:
    pass
