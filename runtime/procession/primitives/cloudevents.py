"""CloudEvents 1.0 in JSON: strictly checked, since what is accepted is kept for ever."""

from __future__ import annotations

import json
import re
from datetime import datetime
from urllib.parse import quote, unquote

import attrs

from procession.errors import PublishRefused, cut_short
from procession.primitives.codec import from_json
from procession.primitives.outside import CloudEvent

_REQUIRED = ("specversion", "id", "source", "type")
_KNOWN = frozenset({*_REQUIRED, "data", "data_base64", "datacontenttype", "dataschema", "subject", "time"})
_TEXTS = ("datacontenttype", "dataschema", "subject", "time")
_EXTENSION = re.compile(r"[a-z0-9]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_JSON_TYPE = re.compile(r"application/([\w.+-]+\+)?json(\s*;.*)?|text/json(\s*;.*)?", re.IGNORECASE)
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
SCHEMA_URN = "urn:procession:event:"
"""What the `$id` of an event's JSON Schema begins with; its name and version follow."""


@attrs.define
class CloudEventError(PublishRefused):
    """A document is no CloudEvent, or not one that can be read here. Mend it; sending it again as it is fails again."""

    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.found}; {self.cure}"


def parse(line: bytes) -> CloudEvent:
    """The event of one line.

    Raises:
        CloudEventError: says what is wrong with it.
    """
    try:
        found = from_json(line)
    except ValueError as error:
        raise _no_json(line, error) from None
    return event_of(found)


def parse_document(body: bytes, content_type: str) -> list[CloudEvent | CloudEventError]:
    """The events of a structured document or of a batch, in order; of each that is none, what is wrong with it.

    Raises:
        CloudEventError: the content type is another, or the whole is no JSON, or no list where a batch should be.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (STRUCTURED, BATCH):
        raise CloudEventError(f"the content type is {_shown(content_type)}", f"send {STRUCTURED} or {BATCH}")
    try:
        found = from_json(body)
    except ValueError as error:
        raise _no_json(body, error) from None
    if kind == STRUCTURED:
        return [event_of(found)]
    if not isinstance(found, list):
        raise CloudEventError(f"the batch is {_kind(found)}", "write a JSON list of CloudEvents")
    return [_event_or_error(item) for item in found]


def _event_or_error(item: object) -> CloudEvent | CloudEventError:
    try:
        return event_of(item)
    except CloudEventError as error:
        return error


def event_of(found: object) -> CloudEvent:
    """The event that parsed JSON holds; raises as `parse`."""
    if not isinstance(found, dict):
        raise CloudEventError(f"it is {_kind(found)}, no JSON object", "write one CloudEvent in a line")
    for name in _REQUIRED:
        value = found.get(name)
        if type(value) is not str or not value:
            missing = f"has no {name}" if name not in found else f"has the {name} {_shown(value)}"
            raise CloudEventError(f"the event {missing}", f"give it {_article(name)} (CloudEvents 1.0, a text)")
    if found["specversion"] != "1.0":
        raise CloudEventError(f"the specversion is {_shown(found['specversion'])}", "write CloudEvents 1.0")
    if not found["source"].isprintable() or " " in found["source"]:
        raise CloudEventError(f"the source {_shown(found['source'])} is no URI reference", "write it without spaces")
    for name in found.keys() - _REQUIRED:
        _check_optional(name, found[name])
    data = found.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise CloudEventError(f"its data is {_kind(data)}", "write data as a JSON object with the fields of its type")
    trace = found.get("traceparent")
    valid = type(trace) is str and _TRACE.fullmatch(trace)
    version = _version(found["type"], found.get("dataschema"))
    return CloudEvent(found["id"], found["source"], found["type"], version, data, trace if valid else None)


def _check_optional(name: str, value: object) -> None:
    if name == "data" or value is None:
        return
    if name == "data_base64":
        raise CloudEventError("its data is in data_base64", "write it as JSON, in data")
    if name in _TEXTS:
        if type(value) is not str or not value:
            raise CloudEventError(f"the {name} is {_shown(value)}", "write it as a text, or leave it out")
        if name == "time" and not _is_time(value):
            raise CloudEventError(f"the time {_shown(value)} is none", "write it like 2026-01-31T12:00:00Z (RFC 3339)")
        if name == "datacontenttype" and not _JSON_TYPE.fullmatch(value):
            raise CloudEventError(f"the datacontenttype is {_shown(value)}", "only JSON can be read: application/json")
    elif name not in _KNOWN:
        if not _EXTENSION.fullmatch(name):
            cure = "names of extension attributes are of a-z and 0-9; fields of the event belong into data"
            raise CloudEventError(f"the attribute {_shown(name)} is not allowed", cure)
        if not isinstance(value, str | int):  # a bool is an int
            raise CloudEventError(
                f"the extension attribute {cut_short(name)} is {_kind(value)}", "write a text, a number or a bool"
            )


def _version(kind: str, schema: str | None) -> int | None:
    """The version that a `dataschema` of ours names; a schema of somebody else's says nothing of it."""
    if schema is None or not schema.startswith(SCHEMA_URN):
        return None
    name, _, version = schema.removeprefix(SCHEMA_URN).rpartition(":")
    if unquote(name) != kind or not _VERSION.fullmatch(version):
        cure = f"write {SCHEMA_URN}{cut_short(quote(kind, safe=''))}:1 for version 1, or leave it out for the newest"
        raise CloudEventError(f"the dataschema {_shown(schema)} is none of type {_shown(kind)}", cure)
    return int(version)


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _no_json(line: bytes, error: ValueError) -> CloudEventError:
    try:
        line.decode()
    except UnicodeDecodeError as wrong:
        return CloudEventError(f"byte {wrong.start + 1} of the line is no UTF-8", "save the file as UTF-8")
    where = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
    return CloudEventError(f"it is no JSON ({where})", "write one JSON object in each line")


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a bool", dict: "an object"}
    return names.get(type(value), "null")


def _shown(value: object) -> str:
    return cut_short(repr(value))
