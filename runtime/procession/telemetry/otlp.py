"""Spans to an OTLP receiver over HTTP, by opentelemetry-exporter-otlp-proto-http, the extra `otlp`."""

from __future__ import annotations

import io
import logging
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from procession.telemetry.span_queue import SpanQueue

_ANSWER_BYTES_MAX = 65_536
"""So much of a receiver's answer is read; it says nothing that is needed."""
_LOGGER_OF_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class _ShortAnswers(requests.Session):
    """Reads no more of an answer than there is any use for."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - as it is
        found = super().send(request, **{**kwargs, "stream": True})
        answer = requests.Response()
        answer.status_code, answer.reason, answer.headers = found.status_code, found.reason, found.headers
        try:
            answer.raw = io.BytesIO(found.raw.read(_ANSWER_BYTES_MAX))
        finally:
            found.close()
        return answer


class _Hushed(logging.Filter):
    """Keeps what the exporter says in one thread to itself: it says so at each try, and we say it once."""

    said = ""
    thread: int | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self.thread:
            return True
        self.said = record.getMessage()
        return False


class OtlpExporter(SpanExporter):
    """Sends batches to one address. What it has to say of a failure is in `said`."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address = address
        self._exporter = OTLPSpanExporter(endpoint=address, timeout=timeout_s, session=_ShortAnswers())
        self._hushed = _Hushed()
        logging.getLogger(_LOGGER_OF_EXPORTER).addFilter(self._hushed)

    @property
    def said(self) -> str:
        """Why the last batch was not taken."""
        return f"{self._address}: {self._hushed.said}"

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; called by one thread."""
        self._hushed.thread = threading.get_ident()
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        """Break off what is under way, as far as it can be."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no annotation there
        logging.getLogger(_LOGGER_OF_EXPORTER).removeFilter(self._hushed)


def resource_of(service_name: str) -> Resource:
    """What this process is called where its telemetry goes; OTEL_RESOURCE_ATTRIBUTES adds to it."""
    known: Mapping[str, str | int] = {
        "service.name": service_name,
        "service.version": version("procession"),
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
    }
    return Resource.create(known)


def otlp_provider(
    service_name: str, address: str, *, timeout_s: float, interval_s: float, waiting_max: int
) -> tuple[TracerProvider, SpanQueue]:
    """A tracer provider whose spans go to an address, and the queue that they wait in: close it at the end."""
    queue = SpanQueue(OtlpExporter(address, timeout_s), waiting_max=waiting_max, interval_s=interval_s)
    provider = TracerProvider(resource=resource_of(service_name), sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(queue)
    return provider, queue
