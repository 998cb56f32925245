"""Outside events on their way in: checked, encoded and routed before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from procession.engine.intake import Incoming
from procession.engine.router import targets_of
from procession.errors import InvalidPayload, TooLarge, UnknownType
from procession.primitives.codec import to_json
from procession.primitives.event import OWN_EVENTS, Event
from procession.primitives.outside import CloudEvent, Outside
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.settings import IntakeSettings

DEFAULT_SOURCE = "local"
_ID_BYTES_MAX = 512


def decoded(registry: Registry, found: CloudEvent) -> Outside:
    """The event of a CloudEvent, by its type, with its id and source.

    Raises:
        PublishRefused: no class has this type, or the data does not fit it.
    """
    event = registry.codec.structure(registry.event_class(found.type, found.version), found.data)
    return Outside(event, found.id, found.source, found.trace, found.data)


def encode_all(
    registry: Registry, limits: IntakeSettings, outside: Sequence[Outside], trace: str | None = None
) -> tuple[Incoming, ...]:
    """Check and encode a batch; nothing of it is written yet. `trace` is that of events that name none.

    Raises:
        PublishRefused: says which event can't be accepted, and why.
    """
    if len(outside) > limits.publish_batch_max:
        raise TooLarge("the batch", len(outside), limits.publish_batch_max, "intake.publish_batch_max")
    return tuple(_encode(registry, limits, one, trace) for one in outside)


def _encode(registry: Registry, limits: IntakeSettings, outside: Outside, trace: str | None) -> Incoming:
    event = outside.event
    if not isinstance(event, Event):
        raise InvalidPayload(type(event).__name__, "it is no event")
    stored = stored_of(type(event))
    if type(event) in OWN_EVENTS:
        raise UnknownType(stored.name, ("events of the runtime's own can't be published",))
    if registry.events.get((stored.name, stored.version)) is not type(event):
        raise UnknownType(stored.name)
    payload = registry.codec.encode(event)
    if outside.data is not None and stored.extra_fields == "ignore":
        try:
            payload = to_json(outside.data)
        except (TypeError, ValueError) as error:  # it is deeper than can be written
            raise InvalidPayload(stored.name, str(error)) from None
    if len(payload) > limits.payload_bytes_max:
        raise TooLarge(
            f"the data of {stored.name!r}", len(payload), limits.payload_bytes_max, "intake.payload_bytes_max"
        )
    source, digest = outside.source, None
    if outside.id is not None:
        source = source or DEFAULT_SOURCE
        check_id(stored.name, "id", outside.id)
        digest = registry.codec.digest(stored.name, payload)
    if source is not None:
        check_id(stored.name, "source", source)
    targets = targets_of(registry, event, limits.keys_per_event_max)
    for _, key in targets:
        check_key_bytes(stored.name, key, limits)
    of = _trace_of(outside, trace)
    return Incoming(event, payload.decode(), source, outside.id, digest, targets, of, len(payload))


def _trace_of(outside: Outside, of_caller: str | None) -> str | None:
    return of_caller if outside.trace is None else outside.trace


def check_key_bytes(message: str, key: str, limits: IntakeSettings) -> None:
    """Refuse a key from outside that is longer than the settings allow; none may be longer than 512 bytes anyway.

    Raises:
        TooLarge: says how long it is.
    """
    size = len(key.encode())
    if size > limits.key_bytes_max:
        raise TooLarge(f"the key of {message!r}", size, limits.key_bytes_max, "intake.key_bytes_max")


def check_id(event: str, what: str, text: str) -> None:
    """Refuse what is no CloudEvents id or source.

    Raises:
        InvalidPayload: says what of it does not fit.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= _ID_BYTES_MAX or "\x00" in text:
        raise InvalidPayload(event, f"its {what} {text[:40]!r} must have 1 to {_ID_BYTES_MAX} bytes in UTF-8, no NUL")
