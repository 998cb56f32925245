"""Law 8 beside the flows: the schemas that a `schemas.json` says were given out, and the classes at hand.

An entry is never taken back. A type that no class has any more keeps its entry, so that its name is not given to
another schema later; that it is gone is no breach: a journal that still needs it refuses the start (rule 27).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import attrs

from procession.errors import SchemaChanged, SchemaFileUnreadable
from procession.laws.finding import Finding
from procession.laws.schema_difference import changed_cure, differences, in_words
from procession.primitives.registry import Registry
from procession.primitives.schema import Schema, schema_fingerprint, schema_of
from procession.primitives.stored import stored_of

_OURS = __name__.partition(".")[0]
CODE = "LAW08"
FILE = "schemas.json"
_FORMAT = 1
_WRITE = "run `procession schemas --write` and commit the file"
_NOT_YET = "; where no journal holds it yet, delete its entry and run `procession schemas --write`"
Key = tuple[str, int, int]


@attrs.frozen
class Entry:
    """One type as a file has it."""

    name: str
    version: int
    kind: str
    """`event`, `failure` or `command`."""
    fingerprint: str
    schema: Schema
    line: int = 1

    @property
    def key(self) -> Key:
        """What makes it one: an event and a command may have one name."""
        return (self.name, self.version, _FAMILIES.get(self.kind, 0))


def messages_of(registry: Registry) -> tuple[type, ...]:
    """Every event, command and refusal of a registry but the runtime's own, in order of name and version."""
    found: list[type] = [*registry.events.values(), *registry.commands.values(), *registry.refusals.values()]
    theirs = [cls for cls in found if cls.__module__.partition(".")[0] != _OURS]
    return tuple(sorted(theirs, key=lambda cls: entry_of(cls).key))


def entry_of(cls: type) -> Entry:
    """The entry of a class."""
    stored, schema = stored_of(cls), schema_of(cls)
    return Entry(stored.name, stored.version, stored.kind, schema_fingerprint(schema), schema)


def check_schemas(messages: Iterable[type], path: str, text: str | None) -> list[Finding]:
    """Where classes and their file differ.

    Args:
        messages: the events, commands and refusals that belong into the file.
        path: of the file, for the findings.
        text: what it holds; None where it is not there, and nothing has been given out yet.
    """
    if text is None:
        return []
    try:
        known = {entry.key: entry for entry in parse(path, text)}
    except SchemaFileUnreadable as error:
        return [Finding(path, 1, CODE, FILE, f"can't be read: {error.found}", error.cure, allowable=False)]
    found = [
        Finding(
            path,
            entry.line,
            CODE,
            f"{entry.name} version {entry.version}",
            "has a fingerprint that is not that of its fields",
            "restore the file: only `procession schemas --write` writes it",
            allowable=False,
        )
        for entry in known.values()
        if entry.fingerprint != schema_fingerprint(entry.schema)
    ]
    for cls in messages:
        entry = entry_of(cls)
        old = known.get(entry.key)
        file, _, line = stored_of(cls).site.rpartition(":")
        if old is None:
            shown = f"is {entry.name!r} version {entry.version}, which is not in {path}"
            found.append(Finding(file, int(line), CODE, cls.__name__, shown, _WRITE, allowable=False))
        elif changes := _changes(old, entry):
            shown = f"is {entry.name!r} version {entry.version} with another schema than {path}:{old.line} has"
            cure = changed_cure(stored_of(cls), _newest(entry.name, known)) + _NOT_YET
            found.append(
                Finding(file, int(line), CODE, cls.__name__, f"{shown}: {in_words(changes)}", cure, allowable=False)
            )
    return found


def updated(messages: Iterable[type], path: str, text: str | None) -> tuple[str, tuple[Entry, ...]]:
    """The text of a file with what is new in it, and what that is. What it has stays as it is.

    Raises:
        SchemaChanged: a class has another schema than the file has under its name and version.
        SchemaFileUnreadable: the file is none.
    """
    known = {} if text is None else {entry.key: entry for entry in parse(path, text)}
    new: list[Entry] = []
    for cls in messages:
        entry = entry_of(cls)
        old = known.get(entry.key)
        if old is None:
            new.append(entry)
        elif changes := _changes(old, entry):
            raise SchemaChanged(
                f"{stored_of(cls).site}: {cls.__name__} is {entry.name!r} version {entry.version} with another schema"
                f" than {path}:{old.line} has: {in_words(changes)}",
                changed_cure(stored_of(cls), _newest(entry.name, known)) + _NOT_YET,
            )
    return text_of([*known.values(), *new]), tuple(new)


def text_of(entries: Iterable[Entry]) -> str:
    """A file: sorted, one field a line, so that a change of it reads well."""
    ordered = sorted(entries, key=lambda entry: entry.key)
    types = ",\n".join(map(_entry_text, ordered))
    listed = f"\n{types}\n  " if types else ""
    return f'{{\n  "format": {_FORMAT},\n  "types": [{listed}]\n}}\n'


def parse(path: str, text: str) -> tuple[Entry, ...]:
    """The entries of a file.

    Raises:
        SchemaFileUnreadable: it is no such file; says why.
    """
    try:
        found = json.loads(text)
        if found["format"] != _FORMAT:
            raise SchemaFileUnreadable(path, f"its format is {found['format']!r}, this version knows {_FORMAT}")
        lines = text.splitlines()
        return tuple(_entry(data, lines) for data in found["types"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SchemaFileUnreadable(path, f"{type(error).__name__}: {error}") from error


def _entry(data: dict[str, object], lines: Sequence[str]) -> Entry:
    schema: Schema = {key: data[key] for key in ("fields", "extra_fields") if key in data}
    name, version, kind, mark = data["name"], data["version"], data["kind"], data["fingerprint"]
    if not (isinstance(name, str) and isinstance(version, int) and isinstance(kind, str) and isinstance(mark, str)):
        raise TypeError(f"the entry of {name!r} has a value of a wrong type")
    if not isinstance(data["fields"], list):
        raise TypeError(f"the fields of {name!r} are no list")
    return Entry(name, version, kind, mark, schema, _line_of(name, version, kind, lines))


def _line_of(name: str, version: int, kind: str, lines: Sequence[str]) -> int:
    begins = _json({"name": name, "version": version, "kind": kind})[1:-1]
    return next((number for number, line in enumerate(lines, 1) if begins in line), 1)


def _entry_text(entry: Entry) -> str:
    head = {"name": entry.name, "version": entry.version, "kind": entry.kind, "fingerprint": entry.fingerprint}
    if "extra_fields" in entry.schema:
        head["extra_fields"] = entry.schema["extra_fields"]
    fields = ",\n".join(f"        {_json(field)}" for field in entry.schema["fields"])
    listed = f"\n{fields}\n      " if fields else ""
    return f'    {{\n      {_json(head)[1:-1]},\n      "fields": [{listed}]\n    }}'


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False)


def _changes(old: Entry, new: Entry) -> tuple[str, ...]:
    kinds = () if old.kind == new.kind else (f"it was a kind of {old.kind} and is a kind of {new.kind}",)
    return (*kinds, *differences(old.schema, new.schema))


def _newest(name: str, known: Iterable[Key]) -> int:
    return max((version for other, version, _ in known if other == name), default=1)


_FAMILIES = {"command": 1, "refusal": 2}
"""An event, a command and a refusal may have one name; a failure is an event."""
