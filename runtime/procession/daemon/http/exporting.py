"""One flow exported over HTTP, as JSON lines."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

import attrs
from starlette.responses import Response

from procession.daemon.http.flows import flow_of
from procession.daemon.http.problems import HttpRefused
from procession.daemon.http.routes import Call, Route
from procession.errors import NotFound
from procession.reading.flow_contents import forked, read_contents
from procession.reading.flow_file import FlowFile, flow_lines

MEDIA = "application/x-ndjson"
_STEPS_MAX = 10_000


@attrs.frozen
class Exported:
    """A flow, a row a line; docs/insight.md says what they hold."""

    MEDIA: ClassVar[str] = MEDIA


@attrs.frozen(kw_only=True)
class ExportAsked:
    """How much of it."""

    at: int | None = None
    """Only its first steps, up to the one of this version: a fork. Default: all of it."""


async def export(call: Call) -> Response:
    """All rows of a flow, as the journal holds them.

    Raises:
        NotFound: nobody has heard of the flow, or it has no such step.
        HttpRefused: it is longer than an answer may be.
    """
    file = await flow_file_of(call, call.queried(ExportAsked).at)
    headers = {"Content-Disposition": 'attachment; filename="flow.jsonl"'}
    return Response(b"".join(flow_lines(file)), media_type=MEDIA, headers=headers)


async def flow_file_of(call: Call, at: int | None) -> FlowFile:
    """A flow that the address names, whole or as a fork.

    Raises:
        NotFound: nobody has heard of the flow, or it has no such step.
        HttpRefused: it is longer than an answer may be.
    """
    flow = flow_of(call)
    journal = call.source.journal
    row = (await journal.load(flow.process, flow.key, 0)).row
    if row is None:
        raise NotFound("flow", flow.name)
    if row.version > _STEPS_MAX:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the flow has {row.version} steps, at most {_STEPS_MAX} are exported over HTTP",
            f"run `procession export {flow.name} FILE` beside the journal",
        )
    contents = await read_contents(journal, flow.process, flow.key)
    return FlowFile(journal.id, contents if at is None else forked(contents, at))


ROUTES = (
    Route(
        "GET",
        "/v1/flows/{process}/{key}/export",
        "operator",
        "All rows of a flow as JSON lines, secrets too.",
        Exported,
        export,
        query=ExportAsked,
    ),
)
