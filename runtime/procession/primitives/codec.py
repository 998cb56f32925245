"""Events and commands to JSON text and back."""

from __future__ import annotations

import hashlib
import math
import typing
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from procession.errors import DefinitionError, InvalidPayload
from procession.primitives.command import Command
from procession.primitives.event import GENERIC, CommandDecided, CommandGivenUp, CommandRefused, Event
from procession.primitives.fields import resolved_fields
from procession.primitives.json_types import annotated, plain_types, shown
from procession.primitives.news import news_data, read_news
from procession.primitives.refusal import Refusal
from procession.primitives.secrecy import plan_of
from procession.primitives.stored import stored_of

T = TypeVar("T")
_NEWS = frozenset(GENERIC)


class Codec:
    """One per runtime. Hooks are built when a class is registered, so that no turn builds any.

    Decoding is strict: a number is no string and a string is no number. Detailed errors are made only when a
    decode failed (they cost 1.2 us an event; measured with cattrs 26.2), and so are the hooks that make them.
    """

    def __init__(self) -> None:
        # cattrs takes long to load, and only what encodes or decodes needs it.
        from procession.primitives.converters import FAILURES, Converters  # noqa: PLC0415

        self._converters = Converters(self._is_read)
        self._structure, self._unstructure = self._converters.structure, self._converters.unstructure
        self._failures = FAILURES
        self._checks: dict[type, tuple[tuple[str, frozenset[type] | None, Any], ...]] = {}
        self._commands: dict[str, type[Command]] = {}
        self._hooks: dict[type, Callable[[Any, Any], Any]] = {}
        self._writers: dict[type, Callable[[Any], Any]] = {}
        self._refusals: dict[tuple[str, int], type[Refusal]] = {}

    def register(self, cls: type[Event | Command | Refusal]) -> None:
        """Build the hooks of a class. Its annotations must be resolvable."""
        if cls in self._checks:
            return
        if cls in GENERIC:  # written in news.py, their commands and refusals by hooks of their own
            self._checks[cls] = ()
            return
        try:
            self._converters.register(cls)
        except self._failures as error:
            raise DefinitionError(
                stored_of(cls).site,
                cls.__name__,
                f"has a field that can't be read back ({error})",
                "make the members of a union distinct: give each a field of its own, or use one class",
            ) from error
        self._checks[cls] = tuple(
            (name, plain_types(annotation), annotation) for name, annotation in resolved_fields(cls).items()
        )
        self._hooks[cls], self._writers[cls] = self._converters.hook(cls), self._converters.writer(cls)
        if issubclass(cls, Command):
            self._commands[stored_of(cls).name] = cls
        elif issubclass(cls, Refusal):
            self._refusals[stored_of(cls).name, stored_of(cls).version] = cls

    def encode(self, message: Event | Command | Refusal) -> bytes:
        """JSON of a message, after a check that its values fit its annotations, so that it decodes again.

        Raises:
            InvalidPayload: a value does not fit its field, or can't be written as JSON.
        """
        cls = type(message)
        if cls in _NEWS:
            return self._encoded_news(message)
        self.check(message)
        try:
            return orjson.dumps(self._writers[cls](message))
        except (TypeError, ValueError) as error:
            raise InvalidPayload(stored_of(cls).name, str(error)) from error

    def _encoded_news(self, message: Event | Command | Refusal) -> bytes:
        assert isinstance(message, CommandGivenUp | CommandRefused | CommandDecided), "these are the generic ones"
        if isinstance(message, CommandRefused):
            self.check(message.refusal)
        return orjson.dumps(news_data(message, self._unstructure))

    def check(self, message: Event | Command | Refusal) -> None:
        """That the values of a registered message fit its annotations.

        Raises:
            InvalidPayload: one does not; says which.
        """
        for name, plain, annotation in self._checks[type(message)]:
            value = getattr(message, name)
            if plain is not None:
                if type(value) not in plain or (type(value) is float and not math.isfinite(value)):
                    raise InvalidPayload(
                        stored_of(type(message)).name,
                        f"{name} is {type(value).__name__} {shown(value, annotation)},"
                        f" expected {'finite ' if type(value) in plain else ''}{annotated(annotation)}",
                    )
            elif not self._survives(value, annotation):
                raise InvalidPayload(
                    stored_of(type(message)).name,
                    f"{name} is {shown(value, annotation)}, expected {annotated(annotation)}",
                )

    def decode(self, cls: type[T], payload: str | bytes) -> T:
        """The message that a payload holds.

        Raises:
            InvalidPayload: with the path to each bad field.
        """
        try:
            data = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise InvalidPayload(stored_of(cls).name, f"no JSON: {error}") from error
        return self.structure(cls, data)

    def reader(self, cls: type[T]) -> Callable[[str | bytes], T]:
        """`decode` for one class, in one call: for whoever reads very many."""
        hook, loads, decode, failures = self._hooks.get(cls), orjson.loads, self.decode, self._failures

        def read(payload: str | bytes) -> T:
            try:
                data = loads(payload)
                return hook(data, cls) if hook is not None and type(data) is dict else decode(cls, payload)
            except (*failures, SystemExit, GeneratorExit):
                return decode(cls, payload)  # again, to say what does not fit

        return read

    def structure(self, cls: type[T], data: object) -> T:
        """The message that parsed JSON holds.

        Raises:
            InvalidPayload: with the path to each bad field.
        """
        try:
            if cls in GENERIC:
                found = read_news(cls, data, self._commands, self._refusals, self.structure)  # type: ignore[arg-type]
                return typing.cast("T", found)
            if not isinstance(data, dict):
                raise InvalidPayload(stored_of(cls).name, f"expected an object, found {type(data).__name__}")
            return typing.cast("T", self._hooks[cls](data, cls))
        except self._failures:
            raise InvalidPayload(stored_of(cls).name, self._converters.explain(cls, data)) from None
        except (SystemExit, GeneratorExit) as error:  # of a validator of the author's
            raise InvalidPayload(stored_of(cls).name, f"it raised {type(error).__name__}") from error

    def digest(self, type_name: str, payload: bytes) -> bytes:
        """16 bytes over type and data: tells a duplicate from a reused id."""
        return hashlib.blake2b(type_name.encode() + b"\0" + payload, digest_size=16).digest()

    def state_to_json(self, state: object) -> str:
        """A state as JSON, for snapshots.

        Raises:
            InvalidPayload: it holds what JSON can't, an int of more than 64 bits for example.
        """
        try:
            return orjson.dumps(self._unstructure(state)).decode()
        except (TypeError, ValueError) as error:
            raise InvalidPayload(type(state).__name__, str(error)) from error

    def state_from_json(self, cls: type[T], text: str) -> T:
        """The state that a snapshot holds.

        Raises:
            InvalidPayload: it does not fit the class any more.
        """
        try:
            return self._structure(orjson.loads(text), cls)
        except self._failures as error:
            if plan_of(cls):
                raise InvalidPayload(cls.__name__, "a field does not fit") from None
            raise InvalidPayload(cls.__name__, str(error)) from error

    def _survives(self, value: object, annotation: Any) -> bool:  # noqa: ANN401 - a type form
        try:
            written = orjson.loads(orjson.dumps(self._unstructure(value, unstructure_as=annotation)))
            return bool(self._structure(written, annotation) == value)
        except self._failures:
            return False

    def _is_read(self, cls: object) -> bool:
        return isinstance(cls, type) and cls in self._checks and cls not in GENERIC


def to_json(value: object) -> bytes:
    """JSON of plain data."""
    return orjson.dumps(value)


def bytes_of(text: str) -> int:
    """How many bytes a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def from_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Plain data of JSON.

    Raises:
        ValueError: it is no JSON.
    """
    return orjson.loads(text)
