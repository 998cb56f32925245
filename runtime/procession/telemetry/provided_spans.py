"""Spans of OpenTelemetry, made through a tracer provider, which says where they go. Loaded where that is used."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from opentelemetry import trace
from opentelemetry.context import Context as Surroundings
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind

from procession.errors import WiringError
from procession.telemetry.names import Attribute, Operation
from procession.telemetry.spans import Span
from procession.telemetry.trace_context import Context

logger = logging.getLogger("procession.telemetry")

SCOPE = "procession"
_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)
_NOWHERE = Surroundings()
_OPERATIONS: dict[str, tuple[SpanKind, str]] = {
    Operation.PUBLISH: (SpanKind.PRODUCER, "send"),
    Operation.HANDLE: (SpanKind.CONSUMER, "process"),
    Operation.COMMIT: (SpanKind.INTERNAL, "settle"),
    Operation.SEND: (SpanKind.PRODUCER, "send"),
    Operation.ARM: (SpanKind.INTERNAL, "create"),
    Operation.ATTEMPT: (SpanKind.CONSUMER, "process"),
    Operation.DECIDE: (SpanKind.CONSUMER, "process"),
}
"""The kind of a span, and what the conventions for messaging call its operation."""


class GivenIds(IdGenerator):
    """The ids that the span which this thread makes next is to have."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def give(self, context: Context) -> None:
        """Of the next span."""
        self._of_thread.context = context

    def generate_span_id(self) -> int:
        """As OpenTelemetry asks."""
        found: int = self._of_thread.context.span_id
        return found

    def generate_trace_id(self) -> int:
        """As OpenTelemetry asks, of a span without a parent."""
        found: int = self._of_thread.context.trace_id
        return found


class ProvidedSpans:
    """The spans of one runtime.

    Raises:
        WiringError: this is no tracer provider of opentelemetry-sdk, or it is switched off by its environment.
    """

    def __init__(self, provider: object, version: str) -> None:
        tracer = provider.get_tracer(SCOPE, version) if isinstance(provider, TracerProvider) else None
        if not isinstance(tracer, Tracer):
            found = f"the tracer provider is a {type(provider).__name__} that makes no spans"
            raise WiringError(found, "give an opentelemetry.sdk.trace.TracerProvider, and no OTEL_SDK_DISABLED")
        # A provider has one tracer of one name, so a second runtime finds here what the first one set.
        found_ids = tracer.id_generator
        self._ids = found_ids if isinstance(found_ids, GivenIds) else GivenIds()
        tracer.id_generator = self._ids
        # Which flows are traced was decided once, and stands in the journal: nobody decides it again for each span.
        tracer.sampler = ALWAYS_ON
        self._tracer = tracer
        self._told = False

    def make(self, span: Span) -> None:
        """Hand one span to the provider. What a processor of it raises ends nothing; it is logged once."""
        try:
            self._make(span)
        except Exception:
            if not self._told:
                logger.exception("a span processor of the tracer provider raised: spans are lost")
            self._told = True

    def _make(self, span: Span) -> None:
        kind, operation_type = _OPERATIONS[span.operation]
        told: dict[str, str | int] = {
            Attribute.SYSTEM: SCOPE,
            Attribute.OPERATION: span.operation,
            Attribute.OPERATION_TYPE: operation_type,
            Attribute.DESTINATION: span.destination,
            **span.attributes,
        }
        if span.error is not None:
            told[Attribute.ERROR] = span.error
        around = _NOWHERE
        if span.parent:
            parent = _context_of(Context(span.context.trace_id, span.parent), remote=span.from_outside)
            around = trace.set_span_in_context(trace.NonRecordingSpan(parent), _NOWHERE)
        self._ids.give(span.context)
        made = self._tracer.start_span(
            f"{span.operation} {span.destination}",
            around,
            kind,
            told,
            [trace.Link(_context_of(link, remote=True)) for link in span.links],
            span.began_us * 1000,
        )
        if span.error is not None:
            made.set_status(trace.StatusCode.ERROR)
        made.end(max(span.began_us, span.ended_us) * 1000)

    @contextlib.contextmanager
    def current(self, context: Context) -> Iterator[None]:
        """As `Spans` says."""
        span = trace.NonRecordingSpan(_context_of(context, remote=False))
        with trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            yield


def _context_of(context: Context, *, remote: bool) -> trace.SpanContext:
    return trace.SpanContext(context.trace_id, context.span_id, remote, _SAMPLED)
