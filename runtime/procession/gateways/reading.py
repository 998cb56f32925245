"""What some other system wrote, as plain data or as a class of the user's; what is neither is no answer."""

from __future__ import annotations

import abc
from typing import Any, TypeVar

import attrs

from procession.primitives.codec import from_json
from procession.primitives.converters import from_elsewhere
from procession.primitives.gateway import AttemptFailed

T = TypeVar("T")


def read_json(text: bytes, wrote: str) -> Any:  # noqa: ANN401 - JSON
    """Plain data.

    Args:
        text: what it wrote.
        wrote: who wrote it, with a verb: `POST https://… answered 200`.

    Raises:
        AttemptFailed: it is no JSON.
    """
    try:
        return from_json(text)
    except ValueError as error:
        raise AttemptFailed(f"{wrote} with what is no JSON: {error}") from None


def read_as(cls: type[T], text: bytes, wrote: str) -> T:
    """An event or another frozen class; fields that it does not name are left out.

    Raises:
        AttemptFailed: it is no JSON, or does not fit; names the path of each bad field.
    """
    data = read_json(text, wrote)
    try:
        if attrs.has(cls) and not isinstance(data, dict):
            raise ValueError(f"expected an object, found {type(data).__name__}")  # noqa: TRY301 - one way out
        return from_elsewhere(cls, data)
    except ValueError as error:
        raise AttemptFailed(f"{wrote} with what is no {cls.__name__}: {error}") from None


class Readable(abc.ABC):
    """What answers an attempt, to be read as the gateway's method likes."""

    __slots__ = ()

    @abc.abstractmethod
    def _written(self) -> tuple[bytes, str]:
        """What was written, and by whom, with a verb."""

    @property
    def text(self) -> str:
        """As text, in UTF-8; what is none is replaced."""
        return self._written()[0].decode("utf-8", "replace")

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """As plain data.

        Raises:
            AttemptFailed: it is no JSON. The work may have been done: it is asked for again, under the same id.
        """
        return read_json(*self._written())

    def read(self, cls: type[T]) -> T:
        """As an event, or any other frozen class of yours; fields that it does not name are left out.

        Raises:
            AttemptFailed: it does not fit; names the path of each bad field.
        """
        return read_as(cls, *self._written())
