"""What reads bytes that nobody meant, and what must hold of each reading.

What is sound is read as it was meant; what is not is refused with one sentence, and by nothing but the error that says
so; whatever is read can be written again. What JSON and TOML are is asked of the standard library, not of the product.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

import trio

from procession import Event, publishing, settings_file
from procession.errors import InvalidPayload, PublishRefused, SettingsError, one_line
from procession.journal.memory import MemoryJournal
from procession.primitives import cloudevents
from procession.primitives.cloudevents import CloudEventError
from procession.primitives.outside import CloudEvent
from procession.primitives.registry import Registry
from procession.reading import search_completion, search_parser
from procession.reading.found_flows import Completions
from procession.reading.search_query import Search
from procession.search_errors import SearchRefused
from procession.settings import IntakeSettings, Settings, knobs

T = TypeVar("T")
PROCESSOR_S_MAX = 2.0
_ONCE_MORE_S = 0.001
SENTENCE_CHARS_MAX = 3_000
NONE = object()
"""What bytes say that are no JSON."""


class Line(Event, name="fuzz.line_written"):
    sku: str
    number: int


class Placed(Event, name="fuzz.placed"):
    order_id: str
    lines: tuple[Line, ...] = ()
    note: str | None = None


class Anything(Event, name="fuzz.anything", extra_fields="ignore"):
    """Takes whatever comes, and keeps it as it came."""


class Breach(AssertionError):  # noqa: N818 - it is no error, it is what was found
    """A reader does not keep what is promised of it."""


class Said(str):
    """The sentence of a refusal."""

    __slots__ = ()


class _TooLongError(BaseException):
    """The processor time is over; no reader may catch it."""


@contextlib.contextmanager
def _processor_time() -> Iterator[None]:
    """So long and no longer; what waits for the machine does not count."""

    def over(_: int, __: FrameType | None) -> NoReturn:
        raise _TooLongError

    def once_more(unraisable: sys.UnraisableHookArgs) -> None:
        """It may come while a weak reference calls back, where Python can't let anything through."""
        if isinstance(unraisable.exc_value, _TooLongError):
            signal.setitimer(signal.ITIMER_VIRTUAL, _ONCE_MORE_S)
        else:
            told(unraisable)

    told, sys.unraisablehook = sys.unraisablehook, once_more
    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, PROCESSOR_S_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        sys.unraisablehook = told


def must(holds: object, breach: str) -> None:
    """Where it does not hold, that is the breach."""
    if not holds:
        raise Breach(breach)


def read_or_refused(reader: str, read: Callable[[], T], *refusals: type[Exception]) -> T | Said:
    """What was read, or the sentence that refuses it, which is one."""
    try:
        with _processor_time():
            return read()
    except refusals as error:
        said = Said(error)
    except _TooLongError:
        raise Breach(f"{reader} is still at it after {PROCESSOR_S_MAX:g} s of processor time") from None
    except Exception as error:
        raise Breach(f"{reader} lets a {type(error).__name__} through: {error}") from error
    must(said, f"{reader} refuses without a word")
    must(one_line(said) == said, f"{reader} refuses with what is not one line of text: {said!r}")
    must(len(said) <= SENTENCE_CHARS_MAX, f"{reader} refuses with {len(said):,} characters: {said[:200]}")
    return said


def meant_by(text: bytes) -> object:
    """What JSON says there, strictly; NONE where it is none."""

    def refuse(_: str) -> NoReturn:
        raise ValueError

    try:
        found = json.loads(text.decode(), parse_constant=refuse, parse_float=_finite, parse_int=_whole)
        json.dumps(found, ensure_ascii=False).encode()  # half of a character is no text
    except (ValueError, OverflowError, RecursionError):
        return NONE
    return found


def _finite(digits: str) -> float:
    found = float(digits)
    if math.isinf(found):
        raise OverflowError
    return found


def _whole(digits: str) -> int:
    found = int(digits)
    _finite(digits)
    return found


def same(found: object, meant: object) -> bool:
    """Whether plain data is equal, but for whole numbers that are too long to be kept whole."""
    if isinstance(found, Mapping) and isinstance(meant, Mapping):
        return found.keys() == meant.keys() and all(same(found[name], meant[name]) for name in found)
    if isinstance(found, list) and isinstance(meant, list):
        return len(found) == len(meant) and all(map(same, found, meant))
    if type(found) is float and type(meant) in (int, float):
        return math.isclose(found, float(str(meant)), rel_tol=1e-15)
    return type(found) is type(meant) and found == meant


# The CloudEvents reader.

_LINES, _DOCUMENTS = "the reader of lines", "the reader of documents"


def line_reads(line: bytes, sound: Mapping[str, object] | None = None) -> None:
    """A line is its event, or refused; `sound`: what it is known to say."""
    found = read_or_refused(_LINES, lambda: cloudevents.parse(line), CloudEventError)
    must(isinstance(found, CloudEvent | Said), f"{_LINES} gives {found!r}")
    if isinstance(found, CloudEvent):
        _check_event(_LINES, found, meant_by(line))
    else:
        must(sound is None, f"{_LINES} refuses a sound event: {found}")


def document_reads(body: bytes, media: str, sound: int | None = None) -> None:
    """A document is its events, each of them read or refused; `sound`: so many events that it is known to hold."""
    found = read_or_refused(_DOCUMENTS, lambda: cloudevents.parse_document(body, media), CloudEventError)
    if isinstance(found, Said):
        must(sound is None, f"{_DOCUMENTS} refuses a sound document: {found}")
        return
    meant = meant_by(body)
    must(meant is not NONE, f"{_DOCUMENTS} takes what is no JSON")
    items = meant if isinstance(meant, list) else [meant]
    must(len(found) == len(items), f"{_DOCUMENTS} finds {len(found)} events where {len(items)} are")
    for one, item in zip(found, items, strict=True):
        must(isinstance(one, CloudEvent | CloudEventError), f"{_DOCUMENTS} gives {one!r}")
        if isinstance(one, CloudEvent):
            _check_event(_DOCUMENTS, one, item)
        else:
            must(sound is None, f"{_DOCUMENTS} refuses a sound event: {one}")


def _check_event(reader: str, found: CloudEvent, meant: object) -> None:
    """It is what the bytes say, and can be published: encoded, or refused by the sentence that says why."""
    must(meant is not NONE, f"{reader} takes what is no JSON")
    must(isinstance(meant, dict), f"{reader} makes an event of {type(meant).__name__}")
    assert isinstance(meant, dict)
    for name in ("id", "source", "type"):
        said = meant.get(name)
        must(type(said) is str and getattr(found, name) == said, f"{reader} takes {said!r} for the {name} {found}")
    must(meant.get("specversion") == "1.0", f"{reader} takes another specversion than 1.0")
    must(same(found.data, meant.get("data") or {}), f"{reader} reads other data: {found.data!r:.200}")
    kept = found._replace(type="fuzz.anything", version=None)
    read_or_refused(f"publishing what {reader} took", lambda: _publish(kept), PublishRefused)


REGISTRY = Registry()
for _cls in (Line, Placed, Anything):
    REGISTRY.add_event(_cls)


def _publish(found: CloudEvent) -> None:
    outside = publishing.decoded(REGISTRY, found)
    for one in publishing.encode_all(REGISTRY, IntakeSettings(), [outside]):
        for text in (one.payload, one.source, one.source_id):
            (text or "").encode()


# The codec.

_CODEC = "the codec"


def misfits(data: object) -> set[str]:
    """The fields of `Placed` that JSON does not fit; `$` where it is no object."""
    if not isinstance(data, dict):
        return {"$"}
    found = {name for name in data if name not in ("order_id", "lines", "note")}
    if type(data.get("order_id")) is not str:
        found.add("order_id")
    lines = data.get("lines", [])
    if not isinstance(lines, list) or not all(map(_is_line, lines)):
        found.add("lines")
    if not isinstance(data.get("note"), str | None):
        found.add("note")
    return found


def _is_line(data: object) -> bool:
    if not isinstance(data, dict) or data.keys() != {"sku", "number"}:
        return False
    number = data["number"]
    return type(data["sku"]) is str and type(number) is int and -(1 << 63) <= number < 1 << 64


def payload_reads(payload: bytes) -> None:
    """A payload is its event, or names a field that does not fit."""
    meant = meant_by(payload)
    found = read_or_refused(_CODEC, lambda: REGISTRY.codec.decode(Placed, payload), InvalidPayload)
    unfit = {"$"} if meant is NONE else misfits(meant)
    if isinstance(found, Said):
        must("fuzz.placed" in found, f"{_CODEC} does not name the type: {found}")
        must(unfit, f"{_CODEC} refuses what fits: {found}")
        must(
            "$" in unfit or any(one_line(name)[:1_000] in found for name in unfit),
            f"{_CODEC} does not name {unfit}: {found}",
        )
        return
    must(isinstance(found, Placed), f"{_CODEC} gives {found!r}")
    must(meant is not NONE, f"{_CODEC} takes what is no JSON")
    must(not unfit, f"{_CODEC} takes {', '.join(sorted(unfit))}, which do not fit")
    again = read_or_refused("writing what the codec read", lambda: REGISTRY.codec.encode(found), InvalidPayload)
    must(isinstance(again, bytes), f"{_CODEC} reads what it does not write: {again!r}")
    assert isinstance(again, bytes)
    assert isinstance(meant, dict)
    default: dict[str, object] = {"lines": [], "note": None}
    must(same(meant_by(again), default | meant), f"{_CODEC} reads other data: {again!r:.200}")


# The language of searches.

_SEARCHES, _COMPLETIONS = "the reader of searches", "the completion of searches"


def search_reads(text: str, sound: Search | None = None) -> None:
    """A text is a search that reads as itself, or is refused at a place in it; `sound`: what it is known to mean."""
    refused: list[SearchRefused] = []

    def read() -> Search:
        try:
            return search_parser.parse_search(text)
        except SearchRefused as error:
            refused.append(error)
            raise

    found = read_or_refused(_SEARCHES, read, SearchRefused)
    if isinstance(found, Said):
        must(sound is None, f"{_SEARCHES} refuses a sound search: {found}")
        must(0 <= refused[0].position <= len(text), f"{_SEARCHES} refuses at {refused[0].position} of {len(text)}")
        must(refused[0].expected, f"{_SEARCHES} does not say what was expected")
    else:
        must(sound in (None, found), f"{_SEARCHES} takes {text!r} for {found}")
        must(search_parser.parse_search(str(found)) == found, f"{_SEARCHES} reads {str(found)!r} as something else")
    suggested = read_or_refused(_COMPLETIONS, lambda: trio.run(_completions, text), SearchRefused)
    assert not isinstance(suggested, Said), "nothing may be refused there"
    must(0 <= suggested.start <= suggested.end <= len(text), f"{_COMPLETIONS} stands beyond the text: {suggested}")


async def _completions(text: str) -> Completions:
    return await search_completion.complete_search(MemoryJournal(), search_completion.Vocabulary(), text, len(text))


# The configuration.

_CONFIGURATION = "the reader of the configuration"


def configuration_reads(file: Path, text: bytes) -> None:
    """A file is its settings, or refused."""
    file.write_bytes(text)
    found = read_or_refused(_CONFIGURATION, lambda: settings_file.load_settings(file, {}), SettingsError)
    try:
        meant = dict(_leaves(tomllib.loads(text.decode())))
    except (ValueError, RecursionError):
        must(isinstance(found, Said), f"{_CONFIGURATION} takes what is no TOML")
        return
    known = {path: knob.default for path, knob in knobs()}
    strange = [".".join(path) for path in meant if path not in known and (len(path), path[0]) != (3, "gateways")]
    if isinstance(found, Said):
        return
    must(isinstance(found, Settings), f"{_CONFIGURATION} gives {found!r}")
    must(not strange, f"{_CONFIGURATION} takes {strange}, which are no settings")
    for path, default in known.items():
        value = _value_at(found, path)
        wanted = meant.get(path, default)
        must(
            value == (tuple(wanted) if isinstance(wanted, list) else wanted)
            or _is_seen_from(file.parent, value, wanted),
            f"{_CONFIGURATION} reads {'.'.join(path)} as {value!r}, not {wanted!r}",
        )


def _leaves(table: Mapping[str, object], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, value in table.items():
        if isinstance(value, dict) and len(above) < (2 if above[:1] == ("gateways",) else 1):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _value_at(settings: Settings, path: tuple[str, ...]) -> object:
    found: object = settings
    for name in path:
        found = getattr(found, name)
    return found


def _is_seen_from(folder: Path, value: object, wanted: object) -> bool:
    """Whether it is what was wanted, as a path."""
    if isinstance(value, tuple) and isinstance(wanted, list):
        return [*value] == [str(folder / one) for one in wanted]
    return isinstance(wanted, str) and value == str(folder / wanted)
