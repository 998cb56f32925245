"""Parts of an SVG picture: elements with classes and no style, every text escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable

Attribute = str | int | float

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't hold."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def escaped(text: str) -> str:
    """A text as it may stand in an element or an attribute."""
    return "".join(_ENTITIES.get(character, character) for character in _UNWRITABLE.sub("\ufffd", text))


def element(name: str, *children: str, **attributes: Attribute) -> str:
    """An element; children are elements already, or texts that were escaped.

    An underscore in the name of an attribute is a hyphen, and one at its end is left out: `class_`, `text_anchor`.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_number(value))}"' for key, value in attributes.items()
    )
    inner = "".join(children)
    return f"<{name}{given}>{inner}</{name}>" if inner else f"<{name}{given}/>"


def text(said: str, x: float, y: float, class_: str, *, chars_max: int = 0, anchor: str = "start") -> str:
    """A line of text, cut where it is longer than there is room for; the whole of it shows on pointing at it."""
    parts = [escaped(said)]
    if chars_max and len(said) > chars_max:
        parts = [element("title", escaped(said)), escaped(f"{said[: chars_max - 1]}…")]
    return element("text", *parts, class_=class_, x=x, y=y, text_anchor=anchor)


def arrow(x1: float, x2: float, y: float, class_: str) -> str:
    """A horizontal arrow."""
    back = 7 if x2 > x1 else -7
    head = f"{_number(x2)},{_number(y)} {_number(x2 - back)},{_number(y - 4)} {_number(x2 - back)},{_number(y + 4)}"
    line = element("line", class_="line", x1=x1, y1=y, x2=x2 - back, y2=y)
    return element("g", line, element("polygon", class_="head", points=head), class_=class_)


def picture(name: str, title: str, description: str, width: float, height: float, parts: Iterable[str]) -> str:
    """The whole picture, with what a screen reader says of it.

    Args:
        name: the class of the picture, and the beginning of the ids in it.
    """
    return element(
        "svg",
        element("title", escaped(title), id=f"{name}-title"),
        element("desc", escaped(description), id=f"{name}-desc"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        class_=name,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width,
        height=height,
    )


def _number(value: Attribute) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
