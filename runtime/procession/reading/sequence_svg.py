"""A sequence diagram as SVG: classes and no style, so that a page may forbid styles that stand in it."""

from __future__ import annotations

from collections.abc import Iterator

from procession.reading.sequence import Message, Sequence
from procession.reading.svg import arrow, element, picture, text
from procession.reading.why import shown_time

_LANE_WIDTH = 210
_TIMES_WIDTH = 180
_HEAD_HEIGHT = 56
_ROW_HEIGHT = 40
_LANE_CHARS_MAX = 26
_LABEL_CHARS_MAX = 44
_RETURN_WIDTH = 26


def sequence_svg(drawn: Sequence) -> str:
    """The picture."""
    width = _TIMES_WIDTH + _LANE_WIDTH * len(drawn.lanes)
    height = _HEAD_HEIGHT + _ROW_HEIGHT * (len(drawn.messages) + 1)
    more = "" if drawn.next is None else ", and there are more after them"
    said = f"{len(drawn.messages)} messages between {', '.join(lane.name for lane in drawn.lanes)}{more}."
    parts = (*_lanes(drawn, height), *_messages(drawn))
    return picture("sequence", f"Sequence of {drawn.flow}", said, width, height, parts)


def _lanes(drawn: Sequence, height: int) -> Iterator[str]:
    for number, lane in enumerate(drawn.lanes):
        x = _x(number)
        box = element(
            "rect", class_="lane-box", x=x - _LANE_WIDTH // 2 + 8, y=8, width=_LANE_WIDTH - 16, height=30, rx=6
        )
        line = element("line", class_="lane-line", x1=x, y1=38, x2=x, y2=height - 8)
        name = text(lane.name, x, 28, "lane-name", chars_max=_LANE_CHARS_MAX, anchor="middle")
        yield element("g", line, box, name, class_=f"lane lane-{lane.kind}")


def _messages(drawn: Sequence) -> Iterator[str]:
    shown = ""
    for row, message in enumerate(drawn.messages):
        y = _HEAD_HEIGHT + _ROW_HEIGHT * row + 24
        at = shown_time(message.at)
        time = "" if at == shown else text(at, 8, y + 4, "time")
        shown = at
        yield element(
            "g",
            time,
            *_message(message, y),
            class_=_classes(message),
            data_position=message.position,
            data_version=message.version,
        )


def _message(message: Message, y: int) -> Iterator[str]:
    x1, x2 = _x(message.source), _x(message.target)
    label = f"{message.label}: {message.note}" if message.note else message.label
    if x1 != x2:
        yield arrow(x1, x2, y, "arrow")
        room = _LABEL_CHARS_MAX * max(1, abs(message.target - message.source))
        yield text(label, min(x1, x2) + 10, y - 6, "label", chars_max=room if abs(x2 - x1) > _LANE_WIDTH else 30)
        return
    if message.kind in ("failed", "ended"):
        yield element("circle", class_="mark", cx=x1, cy=y, r=5)
    else:
        way = f"M{x1} {y - 8} h{_RETURN_WIDTH} v12 h-{_RETURN_WIDTH - 6}"
        yield element("path", class_="line", d=way)
        yield element("polygon", class_="head", points=f"{x1},{y + 4} {x1 + 7},{y} {x1 + 7},{y + 8}")
    yield text(label, x1 + _RETURN_WIDTH + 8, y + 4, "label", chars_max=_LABEL_CHARS_MAX)


def _classes(message: Message) -> str:
    found = f"message message-{message.kind}"
    found += "" if message.version or message.kind == "failed" else " unhandled"
    return found + (" compensates" if message.compensates else "") + (" open" if message.open else "")


def _x(lane: int) -> int:
    return _TIMES_WIDTH + _LANE_WIDTH * lane + _LANE_WIDTH // 2
