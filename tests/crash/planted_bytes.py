"""Readers that are built wrong, each in one way: what is planted replaces a part of the product for one test."""

# What is replaced is no name for users.
# ruff: noqa: SLF001

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

from procession import errors, knob, publishing, settings_file
from procession.errors import InvalidPayload, SettingsError, cut_short
from procession.primitives import cloudevents, converters
from procession.primitives.cloudevents import CloudEventError
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.outside import CloudEvent
from procession.reading import search_completion, search_parser
from procession.reading.search_parser import _Parser
from procession.reading.search_query import Value
from procession.search_errors import SearchRefused
from procession.settings import KNOBS, Settings
from tests.crash.readers import REGISTRY

T = TypeVar("T")
Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]
_CEILING = 10**9


# The CloudEvents reader.


def _reads_json_by(patch: Patch, read: Callable[[bytes], object]) -> None:
    patch.setattr(cloudevents, "from_json", read)


def asks_for_no_field(patch: Patch) -> None:
    patch.setattr(cloudevents, "_REQUIRED", ())


def does_not_bear_depth(patch: Patch) -> None:
    def read(text: bytes) -> object:
        try:
            return from_json(text)
        except ValueError as error:
            if "depth" in str(error):
                raise RecursionError(str(error)) from None
            raise

    _reads_json_by(patch, read)


def takes_nan(patch: Patch) -> None:
    _reads_json_by(patch, lambda text: from_json(text.replace(b"NaN", b"null")))


def takes_half_of_a_character(patch: Patch) -> None:
    def read(text: bytes) -> object:
        try:
            return from_json(text)
        except ValueError as error:
            if "surrogate" in str(error):
                return json.loads(text.decode("utf-8", "surrogatepass"))
            raise

    _reads_json_by(patch, read)


def completes_what_was_cut_off(patch: Patch) -> None:
    def read(text: bytes) -> object:
        try:
            return from_json(text)
        except ValueError:
            return from_json(text[: max(0, text.rfind(b", "))] + b"}")

    _reads_json_by(patch, read)


def takes_the_first_of_two(patch: Patch) -> None:
    def first(pairs: list[tuple[str, object]]) -> dict[str, object]:
        return dict(reversed(pairs))

    def read(text: bytes) -> object:
        from_json(text)
        return json.loads(text, object_pairs_hook=first)

    _reads_json_by(patch, read)


def leaves_out_what_is_null(patch: Patch) -> None:
    event_of = cloudevents.event_of

    def without(found: object) -> CloudEvent:
        event = event_of(found)
        return event._replace(data={name: value for name, value in event.data.items() if value is not None})

    patch.setattr(cloudevents, "event_of", without)


def knows_no_digits_in_extensions(patch: Patch) -> None:
    patch.setattr(cloudevents, "_EXTENSION", re.compile("[a-z]+"))


def shows_values_as_they_came(patch: Patch) -> None:
    patch.setattr(cloudevents, "_shown", lambda value: cut_short(str(value)))


def shows_values_whole(patch: Patch) -> None:
    patch.setattr(cloudevents, "cut_short", str)


def leaves_out_events_that_are_none(patch: Patch) -> None:
    parse_document = cloudevents.parse_document

    def sound(body: bytes, media: str) -> list[CloudEvent | CloudEventError]:
        return [one for one in parse_document(body, media) if isinstance(one, CloudEvent)]

    patch.setattr(cloudevents, "parse_document", sound)


def fails_at_writing_what_is_deep(patch: Patch) -> None:
    def write(data: object) -> bytes:
        try:
            return to_json(data)
        except TypeError as error:
            raise RecursionError(str(error)) from None

    patch.setattr(publishing, "to_json", write)


# The codec.


def _decodes_by(patch: Patch, decode: Callable[[Callable[[bytes], Any], bytes], Any]) -> None:
    real = Codec.decode

    def replaced(codec: Codec, cls: type[T], payload: bytes) -> T:
        read: T = decode(lambda text: real(codec, cls, text), payload)
        return read

    patch.setattr(Codec, "decode", replaced)


def refuses_everything(patch: Patch) -> None:
    def refuse(_: object, __: bytes) -> NoReturn:
        raise InvalidPayload("fuzz.placed", "it can't be decoded")

    _decodes_by(patch, refuse)


def takes_numbers_for_texts(patch: Patch) -> None:
    def decode(read: Callable[[bytes], Any], payload: bytes) -> object:
        try:
            return read(payload)
        except InvalidPayload:
            data = from_json(payload) if payload.startswith(b"{") and payload.endswith(b"}") else {}
            if type(data.get("order_id")) not in (int, bool):
                raise
            return read(to_json({**data, "order_id": str(data["order_id"])}))

    def guarded(read: Callable[[bytes], Any], payload: bytes) -> object:
        try:
            return decode(read, payload)
        except (ValueError, TypeError):
            return read(payload)

    _decodes_by(patch, guarded)


def loses_lines(patch: Patch) -> None:
    _decodes_by(patch, lambda read, payload: read(payload.replace(b'{"sku":"a","number":2}', b"")))


def does_not_expect_fields_to_be_missing(patch: Patch) -> None:
    patch.setattr(REGISTRY.codec, "_failures", (TypeError,))


def does_not_say_where(patch: Patch) -> None:
    patch.setattr(converters.Converters, "explain", lambda *_: "something does not fit")


def explains_without_end(patch: Patch) -> None:
    patch.setattr(converters, "_UNFIT_MAX", _CEILING)
    patch.setattr(converters, "_EXPLAINED_CHARS_MAX", _CEILING)


# The language of searches.


def looks_beyond_the_end(patch: Patch) -> None:
    patch.setattr(_Parser, "_found", lambda parser: repr(parser.text[parser.at]))


def never_comes_to_the_end_of_quotes(patch: Patch) -> None:
    def stuck(parser: _Parser) -> NoReturn:
        while parser.at >= 0:
            pass
        raise AssertionError

    patch.setattr(_Parser, "_in_quotes", stuck)


def loses_stars(patch: Patch) -> None:
    value = _Parser._value
    patch.setattr(_Parser, "_value", lambda parser, field: Value(value(parser, field).text))


def points_beyond_the_text(patch: Patch) -> None:
    def refused(parser: _Parser, at: int, found: str, expected: str) -> SearchRefused:
        return SearchRefused(parser.text, at + 100, found, expected)

    patch.setattr(_Parser, "refused", refused)


def writes_errors_as_they_come(patch: Patch) -> None:
    patch.setattr(errors, "one_line", str)


def completes_beyond_the_text(patch: Patch) -> None:
    fitting = search_completion._fitting
    patch.setattr(
        search_completion, "_fitting", lambda found, typed, start, end: fitting(found, typed, end + 1 + start, end)
    )


def leaves_backslashes_as_they_are(patch: Patch) -> None:
    patch.setattr(search_parser, "_ESCAPED", re.compile(r"\\(\")"))


# The configuration.


def _reads_toml_by(patch: Patch, errors_: str, *refused: type[Exception]) -> None:
    def read(path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text("utf-8", errors_))
        except refused as error:
            raise SettingsError(str(path), f"is no TOML: {error}", "mend the file") from error

    assert hasattr(settings_file, "_read"), "plant the fault where it is now"
    patch.setattr(settings_file, "_read", read)


def expects_text(patch: Patch) -> None:
    _reads_toml_by(patch, "strict", tomllib.TOMLDecodeError, RecursionError)


def expects_no_depth(patch: Patch) -> None:
    _reads_toml_by(patch, "strict", ValueError)


def leaves_out_what_is_no_text(patch: Patch) -> None:
    _reads_toml_by(patch, "ignore", ValueError, RecursionError)


def leaves_out_what_is_no_setting(patch: Patch) -> None:
    flat = settings_file._flat

    def known(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
        return ((keys, raw) for keys, raw in flat(table, above) if keys in KNOBS)

    patch.setattr(settings_file, "_flat", known)


def loses_lists(patch: Patch) -> None:
    built = settings_file._built

    def kept(values: Mapping[tuple[str, ...], knob.Value]) -> Settings:
        return built({at: one for at, one in values.items() if not isinstance(one, tuple)})

    patch.setattr(settings_file, "_built", kept)
