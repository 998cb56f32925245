"""The language of searches: what a search is made of, and how it is written.

    search = [ term { SPACE term } ]
    term   = [ "-" ] ( filter | text )
    filter = TEXTS ":" value { "," value }        process, key, outcome, stage, reason; status has words of its own
           | LENGTHS ( "<" | ">" ) LENGTH         age, updated; 1h30m, 2d
    value  = ( WORD | QUOTED ) [ "*" ]            with a star: what begins like this
    text   = WORD | QUOTED                        the same as reason:text

All terms must hold; of the values of one term, one. Between quotes a backslash stands before a quote or a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

import attrs

TextField = Literal["process", "key", "outcome", "stage", "reason"]
LengthField = Literal["age", "updated"]
StatusWord = Literal["active", "cancelled", "ended", "live", "quarantined", "unstarted", "waiting"]
TEXT_FIELDS: tuple[TextField, ...] = get_args(TextField)
LENGTH_FIELDS: tuple[LengthField, ...] = get_args(LengthField)
STATUS_WORDS: tuple[StatusWord, ...] = get_args(StatusWord)
FIELDS: tuple[str, ...] = ("process", "status", "key", "outcome", "stage", "age", "updated", "reason")

UNITS_S = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
LENGTH_S_MAX = 3_155_760_000
"""A hundred years."""
_BARE = re.compile(r"[^\s\"\\,*:<>-][^\s\"\\,*]*")
"""What needs no quotes as a value."""
_BARE_TEXT = re.compile(r"[^\s\"\\,*:<>-][^\s\"\\,*:<>]*")


@attrs.frozen
class Value:
    """A text, or the beginning of texts."""

    text: str
    prefix: bool = False


@attrs.frozen
class Texts:
    """A field is one of these."""

    field: TextField
    values: tuple[Value, ...]
    negated: bool = False


@attrs.frozen
class Statuses:
    """The status is one of these."""

    words: tuple[StatusWord, ...]
    negated: bool = False


@attrs.frozen
class Length:
    """The flow started, or took its last step, longer ago than this, or less long."""

    field: LengthField
    longer: bool
    seconds: int
    negated: bool = False


Term: TypeAlias = Texts | Statuses | Length


@attrs.frozen
class Search:
    """All of these terms hold; none: every flow is found."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        """As it is written, so that it reads as itself again."""
        return " ".join(map(_written, self.terms))


def written_value(text: str, *, prefix: bool = False) -> str:
    """A value as it is written: quoted where it must be."""
    return (text if _BARE.fullmatch(text) else _quoted(text)) + ("*" if prefix else "")


def written_length(seconds: int) -> str:
    """A length of time as it is written: `1h30m`."""
    return "".join(_parts_of(seconds)) or "0s"


def _written(term: Term) -> str:
    minus = "-" if term.negated else ""
    match term:
        case Texts("reason", (Value(text),)):
            return minus + (text if _BARE_TEXT.fullmatch(text) else _quoted(text))
        case Texts(field, values):
            return f"{minus}{field}:{','.join(written_value(value.text, prefix=value.prefix) for value in values)}"
        case Statuses(words):
            return f"{minus}status:{','.join(words)}"
        case Length(field, longer, seconds):
            return f"{minus}{field}{'>' if longer else '<'}{written_length(seconds)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _parts_of(seconds: int) -> Iterator[str]:
    for unit, size in UNITS_S.items():
        whole, seconds = divmod(seconds, size)
        if whole:
            yield f"{whole}{unit}"
