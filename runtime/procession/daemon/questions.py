"""What can be asked of an owner over its socket, as frozen classes; each question is read strictly, field by field."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from procession.daemon.exit_codes import UsageRefused

T = TypeVar("T", bound=attrs.AttrsInstance)
AGE_S_MAX = 3_155_760_000
"""A hundred years."""
_NUMBER_MAX = 10**9
_WORDS: dict[object, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}
_JSON_WORDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
"""What else JSON holds is a number."""


@attrs.frozen
class Publish:
    """Events, as JSON texts."""

    events: tuple[str, ...]


@attrs.frozen
class Named:
    """An act on a gateway or a process."""

    name: str
    by: str
    why: str


@attrs.frozen
class Archive:
    """Flows that ended so long ago."""

    older_than_s: float
    by: str
    why: str
    process: str | None
    limit: int | None

    def __attrs_post_init__(self) -> None:
        """Refuse an age and a number that nothing can have.

        Raises:
            UsageRefused: names the bounds.
        """
        if not 0 <= self.older_than_s <= AGE_S_MAX:
            raise UsageRefused("`older_than_s` is out of bounds", f"give it 0 to {AGE_S_MAX:,} s")
        if self.limit is not None and not 0 <= self.limit <= _NUMBER_MAX:
            raise UsageRefused("`limit` is out of bounds", f"give it 0 to {_NUMBER_MAX:,}")


@attrs.frozen
class TokenAct:
    """A token was added or revoked."""

    act: str
    token: str
    id: str
    role: str
    by: str
    expires_at: str | None = None


def read(cls: type[T], asked: Mapping[str, Any]) -> T:
    """A question as it came; what the class does not name is left out.

    Raises:
        UsageRefused: a field is missing, or is of another kind than it must be; and as the class raises.
    """
    hints = typing.get_type_hints(cls)
    found: dict[str, Any] = {}
    for field in attrs.fields(cls):
        name: str = field.name
        if name in asked:
            found[name] = _fitting(name, asked[name], hints[name])
        elif field.default is attrs.NOTHING:
            raise UsageRefused(f"what was asked came without `{name}`", f"send {', '.join(hints)}")
    return cls(**found)


def _fitting(name: str, value: object, hint: Any) -> object:  # noqa: ANN401 - a type form
    if hint == tuple[str, ...]:
        if not isinstance(value, list):
            raise _unfit(name, value, "a list of texts")
        for number, one in enumerate(value):
            _fitting(f"{name}[{number}]", one, str)
        return tuple(value)
    if typing.get_origin(hint) is not None and issubclass(typing.get_origin(hint), Mapping):
        if not isinstance(value, dict):
            raise _unfit(name, value, "an object")
        return value
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if not any(_is_of(value, kind) for kind in kinds):
        raise _unfit(name, value, " or ".join(_WORDS[kind] for kind in kinds))
    return value


def _is_of(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _unfit(name: str, value: object, wanted: str) -> UsageRefused:
    """The value itself is not told: it may be secret."""
    found = _JSON_WORDS.get(type(value), "a number")
    return UsageRefused(f"`{name}` is {found}, and must be {wanted}", "use the command of the running version")
