"""Spans to an OTLP receiver over HTTP, by opentelemetry-exporter-otlp-proto-http, the extra `otlp`."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from procession.telemetry.span_queue import SpanQueue

_ANSWER_BYTES_MAX = 65_536
"""So much of a receiver's answer is read; it says nothing that is needed."""
_LOGGER_OF_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class ShortAnswers(requests.Session):
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
    exporter = OTLPSpanExporter(endpoint=address, timeout=timeout_s, session=ShortAnswers())
    queue = SpanQueue(
        exporter,
        waiting_max=waiting_max,
        interval_s=interval_s,
        address=address,
        logger_of_exporter=_LOGGER_OF_EXPORTER,
    )
    provider = TracerProvider(resource=resource_of(service_name), sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(queue)
    return provider, queue
