"""The HTTP facade as an OpenAPI 3.1 document: derived from the table of routes and the registered types."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from procession.daemon.http.cloud_shapes import cloud_event
from procession.daemon.http.commands import CommandSent
from procession.daemon.http.log_stream import LogStream
from procession.daemon.http.named_queries import NamedQuery, named_queries
from procession.daemon.http.problems import MEDIA as PROBLEM_MEDIA
from procession.daemon.http.problems import Problem
from procession.daemon.http.projections import QueryAsked
from procession.daemon.http.reading import JSON
from procession.daemon.http.routes import Nothing, Route
from procession.daemon.http.shapes import Schema, Shapes, reference
from procession.daemon.http.statuses import about, statuses_of
from procession.daemon.http.stream import EventStream
from procession.laws.schemas import messages_of
from procession.primitives.cloudevents import BATCH, STRUCTURED
from procession.primitives.event import Event
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of

VERSION = "3.1.0"
Security = list[dict[str, list[str]]]
BEARER: Schema = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token with a role; `x-policy` of an operation says which role it takes at least.",
}
_PART = re.compile(r"\{(\w+)\}")
_RETRY_AFTER = {"Retry-After": {"description": "In seconds.", "schema": {"type": "integer", "minimum": 1}}}
_WAITING = frozenset({429, 503})


def openapi_of(routes: Sequence[Route], registry: Registry) -> dict[str, Any]:
    """The document, as JSON holds it."""
    shapes = Shapes()
    shapes.ref(Problem)
    shapes.schemas["Problem"]["additionalProperties"] = True  # a batch says more: what became of each of its events
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shapes, registry)
    for cls in messages_of(registry):
        shapes.message(cls)
    return {
        "openapi": VERSION,
        "info": {
            "title": "procession",
            "version": our_version(),
            "summary": "A runtime for process managers: publish events, read flows, act on them.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "security": security_of(tokens_needed=None),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(shapes.schemas.items())),
            "securitySchemes": {"bearer": BEARER},
        },
    }


def security_of(*, tokens_needed: bool | None) -> Security:
    """What a request comes with: a token; none where the service runs on loopback without. None: either may be so."""
    token: Security = [{"bearer": []}]
    if tokens_needed is None:
        return [*token, {}]
    return token if tokens_needed else []


def our_version() -> str:
    """Of this package, as it is installed."""
    try:
        return importlib.metadata.version("procession")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def operation_id(route: Route) -> str:
    """A name that no other route has: `post_flows_process_key_retry`."""
    words = [word for word in re.split(r"\W+", route.path.removeprefix("/v1")) if word]
    return "_".join([route.method.lower(), *words])


def published(registry: Registry) -> list[type[Event]]:
    """The events that may come from outside, in order of name and version."""
    return [cls for cls in messages_of(registry) if issubclass(cls, Event)]


def is_newest(cls: type[Event], registry: Registry) -> bool:
    """Whether no later version of this event is registered."""
    stored = stored_of(cls)
    return stored.version == max(version for name, version in registry.events if name == stored.name)


def named(route: Route, part: str, registry: Registry) -> Sequence[str]:
    """The names that a part of an address may hold; empty where it may be any text."""
    folder = route.path.partition(f"/{{{part}}}")[0].rpartition("/")[2]
    names: Mapping[tuple[str, str], Iterable[str]] = {
        ("flows", "process"): registry.processes,
        ("processes", "name"): registry.processes,
        ("gateways", "name"): registry.gateways,
        ("projections", "name"): registry.projections,
        ("commands", "type"): (stored_of(command).name for command in registry.deciders),
        ("queries", "query"): {query.name for query in _queries(registry)},
    }
    return sorted(names.get((folder, part), ()))


def _queries(registry: Registry) -> list[NamedQuery]:
    return [query for projection in registry.projections.values() for query in named_queries(projection.cls).values()]


def _operation(route: Route, shapes: Shapes, registry: Registry) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.about.removesuffix("."),
        "tags": [_tag(route)],
        "x-policy": route.policy,
        "parameters": [*_parts(route, registry), *_query(route, shapes), *_headers(route)],
        "responses": _responses(route, shapes),
    }
    if route.policy == "anyone":
        found["security"] = []
    if route.asks is not None:
        found["requestBody"] = {"required": True, "content": _bodies(route, shapes, registry)}
    return found


def _tag(route: Route) -> str:
    words = [word for word in route.path.removeprefix("/v1").split("/") if word]
    return words[0] if route.path.startswith("/v1") else "service"


def _parts(route: Route, registry: Registry) -> list[dict[str, Any]]:
    found = []
    for part in _PART.findall(route.path):
        names = named(route, part, registry)
        schema: Schema = {"type": "string", "enum": list(names)} if names else {"type": "string", "minLength": 1}
        found.append({"name": part, "in": "path", "required": True, "schema": schema})
    return found


def _query(route: Route, shapes: Shapes) -> list[dict[str, Any]]:
    found = []
    for name, schema, required in shapes.fields(route.query):
        members = [member for member in schema.get("anyOf", ()) if member != {"type": "null"}]
        kept = {key: value for key, value in schema.items() if key not in ("anyOf", "description")}
        one = {**members[0], **kept} if len(members) == 1 else kept  # what a query leaves out is null
        parameter = {"name": name, "in": "query", "required": required, "schema": one}
        if "description" in schema:
            parameter["description"] = schema["description"]
        found.append(parameter)
    return found


_RESUMED: Mapping[type, tuple[str, str]] = {
    EventStream: ("The last position that came: the stream goes on behind it. Goes over `after`.", "[0-9]{1,18}"),
    LogStream: ("Of the last record that came: the stream goes on behind it.", "[0-9a-f]{8}-[0-9]{1,18}"),
}
"""Streams that a client can go on with: what `Last-Event-ID` is there, and how it is written."""


def _headers(route: Route) -> list[dict[str, Any]]:
    if route.answers in _RESUMED:
        about_it, pattern = _RESUMED[route.answers]
        schema = {"type": "string", "pattern": f"^{pattern}$"}
        return [{"name": "Last-Event-ID", "in": "header", "required": False, "description": about_it, "schema": schema}]
    return []


def _bodies(route: Route, shapes: Shapes, registry: Registry) -> dict[str, Any]:
    assert route.asks is not None, "asked for where it has a body"
    if route.asks is not bytes:
        schema = shapes.ref(route.asks)
        if route.asks is CommandSent and registry.deciders:
            commands = sorted(registry.deciders, key=lambda cls: stored_of(cls).name)
            data = shapes.schemas["CommandSent"]["properties"]["data"]
            shapes.schemas["CommandSent"]["properties"]["data"] = {
                **{key: value for key, value in data.items() if key == "description"},
                "anyOf": [shapes.message(command) for command in commands],
            }
        queries = _queries(registry)
        if route.asks is QueryAsked and queries:
            given = shapes.schemas["QueryAsked"]["properties"]
            given["parameters"] = {**given["parameters"], "anyOf": [_parameters(query, shapes) for query in queries]}
        return {JSON: {"schema": schema}}
    events = [cloud_event(shapes, cls, newest=is_newest(cls, registry)) for cls in published(registry)]
    one: Schema = {"anyOf": events} if events else {"type": "object"}
    shapes.schemas["CloudEvent"] = {"title": "CloudEvent", **one}
    schemas: dict[str, Schema] = {
        STRUCTURED: reference("CloudEvent"),
        BATCH: {"type": "array", "items": reference("CloudEvent")},
    }
    binary: Schema = {"type": "object", "description": "The data of an event whose attributes are headers, `ce-…`."}
    return {media: {"schema": schemas.get(media, binary)} for media in route.media}


def _parameters(query: NamedQuery, shapes: Shapes) -> Schema:
    required = [name for name, parameter in query.parameters.items() if parameter.default is parameter.empty]
    return {
        "title": query.name,
        "type": "object",
        "properties": {name: shapes.of(parameter.annotation) for name, parameter in query.parameters.items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _responses(route: Route, shapes: Shapes) -> dict[str, Any]:
    media: str | None = getattr(route.answers, "MEDIA", None)
    if media is not None:
        content = {media: {"schema": {"type": "string"} if media != JSON else {"type": "object"}}}
    elif route.answers is str:
        content = {"text/plain": {"schema": {"type": "string"}}}
    else:
        content = {JSON: {"schema": shapes.ref(route.answers)}}
    content |= {other: {"schema": {"type": "string"}} for other in route.also}
    done = {"description": route.about, "content": content}
    found: dict[str, Any] = {"204": {"description": route.about}} if route.answers is Nothing else {"200": done}
    for status in statuses_of(route):
        problem = {"description": about(status), "content": {PROBLEM_MEDIA: {"schema": shapes.ref(Problem)}}}
        found[str(int(status))] = {**problem, "headers": _RETRY_AFTER} if status in _WAITING else problem
    return found
