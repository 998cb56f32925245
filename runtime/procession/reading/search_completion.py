"""How a search may go on at a place: fields, and values that the classes and the journal know."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from procession.journal.flow_match import Match
from procession.journal.journal import JournalReader
from procession.journal.rows import FlowQuery
from procession.primitives.registry import Registry
from procession.reading.found_flows import Completions, Suggestion
from procession.reading.search_query import FIELDS, LENGTH_FIELDS, STATUS_WORDS, written_value

SUGGESTIONS_MAX = 20
_NAMES_MAX = 200
_KEYS_MAX = 10
_LOOKED_MAX = 20_000
"""Rows of flows that are looked at for a key; an index leads to most of them."""
_ABOUT = {
    "process": "name of a process or aggregate",
    "status": "where a flow stands",
    "key": "exact, or its beginning with a star",
    "outcome": "how a flow ended",
    "stage": "the step that a flow took last",
    "age": "time since its first event",
    "updated": "time since its last step",
    "reason": "text of why it is in quarantine",
}
_STATUS_ABOUT = {
    "active": "started, and not ended",
    "cancelled": "ended by an operator",
    "ended": "came to an end of its own",
    "live": "not ended: unstarted, active or quarantined",
    "quarantined": "set aside until it is repaired",
    "unstarted": "events wait for its start",
    "waiting": "unstarted or active: for an answer, a deadline or an event",
}
_LENGTHS = ("5m", "1h", "1d", "1w")
_TERM = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*(?:"|\Z))*', re.DOTALL)
"""A term as far as it is written, quotes that are not closed among it."""
_HEAD = re.compile(r"(-?)([A-Za-z_]+)([:<>])")
_VALUE = re.compile(r'(?:[^\s",]|"(?:[^"\\]|\\.)*(?:"|\Z))*', re.DOTALL)
_PROCESS = re.compile(r"(?:^|\s)process:(\"?)([^\s\",*]+)\1(?=\s|$)")


@attrs.frozen
class Vocabulary:
    """The names that the classes at hand know."""

    processes: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    stages: tuple[tuple[str, str], ...] = ()
    """(process, handler)."""


def vocabulary_of(registry: Registry) -> Vocabulary:
    """What a registry knows."""
    handlers = [
        (name, handler) for name, definition in registry.processes.items() for handler in definition.cls.__handlers__
    ]
    return Vocabulary(
        (*registry.processes, *registry.aggregates),
        tuple({handler.mark.outcome: None for _, handler in handlers if handler.mark.kind == "end"}),
        tuple({(name, handler.name): None for name, handler in handlers}),
    )


async def complete_search(reader: JournalReader, known: Vocabulary, text: str, at: int) -> Completions:
    """What may stand at a place; empty where nothing is known that fits.

    Args:
        at: the place of the cursor, counted in characters from 0; beyond the text it is its end.
    """
    text = text[: max(0, at)]
    start = _term_at(text)
    head = _HEAD.match(text, start)
    if head is None:
        typed = text[start:].removeprefix("-")
        return _fitting(_fields(), typed, len(text) - len(typed), len(text))
    field, sign = head.group(2), head.group(3)
    start = _value_at(text, head.end())
    typed = _unquoted(text[start:])
    if (sign == ":") == (field in LENGTH_FIELDS):
        return Completions(start, len(text), ())
    return _fitting(await _values(reader, known, field, typed, text), typed, start, len(text))


def _fields() -> list[Suggestion]:
    return [Suggestion(name if name in LENGTH_FIELDS else f"{name}:", "field", _ABOUT[name]) for name in FIELDS]


async def _values(reader: JournalReader, known: Vocabulary, field: str, typed: str, text: str) -> Sequence[Suggestion]:
    named = _PROCESS.search(text)
    process = None if named is None else named.group(2)
    if field == "key":
        return await _keys(reader, typed, process)
    if field == "process":
        names = (*known.processes, *(await reader.names(_NAMES_MAX)).processes)
        return [Suggestion(written_value(name), "process", "") for name in names]
    if field == "outcome":
        names = (*known.outcomes, *(await reader.names(_NAMES_MAX)).outcomes)
        return [Suggestion(written_value(name), "outcome", "") for name in names]
    return _fixed_values(known, field, process)


def _fixed_values(known: Vocabulary, field: str, process: str | None) -> Sequence[Suggestion]:
    """Those that no journal is asked for."""
    if field in LENGTH_FIELDS:
        return [Suggestion(length, "length", "") for length in _LENGTHS]
    if field == "status":
        return [Suggestion(word, "status", _STATUS_ABOUT[word]) for word in STATUS_WORDS]
    if field == "stage":
        return [
            Suggestion(written_value(handler), "stage", f"of {name}")
            for name, handler in known.stages
            if process in (None, name)
        ]
    return ()


async def _keys(reader: JournalReader, typed: str, process: str | None) -> list[Suggestion]:
    """The newest keys that begin as what is typed, and that beginning itself."""
    query = FlowQuery(process=process, matches=(Match("key", prefixes=(typed,)),))
    page = await reader.search(query, 0, _KEYS_MAX, _LOOKED_MAX, newest_first=True)
    keys = [Suggestion(written_value(row.key), "key", f"of {row.process}") for row in page.rows]
    return [Suggestion(written_value(typed, prefix=True), "key", "all that begin so"), *keys] if typed else keys


def _fitting(suggestions: Sequence[Suggestion], typed: str, start: int, end: int) -> Completions:
    """Those that begin as what is typed, each once; then those that hold it elsewhere."""
    wanted = typed.casefold()
    shown = {suggestion.text: suggestion for suggestion in reversed(suggestions)}
    plain = {text: _unquoted(text).casefold() for text in shown}
    found = [shown[text] for text in reversed(shown) if plain[text].startswith(wanted)]
    found += [shown[text] for text in reversed(shown) if wanted in plain[text][1:] and shown[text] not in found]
    return Completions(start, end, tuple(found[:SUGGESTIONS_MAX]))


def _term_at(text: str) -> int:
    """Where the term begins that the text ends in; the end where a new one begins."""
    return min((found.start() for found in _TERM.finditer(text) if found.end() == len(text)), default=len(text))


def _value_at(text: str, begins: int) -> int:
    """Where the value begins that the text ends in, of a filter whose values begin there."""
    while True:
        found = _VALUE.match(text, begins)
        assert found is not None, "it matches what is empty"
        if found.end() >= len(text):
            return begins
        begins = found.end() + 1


def _unquoted(written: str) -> str:
    """The text of a value, as far as it is written."""
    if not written.startswith('"'):
        return written.removesuffix("*")
    return re.sub(r"\\(.)", r"\1", written[1:]).removesuffix('"')
