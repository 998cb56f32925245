"""CloudEvents over HTTP: one, structured or binary, or a batch; whoever sends hears what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import attrs
from starlette.requests import Request

from procession.daemon.http.problems import HttpRefused, status_of
from procession.daemon.http.reading import JSON, body_of, check_depth, media_of
from procession.daemon.http.routes import Call, Route
from procession.errors import NotAccepted, Overloaded
from procession.facade import Runtime
from procession.injectors.answers import Answer
from procession.injectors.cloud_events import Document, accept_document
from procession.journal_errors import CommitRejected
from procession.primitives.cloudevents import BATCH, STRUCTURED, CloudEventError
from procession.primitives.codec import from_json, to_json
from procession.primitives.outside import CloudEvent, Outside, Position
from procession.publishing import decoded
from procession.telemetry.trace_context import trace_of_header

_MEDIA = (STRUCTURED, BATCH, JSON)


@attrs.frozen
class PublishedEvent:
    """One event that is durable."""

    id: str
    source: str
    position: int
    duplicate: bool
    """It was accepted before, under this source and id; the position is that of then."""


@attrs.frozen
class Published:
    """All that was sent, in its order."""

    events: tuple[PublishedEvent, ...]


@attrs.define
class _Busy(Exception):  # noqa: N818 - never seen outside of this file
    """Nothing is accepted now, whatever is sent: the rest of a batch need not be tried."""

    why: NotAccepted | Overloaded


@attrs.define(eq=False)
class _Intake:
    """Publishes without waiting for room: whoever sends over HTTP is told to come later."""

    runtime: Runtime
    events_max: int
    trace: str | None
    """Of the request; for events that bring none of their own."""

    async def __call__(self, events: Sequence[Outside]) -> list[Position]:
        """Accept several together or not at all."""
        try:
            return await self.runtime.publish(events, wait=False)
        except (NotAccepted, Overloaded) as busy:
            if isinstance(busy.__cause__, CommitRejected):  # its own data was refused, and would be again
                raise
            raise _Busy(busy) from busy

    def decoded(self, found: CloudEvent) -> Outside:
        """As `Intake` says."""
        event = decoded(self.runtime.registry, found)
        return event if event.trace is not None else attrs.evolve(event, trace=self.trace)


async def publish(call: Call) -> Published:
    """Publish what the body holds. Of a batch those that can be accepted are, whatever becomes of the others.

    Raises:
        HttpRefused, ProcessionError: not all is accepted; of a batch the answer says what became of each event.
    """
    document = await _document_of(call)
    trace = trace_of_header(call.request.headers.get("traceparent"))
    intake = _Intake(call.runtime, call.runtime.settings.intake.publish_batch_max, trace)
    why: NotAccepted | Overloaded | None = None
    try:
        answers = await accept_document(intake, document)
    except _Busy as busy:
        why = busy.why
    if why is not None:
        try:
            raise why
        finally:
            del why  # a cycle of error and frame would keep the events of a flood until they are collected as garbage
    refused = [(number, one.error) for number, one in enumerate(answers) if one.error is not None]
    if refused and document.content_type != BATCH:
        raise refused[0][1]
    if refused:
        raise _refused_of_batch(answers)
    return Published(tuple(_published(one) for one in answers))


def _published(answer: Answer) -> PublishedEvent:
    assert answer.position is not None, "it was not refused"
    assert answer.id is not None, "CloudEvents have one"
    assert answer.source is not None, "as above"
    return PublishedEvent(answer.id, answer.source, int(answer.position), answer.position.duplicate)


def _refused_of_batch(answers: Sequence[Answer]) -> HttpRefused:
    errors = [one.error for one in answers if one.error is not None]
    return HttpRefused(
        status_of(errors[0]),
        f"{len(errors)} of {len(answers)} events were refused, the first because: {errors[0]}",
        "mend them and send the batch again: what was accepted is not accepted twice",
        extra={"events": [one.as_json() for one in answers]},
    )


async def _document_of(call: Call) -> Document:
    media = media_of(call.request)
    if media not in _MEDIA:
        raise HttpRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the content type is {media or 'not said'}",
            f"send {STRUCTURED}, {BATCH}, or {JSON} with the attributes in ce- headers",
            headers={"Accept": ", ".join(_MEDIA)},
        )
    body = await body_of(call.request, call.settings)
    check_depth(body, call.settings.json_depth_max)
    return Document(_structured(call.request, body), STRUCTURED) if media == JSON else Document(body, media)


def _structured(request: Request, data: bytes) -> bytes:
    """An event in binary mode, its attributes in headers and its data in the body, as a structured one.

    Raises:
        CloudEventError: a header can't be read, or the body is no JSON.
    """
    found: dict[str, Any] = {}
    for name, value in request.headers.raw:
        if name.startswith(b"ce-"):
            attribute = name.decode("latin-1").removeprefix("ce-")
            if attribute in found:
                raise CloudEventError(f"the header ce-{attribute} comes twice", "send it once")
            found[attribute] = _header_text(attribute, value)
    if data:
        try:
            found["data"] = from_json(data)
        except ValueError as error:
            raise CloudEventError(f"the body is no JSON ({error})", "send the data as one JSON object") from None
    return to_json(found)


def _header_text(attribute: str, value: bytes) -> str:
    """The value of a header as CloudEvents writes it: ASCII, all else percent-encoded UTF-8."""
    try:
        return unquote(value.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise CloudEventError(
            f"the header ce-{attribute} is no percent-encoded UTF-8", "encode what is not ASCII (CloudEvents 1.0, HTTP)"
        ) from None


ROUTES = (
    Route(
        "POST",
        "/v1/events",
        "operator",
        "Publish a CloudEvent, structured or binary, or a batch.",
        Published,
        publish,
        asks=bytes,
        media=_MEDIA,
    ),
)
