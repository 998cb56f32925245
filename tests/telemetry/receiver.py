"""An OTLP receiver for tests: an HTTP server on loopback that takes telemetry in, as a Collector does, and reads it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

_PATIENCE_S = 45.0


@attrs.frozen
class Received:
    """One span, as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    """Empty where it is a root."""
    kind: int
    began_ns: int
    ended_ns: int
    attributes: dict[str, str | int]
    links: tuple[tuple[str, str], ...]
    failed: bool
    resource: dict[str, str | int] = attrs.field(repr=False)

    @property
    def flow(self) -> object:
        return self.attributes.get("messaging.message.conversation_id")


@attrs.define(eq=False)
class Receiver:
    """What it has received so far, and where it listens."""

    port: int
    spans: list[Received] = attrs.field(factory=list)
    metrics: list[ExportMetricsServiceRequest] = attrs.field(factory=list)
    paths: set[str] = attrs.field(factory=set)
    bodies: list[bytes] = attrs.field(factory=list)
    """All that came, as it came."""
    arrived: threading.Condition = attrs.field(factory=threading.Condition)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, body: bytes) -> None:
        with self.arrived:
            self.paths.add(path)
            self.bodies.append(body)
            if path.endswith("/metrics"):
                self.metrics.append(ExportMetricsServiceRequest.FromString(body))
            else:
                self.spans += _spans_of(ExportTraceServiceRequest.FromString(body))
            self.arrived.notify_all()

    def wait_for(self, enough: Callable[[Sequence[Received]], bool]) -> list[Received]:
        """The spans, once enough of them are here."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: enough(self.spans), _PATIENCE_S), [span.name for span in self.spans]
            return list(self.spans)


@contextlib.contextmanager
def receiving(answer: Callable[[BaseHTTPRequestHandler], None] | None = None) -> Iterator[Receiver]:
    """A receiver; it answers well, unless somebody else answers for it."""
    receiver = Receiver(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take(self.path, body)
            (answer or answer_well)(self)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def answer_well(handler: BaseHTTPRequestHandler) -> None:
    """As a receiver that took all of it."""
    handler.send_response(200)
    handler.send_header("content-length", "0")
    handler.end_headers()


def answer_late(handler: BaseHTTPRequestHandler) -> None:
    """As one that has something else to do."""
    time.sleep(30)
    answer_well(handler)


def answer_without_end(handler: BaseHTTPRequestHandler) -> None:
    """As one that has much to say: a gigabyte, until the other side has enough."""
    handler.send_response(200)
    handler.send_header("content-length", str(1 << 30))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1 << 10):
            handler.wfile.write(bytes(1 << 20))


def _spans_of(request: ExportTraceServiceRequest) -> Iterator[Received]:
    for of_resource in request.resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Received(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.kind,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _values(span.attributes),
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    resource,
                )


def _values(found: Sequence[KeyValue]) -> dict[str, str | int]:
    return {
        each.key: each.value.int_value if each.value.HasField("int_value") else each.value.string_value
        for each in found
    }
