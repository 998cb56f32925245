"""A process's diagram as SVG: a column for each step away from the start; classes and no style."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import attrs

from procession.reading.process_diagram import Link, ProcessDiagram, Stage
from procession.reading.svg import element, escaped, picture, text

_COLUMN_WIDTH = 350
_ROW_HEIGHT = 96
_NODE_WIDTH, _NODE_HEIGHT = 180, 52
_MARGIN = 30
_NAME_CHARS_MAX = 22
_LABEL_CHARS_MAX = 26


@attrs.frozen
class _Place:
    column: int
    row: int

    @property
    def x(self) -> int:
        return _MARGIN + self.column * _COLUMN_WIDTH

    @property
    def y(self) -> int:
        return _MARGIN + self.row * _ROW_HEIGHT

    @property
    def middle(self) -> int:
        return self.y + _NODE_HEIGHT // 2


def diagram_svg(drawn: ProcessDiagram) -> str:
    """The picture."""
    places = _places(drawn)
    columns = max((place.column for place in places.values()), default=0) + 1
    rows = max((place.row for place in places.values()), default=0) + 1
    said = f"{len(drawn.stages)} stages, {drawn.counted} flows that have not ended{' or more' if drawn.more else ''}."
    parts = (
        *(_link(link, places[link.source], places[link.target]) for link in drawn.links),
        *(_stage(stage, places[stage.id]) for stage in drawn.stages),
    )
    width, height = 2 * _MARGIN + columns * _COLUMN_WIDTH, 2 * _MARGIN + rows * _ROW_HEIGHT
    return picture("process", f"Process {drawn.process}", said, width, height, parts)


def _places(drawn: ProcessDiagram) -> Mapping[str, _Place]:
    """Where each stage stands: as far to the right as it is links away from the start."""
    following: dict[str, list[str]] = {}
    for link in drawn.links:
        following.setdefault(link.source, []).append(link.target)
    away = {stage.id: 0 for stage in drawn.stages if stage.kind in ("start", "outside")}
    pending = deque(away)
    while pending:
        source = pending.popleft()
        for target in following.get(source, ()):
            if target not in away:
                away[target] = away[source] + 1
                pending.append(target)
    taken: dict[int, int] = {}
    found: dict[str, _Place] = {}
    for stage in drawn.stages:
        column = away.get(stage.id, 0)
        row = taken.get(column, 0)
        taken[column] = row + 1
        found[stage.id] = _Place(column, row)
    return found


def _stage(stage: Stage, place: _Place) -> str:
    box = element(
        "rect",
        class_="stage-box",
        x=place.x,
        y=place.y,
        width=_NODE_WIDTH,
        height=_NODE_HEIGHT,
        rx=_NODE_HEIGHT // 2 if stage.kind in ("start", "end", "outside") else 8,
    )
    name = text(stage.name, place.x + 14, place.y + 22, "stage-name", chars_max=_NAME_CHARS_MAX)
    counts = "".join(_counts(stage, place))
    kinds = f"stage stage-{stage.kind}{'' if stage.known else ' stage-unknown'}"
    said = _told(stage)
    told = [element("title", escaped(said))] if said else []
    return element("g", *told, box, name, counts, class_=kinds, data_stage=stage.id, data_search=stage.search)


def _told(stage: Stage) -> str:
    on = f"on {', '.join(stage.events)}" if stage.events else ""
    return ": ".join(part for part in (on, stage.about) if part)


def _counts(stage: Stage, place: _Place) -> Iterator[str]:
    more = "+" if stage.more else ""
    if stage.waiting:
        yield text(f"{stage.waiting:,}{more}", place.x + 14, place.y + 42, "count")
    if stage.quarantined:
        yield text(f"{stage.quarantined:,}{more} set aside", place.x + 80, place.y + 42, "count count-quarantined")


def _link(link: Link, source: _Place, target: _Place) -> str:
    x1, y1, x2, y2 = source.x + _NODE_WIDTH, source.middle, target.x, target.middle
    if x2 > x1:
        bend = (x2 - x1) // 2
        way = f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2 - 7} {y2}"
        head = f"{x2},{y2} {x2 - 7},{y2 - 4} {x2 - 7},{y2 + 4}"
        at = (x1 + 10, (y1 + y2) // 2 - 6)
    else:  # back, or within a column: round the right
        x2 = target.x + _NODE_WIDTH
        bend = max(x1, x2) + 50
        y2 += 10 if source == target else 0
        way = f"M{x1} {y1} C{bend} {y1} {bend} {y2} {x2 + 7} {y2}"
        head = f"{x2},{y2} {x2 + 7},{y2 - 4} {x2 + 7},{y2 + 4}"
        at = (bend - 30, (y1 + y2) // 2)
    label = text(link.event, *at, "label", chars_max=_LABEL_CHARS_MAX) if link.event else ""
    line = element("path", class_="line", d=way)
    return element("g", line, element("polygon", class_="head", points=head), label, class_=f"link link-{link.kind}")
