"""Where something stands in a trace: W3C contexts, and ids that are derived from what the journal holds.

A derived id is the same whoever derives it and whenever: a process that goes on after a crash names the spans of the
one that died as that would have, without having heard of any of them.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from hashlib import blake2b
from typing import NamedTuple

NOT_TRACED = ""
"""In place of a context: the caller decided that this is not traced, and nothing of that is written down."""
_SAMPLED = 1
_LENGTH = 55
_HEADER = re.compile(r"(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_RATIO_BITS = 62
"""So many bits of a UUIDv7 are random, the last ones."""


class Context(NamedTuple):
    """One span of a trace."""

    trace_id: int
    span_id: int

    @property
    def text(self) -> str:
        """As W3C writes it; sampled, as all is that a context is made for."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-01"


def is_sampled(trace: str) -> bool:
    """Whether a W3C context says that its trace is recorded."""
    return len(trace) >= _LENGTH and trace[_LENGTH - 1] in "13579bdf"


def sampled(trace: str | None) -> Context | None:
    """The span that a W3C context names; None where there is none, or its trace is not recorded."""
    if not trace or not is_sampled(trace):
        return None
    try:
        found = Context(int(trace[3:35], 16), int(trace[36:52], 16))
    except ValueError:
        return None  # a publisher may write into `Outside` what he likes
    return found if all(found) else None


class SpanIds:
    """Ids of spans, derived under the id of a journal."""

    def __init__(self, journal_id: bytes) -> None:
        self._journal_id = journal_id

    def trace(self, event_id: bytes) -> int:
        """The trace that begins with an event."""
        return self._derived(b"trace", event_id, 16)

    def of(self, id: bytes) -> int:
        """The span of an event, a command or a timer."""
        return self._derived(b"of", id)

    def turn(self, process: str, key: str, version: int) -> int:
        """The span of the turn that left a version of a flow."""
        return self._derived(b"turn", _named(process, key, version))

    def failed_turn(self, process: str, key: str, event_id: bytes, at_us: int) -> int:
        """The span of a turn that raised: it left no version, and nothing follows from it."""
        return self._derived(b"failed", _named(process, key, at_us) + event_id)

    def commit(self, process: str, key: str, version: int) -> int:
        """The span of the commit of a turn."""
        return self._derived(b"commit", _named(process, key, version))

    def decision(self, id: bytes) -> int:
        """The span of the decision on a command, by its id; on one from outside, by that of its event."""
        return self._derived(b"decision", id)

    def attempt(self, command_id: bytes, sent_again: int, number: int, broken_off: int) -> int:
        """The span of an attempt: one that was broken off, or sent again, has a span of its own."""
        return self._derived(b"attempt", b"%s%d/%d/%d" % (command_id, sent_again, number, broken_off))

    def _derived(self, kind: bytes, name: bytes, size: int = 8) -> int:
        digest = blake2b(b"%s|%s" % (kind, name), digest_size=size, key=self._journal_id)
        return int.from_bytes(digest.digest()) or 1  # zero is no id


def _named(process: str, key: str, number: int) -> bytes:
    return b"%s\x00%s\x00%d" % (process.encode(), key.encode(), number)


def is_chosen(event_id: bytes, ratio: float) -> bool:
    """Whether a flow that begins with an event is among the share that is traced: decided by the id, so for good."""
    return int.from_bytes(event_id[8:]) & ((1 << _RATIO_BITS) - 1) < ratio * (1 << _RATIO_BITS)


def context_of_caller() -> str | None:
    """The caller's current span as a W3C context; None without one, or where OpenTelemetry was never imported."""
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None:
        return None
    found = opentelemetry.get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags & _SAMPLED:02x}"


def trace_of_caller(at_start: str | None) -> str | None:
    """The trace that a caller decided on; None where it is to be decided here.

    Args:
        at_start: what the runtime was opened in: its own tasks find that too, as their current span.
    """
    found = context_of_caller()
    if found is None or found == at_start:
        return None
    return found if is_sampled(found) else NOT_TRACED


def trace_of_header(text: str | None) -> str | None:
    """What the header `traceparent` of a request decides, as `trace_of_caller`; None where it can't be read."""
    if text is None or not _HEADER.fullmatch(text):
        return None
    return text if is_sampled(text) else NOT_TRACED


class Spanned(NamedTuple):
    """Which flow and which span something is logged in."""

    flow: str
    context: Context


_WITHIN: ContextVar[Spanned | None] = ContextVar("procession.span", default=None)


def log_fields() -> dict[str, str]:
    """What a log line of now should tell: `flow`, `trace_id` and `span_id`; nothing outside of what is traced."""
    found = _WITHIN.get()
    if found is None:
        return {}
    return {
        "flow": found.flow,
        "trace_id": f"{found.context.trace_id:032x}",
        "span_id": f"{found.context.span_id:016x}",
    }


@contextlib.contextmanager
def within(flow: str, context: Context) -> Iterator[None]:
    """What is logged in the block tells of this span, also in worker threads that it waits for."""
    token = _WITHIN.set(Spanned(flow, context))
    try:
        yield
    finally:
        _WITHIN.reset(token)
