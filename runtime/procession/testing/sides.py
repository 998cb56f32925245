"""Expected and found, side by side, for the output of a test that fails."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import attrs

from procession.primitives.event import Event

WIDTH_MAX = 56
"""Characters of one side; longer lines are wrapped."""
_NOTHING = "(nothing)"


@attrs.frozen
class Said:
    """Something in words."""

    text: str


@attrs.frozen
class Ending:
    """The end of a flow."""

    outcome: str


@attrs.frozen
class Armed:
    """A deadline, and how long it still has; None where that is not compared."""

    event: Event
    left: datetime.timedelta | None


def shown(thing: object) -> str:
    """What a flow showed from outside, as a line of the table."""
    match thing:
        case Said(text):
            return text
        case Ending(outcome):
            return f"ends {outcome!r}"
        case Armed(event, None):
            return f"armed {event}"
        case Armed(event, left):
            return f"armed {event}, due after {left}"
    return str(thing)


def side_by_side(expected: Sequence[str], found: Sequence[str]) -> str:
    """A table with a row for each pair; rows that differ start with an exclamation mark."""
    left, right = list(expected) or [_NOTHING], list(found) or [_NOTHING]
    width = min(WIDTH_MAX, max(map(len, ["expected", *left])))
    lines = [f"  {'expected':<{width}} | found", f"  {'-' * width}-+-{'-' * width}"]
    for one, other in zip_longest(left, right, fillvalue=""):
        lines.extend(_rows(one, other, width))
    return "\n".join(line.rstrip() for line in lines)


def _rows(one: str, other: str, width: int) -> Iterator[str]:
    mark = " " if one == other else "!"
    for left, right in zip_longest(_wrapped(one, width), _wrapped(other, WIDTH_MAX), fillvalue=""):
        yield f"{mark} {left:<{width}} | {right}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ") or [""]
