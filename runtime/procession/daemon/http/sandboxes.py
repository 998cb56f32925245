"""A flow forked at one of its events, in a journal of its own: a sandbox, in which nothing happens to the real one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

import attrs
import trio
from starlette.responses import Response

from procession.daemon.durations import now_us
from procession.daemon.http.exporting import ExportAsked, flow_file_of
from procession.daemon.http.routes import Call, Route
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
    with tempfile.TemporaryDirectory(prefix="procession-sandbox-") as folder:
        target = Path(folder) / "flow.db"
        await write_flow_journal(target, file, now_us)
        content = await trio.Path(target).read_bytes()
    headers = {"Content-Disposition": 'attachment; filename="flow.db"'}
    return Response(content, media_type=MEDIA, headers=headers)


ROUTES = (
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
