"""A flow forked at one of its events, in a journal of its own: a sandbox, in which nothing happens to the real one."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

import attrs
import trio
from starlette.responses import Response

from procession.daemon.durations import now_us
from procession.daemon.http.exporting import ExportAsked, flow_file_of
from procession.daemon.http.problems import HttpRefused
from procession.daemon.http.routes import Call, Route
from procession.daemon.http.sandbox_served import OPEN_S, PREFIX
from procession.journal.scratch import scratch
from procession.reading.flow_journal import write_flow_journal

MEDIA = "application/vnd.sqlite3"


@attrs.frozen
class SandboxFile:
    """A journal's file."""

    MEDIA: ClassVar[str] = MEDIA


async def sandbox_file(call: Call) -> Response:
    """The journal of a fork, as a file that `procession dashboard` opens; nothing of it stays here.

    Raises:
        NotFound: nobody has heard of the flow, or it has no such step.
        HttpRefused: it is longer than an answer may be.
    """
    file = await flow_file_of(call, call.queried(ExportAsked).at)
    with scratch(PREFIX) as folder:
        target = Path(folder) / "flow.db"
        await write_flow_journal(target, file, now_us)
        content = await trio.Path(target).read_bytes()
    headers = {"Content-Disposition": 'attachment; filename="flow.db"'}
    return Response(content, media_type=MEDIA, headers=headers)


@attrs.frozen
class SandboxAsked:
    """How much of the flow."""

    at: int | None = None
    """Its first steps, up to the one of this version. Default: all of it."""


@attrs.frozen
class OpenSandbox:
    """A fork that is served read-only for a while."""

    address: str
    """Where; it wants the tokens that are wanted here."""
    closes_in_s: float
    """At the latest, or with this server, or where so many others are opened after it."""


async def open_sandbox(call: Call) -> OpenSandbox:
    """Serve a fork at an address of its own.

    Raises:
        NotFound: nobody has heard of the flow, or it has no such step.
        HttpRefused: it is longer than an answer may be; or this is served where no free port of it can be reached.
    """
    sandboxes = call.serving.sandboxes
    if sandboxes is None:
        raise HttpRefused(
            HTTPStatus.CONFLICT,
            "sandboxes are opened by a server on loopback without TLS, and not out of one another",
            "GET the same address, and open what comes by `procession dashboard`",
        )
    file = await flow_file_of(call, call.sent(SandboxAsked).at)
    return OpenSandbox(await sandboxes.open(file, call.source), OPEN_S)


ROUTES = (
    Route(
        "POST",
        "/v1/flows/{process}/{key}/sandbox",
        "operator",
        "Opens a fork of a flow, read-only, at an address of its own.",
        OpenSandbox,
        open_sandbox,
        asks=SandboxAsked,
    ),
    Route(
        "GET",
        "/v1/flows/{process}/{key}/sandbox",
        "operator",
        "A fork of a flow as a journal of its own, secrets too.",
        SandboxFile,
        sandbox_file,
        query=ExportAsked,
    ),
)
