"""Events and commands to JSON text and back. The only user of cattrs."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import hashlib
import math
import re
import typing
import uuid
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import cattrs
import orjson
from cattrs import Converter
from cattrs.errors import IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.preconf.orjson import OrjsonConverter, make_converter

from procession.errors import DefinitionError, InvalidPayload
from procession.primitives.command import Command
from procession.primitives.event import GENERIC, CommandDecided, CommandGivenUp, CommandRefused, Event
from procession.primitives.fields import parts, resolved_fields
from procession.primitives.news import news_data, read_news
from procession.primitives.refusal import Refusal
from procession.primitives.stored import stored_of

T = TypeVar("T")
_FAILURES = (
    cattrs.errors.CattrsError,
    cattrs.errors.BaseValidationError,
    TypeError,
    ValueError,
    KeyError,
    AttributeError,
    decimal.InvalidOperation,
)
_PLAIN: dict[object, frozenset[type]] = {kind: frozenset({kind}) for kind in (str, int, bool, type(None))}
_PLAIN[float] = frozenset({float, int})


class Codec:
    """One per runtime. Hooks are built when a class is registered, so that no turn builds any.

    Decoding is strict: a number is no string and a string is no number. Detailed errors are made only when a
    decode failed (they cost 1.2 us an event; measured with cattrs 26.2).
    """

    def __init__(self) -> None:
        self._fast = _converter(detailed=False)
        self._detailed = _converter(detailed=True)
        self._checks: dict[type, tuple[tuple[str, frozenset[type] | None, Any], ...]] = {}
        self._commands: dict[str, type[Command]] = {}
        self._refusals: dict[tuple[str, int], type[Refusal]] = {}

    def register(self, cls: type[Event | Command | Refusal]) -> None:
        """Build the hooks of a class. Its annotations must be resolvable."""
        if cls in self._checks:
            return
        if cls in GENERIC:  # written in news.py, their commands and refusals by hooks of their own
            self._checks[cls] = ()
            return
        forbid = stored_of(cls).extra_fields == "refuse"
        try:
            for converter in (self._fast, self._detailed):
                converter.register_structure_hook(
                    cls, make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=forbid)
                )
                converter.register_unstructure_hook(cls, make_dict_unstructure_fn(cls, converter))
        except (TypeError, *_FAILURES) as error:
            raise DefinitionError(
                stored_of(cls).site,
                cls.__name__,
                f"has a field that can't be read back ({error})",
                "make the members of a union distinct: give each a field of its own, or use one class",
            ) from error
        self._checks[cls] = tuple(
            (name, _plain_types(annotation), annotation) for name, annotation in resolved_fields(cls).items()
        )
        if issubclass(cls, Command):
            self._commands[stored_of(cls).name] = cls
        elif issubclass(cls, Refusal):
            self._refusals[stored_of(cls).name, stored_of(cls).version] = cls

    def encode(self, message: Event | Command) -> bytes:
        """JSON of a message, after a check that its values fit its annotations, so that it decodes again.

        Raises:
            InvalidPayload: a value does not fit its field, or can't be written as JSON.
        """
        if isinstance(message, CommandGivenUp | CommandRefused | CommandDecided):
            if isinstance(message, CommandRefused):
                self.check(message.refusal)
            return orjson.dumps(news_data(message, self._fast.unstructure))
        self.check(message)
        try:
            return orjson.dumps(self._fast.unstructure(message))
        except (TypeError, ValueError) as error:
            raise InvalidPayload(stored_of(type(message)).name, str(error)) from error

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
                        f"{name} is {type(value).__name__} {_shown(value)},"
                        f" expected {'finite ' if type(value) in plain else ''}{annotated(annotation)}",
                    )
            elif not self._survives(value, annotation):
                raise InvalidPayload(
                    stored_of(type(message)).name, f"{name} is {_shown(value)}, expected {annotated(annotation)}"
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
            return self._fast.structure(data, cls)
        except _FAILURES:
            raise InvalidPayload(stored_of(cls).name, self._explain(cls, data)) from None

    def digest(self, type_name: str, payload: bytes) -> bytes:
        """16 bytes over type and data: tells a duplicate from a reused id."""
        return hashlib.blake2b(type_name.encode() + b"\0" + payload, digest_size=16).digest()

    def state_to_json(self, state: object) -> str:
        """A state as JSON, for snapshots.

        Raises:
            InvalidPayload: it holds what JSON can't, an int of more than 64 bits for example.
        """
        try:
            return orjson.dumps(self._fast.unstructure(state)).decode()
        except (TypeError, ValueError) as error:
            raise InvalidPayload(type(state).__name__, str(error)) from error

    def state_from_json(self, cls: type[T], text: str) -> T:
        """The state that a snapshot holds.

        Raises:
            InvalidPayload: it does not fit the class any more.
        """
        try:
            return self._fast.structure(orjson.loads(text), cls)
        except _FAILURES as error:
            raise InvalidPayload(cls.__name__, str(error)) from error

    def _survives(self, value: object, annotation: Any) -> bool:  # noqa: ANN401 - a type form
        try:
            written = orjson.loads(orjson.dumps(self._fast.unstructure(value, unstructure_as=annotation)))
            return bool(self._fast.structure(written, annotation) == value)
        except _FAILURES:
            return False

    def _explain(self, cls: type, data: object) -> str:
        try:
            self._detailed.structure(data, cls)
        except cattrs.errors.ClassValidationError as error:
            return "; ".join(_mended(line) for line in cattrs.transform_error(error, format_exception=_described))
        except _FAILURES as error:
            return str(error)
        return "it can't be decoded"  # pragma: no cover - both converters refuse the same data


def to_json(value: object) -> bytes:
    """JSON of plain data."""
    return orjson.dumps(value)


def from_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Plain data of JSON.

    Raises:
        ValueError: it is no JSON.
    """
    return orjson.loads(text)


@functools.cache
def plain_values() -> Callable[[object, object], Any]:
    """A function that tells what a value of an annotation is in JSON; it raises ValueError where it is none.

    Made once: a converter costs more than all else that a schema takes.
    """
    converter = _converter(detailed=False)

    def plain(value: object, annotation: object) -> Any:  # noqa: ANN401 - JSON
        try:
            return orjson.loads(orjson.dumps(converter.unstructure(value, unstructure_as=annotation)))
        except _FAILURES as error:
            raise ValueError(str(error)) from error

    return plain


def from_elsewhere(cls: type[T], data: object) -> T:
    """Parsed JSON of some other system as a frozen class, strictly but for fields that the class does not name.

    Raises:
        ValueError: it does not fit; with the path to each bad field.
    """
    try:
        return _lenient().structure(data, cls)
    except cattrs.errors.BaseValidationError as error:
        raise ValueError("; ".join(map(_mended, cattrs.transform_error(error, format_exception=_described)))) from None
    except _FAILURES as error:
        raise ValueError(str(error)) from None


@functools.cache
def _lenient() -> OrjsonConverter:
    return _converter(detailed=True, extra=True)


def _converter(*, detailed: bool, extra: bool = False) -> OrjsonConverter:
    converter = make_converter(
        detailed_validation=detailed, forbid_extra_keys=not extra, unstruct_collection_overrides={frozenset: _sorted}
    )
    converter.register_structure_hook_factory(_is_collection, _collection_reader)
    for scalar in (str, int, float, bool):
        converter.register_structure_hook(scalar, _strict(scalar))
    converter.register_structure_hook(decimal.Decimal, _from_text(decimal.Decimal))
    converter.register_unstructure_hook(decimal.Decimal, str)
    converter.register_structure_hook(uuid.UUID, _from_text(uuid.UUID))
    converter.register_unstructure_hook(uuid.UUID, str)
    converter.register_structure_hook(datetime.time, _from_text(datetime.time.fromisoformat))
    converter.register_unstructure_hook(datetime.time, datetime.time.isoformat)
    converter.register_structure_hook(datetime.timedelta, _timedelta)
    converter.register_unstructure_hook(datetime.timedelta, lambda delta: delta // datetime.timedelta(microseconds=1))
    return converter


def _sorted(items: Iterable[object]) -> list[object]:
    """One order in every run: the digest of an event must not depend on the hash seed."""
    return sorted(items, key=orjson.dumps)


def _is_collection(annotation: object) -> bool:
    return typing.get_origin(annotation) in (tuple, frozenset)


def _collection_reader(annotation: Any, converter: Converter) -> Callable[[Any, Any], Any]:  # noqa: ANN401 - a type form
    """A hook that takes JSON arrays alone, and those of a fixed size only in that size."""
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    homogeneous = origin is frozenset or members[-1:] == (Ellipsis,)
    kinds = members[:1] if homogeneous else members
    hooks = [converter.get_structure_hook(kind) for kind in kinds]

    def read(value: Any, _: Any) -> Any:  # noqa: ANN401 - JSON in, tuple or frozenset out
        if not isinstance(value, list):
            raise _UnfitError(f"expected a list, found {type(value).__name__} {_shown(value)}")
        if not homogeneous and len(value) != len(kinds):
            raise _UnfitError(f"expected {len(kinds)} elements, found {len(value)}")
        if not converter.detailed_validation:
            if homogeneous:
                hook, kind = hooks[0], kinds[0]
                return origin([hook(item, kind) for item in value])
            return tuple([hook(item, kind) for item, hook, kind in zip(value, hooks, kinds, strict=True)])
        return origin(_read_each(value, hooks, kinds, annotation))

    return read


def _read_each(value: list[Any], hooks: list[Callable[[Any, Any], Any]], kinds: Any, annotation: Any) -> list[Any]:  # noqa: ANN401 - type forms
    """The elements of an array, with the index of each that does not fit."""
    found: list[Any] = []
    errors: list[Exception] = []
    for index, item in enumerate(value):
        at = min(index, len(kinds) - 1)
        try:
            found.append(hooks[at](item, kinds[at]))
        except _FAILURES as error:
            error.add_note(IterableValidationNote(f"@ index {index}", index, kinds[at]))
            errors.append(error)
    if errors:
        raise IterableValidationError("elements do not fit", errors, annotation)
    return found


class _UnfitError(TypeError):
    """A value that does not fit; its text says what was found and expected."""


def _described(error: BaseException, kind: type | None) -> str:
    if isinstance(error, _UnfitError):
        return str(error)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"expected {annotated(kind)}"
    return cattrs.v.format_exception(error, kind)


def _strict(scalar: type) -> Callable[[Any, Any], Any]:
    allowed = _PLAIN[scalar]

    def check(value: Any, _: Any) -> Any:  # noqa: ANN401 - JSON in, scalar out
        if type(value) in allowed:
            return value
        raise _UnfitError(f"expected {scalar.__name__}, found {type(value).__name__} {_shown(value)}")

    return check


def _from_text(make: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    def read(value: Any, _: Any) -> Any:  # noqa: ANN401 - JSON in, value out
        if not isinstance(value, str):
            raise _UnfitError(f"expected text, found {type(value).__name__} {_shown(value)}")
        try:
            return make(value)
        except decimal.InvalidOperation as error:
            raise _UnfitError(f"no number: {_shown(value)}") from error

    return read


def _timedelta(value: Any, _: Any) -> datetime.timedelta:  # noqa: ANN401 - JSON
    if type(value) is not int:
        raise _UnfitError(f"expected microseconds, found {type(value).__name__} {_shown(value)}")
    return datetime.timedelta(microseconds=value)


def _plain_types(annotation: object) -> frozenset[type] | None:
    """The exact types of a field made of plain scalars only; None where a look at the type is not enough."""
    found: set[type] = set()
    if typing.get_origin(annotation) in (tuple, frozenset, typing.Literal):
        return None
    for part in parts(annotation):
        plain = _PLAIN.get(part)
        if plain is None:
            return None
        found |= plain
    if _has_literal(annotation):
        return None
    return frozenset(found)


def _has_literal(annotation: object) -> bool:
    return any(
        typing.get_origin(member) in (typing.Literal, tuple, frozenset) or _has_literal(member)
        for member in typing.get_args(annotation)
    )


def annotated(annotation: object) -> str:
    """How errors show the type of a field, and how journals of the first form name it."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return f"{annotation.__name__}({', '.join(repr(member.value) for member in annotation)})"
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("NoneType", "None")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "…"


def _mended(line: str) -> str:
    return re.sub(r"^unknown error \((.*)\) @ ", r"\1 @ ", line).replace("typing.", "").removesuffix(" @ $")


_SHOWN_CHARS_MAX = 60
