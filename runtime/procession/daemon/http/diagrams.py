"""Processes over HTTP: the diagram of one, with the flows that stand at each of its steps."""

from __future__ import annotations

from typing import Literal

import attrs
import trio
from starlette.responses import Response

from procession.daemon.http.routes import Call, Route
from procession.errors import NotFound
from procession.reading.diagram_svg import diagram_svg
from procession.reading.process_diagram import ProcessDiagram
from procession.reading.stages import read_diagram

_SVG = "image/svg+xml"
_FRESH_S = 1.0
"""A diagram is counted anew after so long: twenty pages that watch one process cost as much as one."""


@attrs.frozen(kw_only=True)
class DiagramAsked:
    """How it is written."""

    format: Literal["json", "svg"] = "json"


async def show_diagram(call: Call) -> ProcessDiagram | Response:
    """A process's steps, what leads from one to the next, and how many flows stand at each.

    Raises:
        NotFound: there is no such process.
    """
    name = call.parts["name"]
    if name not in call.source.registry.processes:
        raise NotFound("process", name)
    drawn = await _counted(call, name)
    if call.queried(DiagramAsked).format == "svg":
        return Response(diagram_svg(drawn), media_type=_SVG)
    return drawn


async def _counted(call: Call, name: str) -> ProcessDiagram:
    serving = call.serving
    async with serving.counting:
        known = serving.diagrams.get(name)
        if known is None or trio.current_time() - known[0] > _FRESH_S:
            drawn = await read_diagram(call.source.journal, call.source.registry, name)
            known = serving.diagrams[name] = (trio.current_time(), drawn)
        return known[1]


ROUTES = (
    Route(
        "GET",
        "/v1/processes/{name}/diagram",
        "reader",
        "A process's steps, and the flows at each, as data or SVG.",
        ProcessDiagram,
        show_diagram,
        query=DiagramAsked,
        also=(_SVG,),
    ),
)
