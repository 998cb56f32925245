"""What cattrs does for the codec: hooks that read and write the fields of messages. The only user of cattrs.

It loads when a codec is made: naming classes, and looking at them, needs none of it.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
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

from procession.errors import cut_short
from procession.mask import MASK
from procession.primitives.json_types import PLAIN, annotated, shown
from procession.primitives.secrecy import is_secret, unmarked
from procession.primitives.stored import stored_of

T = TypeVar("T")
FAILURES = (
    cattrs.errors.CattrsError,
    cattrs.errors.BaseValidationError,
    TypeError,
    ValueError,
    KeyError,
    AttributeError,
    decimal.InvalidOperation,
)
_UNFIT_MAX = 20
"""So many elements of one list are named."""
_EXPLAINED_CHARS_MAX = 2_000


class Converters:
    """Those of one codec: a fast one, and one that explains, which is made when there is something to explain."""

    def __init__(self, is_read: Callable[[object], bool]) -> None:
        """Take a predicate that tells the messages from what may be inside of them."""
        self._fast = _converter(detailed=False)
        self._detailed: OrjsonConverter | None = None
        self._is_read = is_read
        self.structure = self._fast.structure
        self.unstructure = self._fast.unstructure

    def register(self, cls: type) -> None:
        """Build the hooks of a message. Raises one of `FAILURES` where a field can't be read back."""
        self._fast.register_structure_hook(cls, _reader(cls, self._fast))
        self._fast.register_unstructure_hook(cls, make_dict_unstructure_fn(cls, self._fast))

    def hook(self, cls: type) -> Callable[[Any, Any], Any]:
        """What makes an instance of parsed JSON; `structure` would look it up each time."""
        return self._fast.get_structure_hook(cls)

    def writer(self, cls: type) -> Callable[[Any], Any]:
        """What makes plain data of an instance; `unstructure` would look it up each time."""
        return self._fast.get_unstructure_hook(cls)

    def explain(self, cls: type, data: object) -> str:
        """Why data is no message of this class."""
        if self._detailed is None:
            self._detailed = detailed = _converter(detailed=True)
            detailed.register_structure_hook_factory(self._is_read, lambda cls: _reader(cls, detailed))
        try:
            self._detailed.structure(data, cls)
        except cattrs.errors.ClassValidationError as error:
            lines = cattrs.transform_error(error, format_exception=_described)
            return cut_short("; ".join(map(_mended, lines)), _EXPLAINED_CHARS_MAX)
        except FAILURES as error:
            return str(error)
        return "it can't be decoded"  # pragma: no cover - both converters refuse the same data


@functools.cache
def plain_values() -> Callable[[object, object], Any]:
    """A function that tells what a value of an annotation is in JSON; it raises ValueError where it is none.

    Made once: a converter costs more than all else that a schema takes.
    """
    converter = _converter(detailed=False)

    def plain(value: object, annotation: object) -> Any:  # noqa: ANN401 - JSON
        try:
            return orjson.loads(orjson.dumps(converter.unstructure(value, unstructure_as=annotation)))
        except FAILURES as error:
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
    except FAILURES as error:
        raise ValueError(str(error)) from None


class FieldsUnfit(ValueError):  # noqa: N818 - a finding about fields, with the path to each
    """Parsed JSON does not fit a class."""

    def __init__(self, faults: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{found} @ {path}" for path, found in faults))
        self.faults = faults
        """Each as its path, `$.by`, and what was found there."""


def read_strictly(cls: type[T], data: object) -> T:
    """Parsed JSON as a frozen class that is no message, strictly: no field more than the class names.

    Raises:
        FieldsUnfit: it does not fit.
    """
    try:
        return _strictly().structure(data, cls)
    except cattrs.errors.BaseValidationError as error:
        lines = [_mended(line) for line in cattrs.transform_error(error, format_exception=_described)]
        parted = [line.rpartition(" @ ") for line in lines]
        raise FieldsUnfit(tuple((path if found else "$", found or path) for found, _, path in parted)) from None
    except FAILURES as error:
        raise FieldsUnfit((("$", str(error)),)) from None


@functools.cache
def _strictly() -> OrjsonConverter:
    return _converter(detailed=True)


@functools.cache
def _lenient() -> OrjsonConverter:
    return _converter(detailed=True, extra=True)


def _converter(*, detailed: bool, extra: bool = False) -> OrjsonConverter:
    converter = make_converter(
        detailed_validation=detailed, forbid_extra_keys=not extra, unstruct_collection_overrides={frozenset: _sorted}
    )
    converter.register_structure_hook_factory(_is_collection, _collection_reader)
    if detailed:
        converter.register_structure_hook_factory(is_secret, _secret_reader)
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


def _reader(cls: type[T], converter: OrjsonConverter) -> Callable[[Any, Any], T]:
    forbid = stored_of(cls).extra_fields == "refuse"
    return make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=forbid)


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
            raise _UnfitError(f"expected a list, found {type(value).__name__} {shown(value)}")
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
    """The elements of an array, with the index of each that does not fit, up to so many: a list may have very many."""
    found: list[Any] = []
    errors: list[Exception] = []
    for index, item in enumerate(value):
        at = min(index, len(kinds) - 1)
        try:
            found.append(hooks[at](item, kinds[at]))
        except FAILURES as error:
            error.add_note(IterableValidationNote(f"@ index {index}", index, kinds[at]))
            errors.append(error)
            if len(errors) == _UNFIT_MAX:
                break
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


def _secret_reader(annotation: Any, converter: Converter) -> Callable[[Any, Any], Any]:  # noqa: ANN401 - a type form
    """A hook that says of what does not fit no more than what was expected."""
    plain = unmarked(annotation)
    hook = converter.get_structure_hook(plain)

    def read(value: Any, _: Any) -> Any:  # noqa: ANN401 - JSON in, value out
        try:
            return hook(value, plain)
        except FAILURES:
            raise _UnfitError(f"expected {annotated(plain)}, found {MASK}") from None

    return read


def _strict(scalar: type) -> Callable[[Any, Any], Any]:
    allowed = PLAIN[scalar]

    def check(value: Any, _: Any) -> Any:  # noqa: ANN401 - JSON in, scalar out
        if type(value) in allowed:
            return value
        raise _UnfitError(f"expected {scalar.__name__}, found {type(value).__name__} {shown(value)}")

    return check


def _from_text(make: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    def read(value: Any, _: Any) -> Any:  # noqa: ANN401 - JSON in, value out
        if not isinstance(value, str):
            raise _UnfitError(f"expected text, found {type(value).__name__} {shown(value)}")
        try:
            return make(value)
        except decimal.InvalidOperation as error:
            raise _UnfitError(f"no number: {shown(value)}") from error

    return read


def _timedelta(value: Any, _: Any) -> datetime.timedelta:  # noqa: ANN401 - JSON
    if type(value) is not int:
        raise _UnfitError(f"expected microseconds, found {type(value).__name__} {shown(value)}")
    return datetime.timedelta(microseconds=value)


def _mended(line: str) -> str:
    return re.sub(r"^unknown error \((.*)\) @ ", r"\1 @ ", line).replace("typing.", "").removesuffix(" @ $")
