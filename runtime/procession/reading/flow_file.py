"""One flow as JSON lines: exported from a journal, imported into a new one, where it can be read, rehearsed and run.

The first line says what it is; each other line is one row: `{"event": {…}}`. Ids and digests are in hex.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import attrs

from procession.journal.journal import Journal
from procession.journal.rows import (
    CommandRow,
    Commit,
    ConcernRow,
    Contents,
    DeliveryRow,
    EventRow,
    FlowRow,
    StepRow,
    TimerRow,
    TypeRow,
    UnhandledRow,
)
from procession.primitives.codec import from_json, to_json
from procession.search_errors import ImportRefused

FORMAT = 1
_ROWS_AT_ONCE = 5_000
_CURE = "export the flow again, by this version of procession"
_KINDS: Mapping[str, tuple[str, type]] = {
    "type": ("types", TypeRow),
    "concern": ("concerns", ConcernRow),
    "flow": ("flows", FlowRow),
    "event": ("events", EventRow),
    "step": ("steps", StepRow),
    "unhandled": ("unhandled", UnhandledRow),
    "delivery": ("deliveries", DeliveryRow),
    "command": ("commands", CommandRow),
    "timer": ("timers", TimerRow),
}
"""By the name in a line: the part of `Contents`, and the row."""


@attrs.frozen
class FlowFile:
    """What a file of a flow holds."""

    journal_id: bytes
    """Of the journal that it was exported from: ids of its commands derive from it."""
    contents: Contents

    @property
    def flow(self) -> FlowRow:
        """The one flow."""
        return self.contents.flows[0]


def flow_lines(file: FlowFile) -> Iterator[bytes]:
    """The lines, each with its end."""
    flow = file.flow
    head = {"procession_flow": FORMAT, "process": flow.process, "key": flow.key, "journal": file.journal_id.hex()}
    yield to_json(head) + b"\n"
    for name, (part, _) in _KINDS.items():
        for row in getattr(file.contents, part):
            yield to_json({name: _written(row)}) + b"\n"


def read_flow_file(lines: Iterable[bytes]) -> FlowFile:
    """The flow that lines hold.

    Raises:
        ImportRefused: they hold none; says which line.
    """
    journal_id = b""
    rows: dict[str, list[Any]] = {part: [] for part, _ in _KINDS.values()}
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            data = from_json(line)
        except ValueError as error:
            raise ImportRefused(number, f"it is no JSON ({error})", _CURE) from None
        if number == 1:
            journal_id = _head(data)
            continue
        name, fields = next(iter(data.items())) if isinstance(data, dict) and len(data) == 1 else ("", None)
        if name not in _KINDS:
            raise ImportRefused(number, "it is no row of a flow", _CURE)
        part, cls = _KINDS[name]
        rows[part].append(_read(number, cls, fields))
    contents = Contents(**{part: tuple(found) for part, found in rows.items()})
    _check(number, contents)
    return FlowFile(journal_id, contents)


async def import_flow(journal: Journal, file: FlowFile) -> None:
    """Write a flow into a journal that holds nothing yet.

    Other flows that its events name are not there: for them the events are recorded as lost.

    Raises:
        CommitRejected: rows do not fit each other; some may have been written.
    """
    contents, flow = file.contents, file.flow
    await journal.commit(Commit(types=list(contents.types), concerns=list(contents.concerns)))
    for first in range(0, len(contents.events), _ROWS_AT_ONCE):
        await journal.commit(Commit(events=list(contents.events[first : first + _ROWS_AT_ONCE])))
    for first in range(0, len(contents.steps), _ROWS_AT_ONCE):
        steps = list(contents.steps[first : first + _ROWS_AT_ONCE])
        await journal.commit(Commit(steps=steps, flows={flow.id: flow._replace(version=steps[-1].version)}))
    await journal.commit(
        Commit(
            flows={} if contents.steps else {flow.id: flow},
            unhandled=[*contents.unhandled, *_lost(contents, flow)],
            deliveries={(row.flow, row.position): row for row in contents.deliveries},
            commands=list(contents.commands),
            timers={(row.flow, row.name): row for row in contents.timers},
        )
    )


def _lost(contents: Contents, flow: FlowRow) -> Iterator[UnhandledRow]:
    for event in contents.events:
        named: dict[str, list[str]] = from_json(event.keys)
        for process, keys in named.items():
            for key in keys:
                if (process, key) != (flow.process, flow.key):
                    yield UnhandledRow(event.position, process, key, "lost")


def _head(data: object) -> bytes:
    if not isinstance(data, dict) or data.get("procession_flow") != FORMAT:
        raise ImportRefused(1, f"it does not begin with a head of format {FORMAT}", _CURE)
    try:
        found = bytes.fromhex(data["journal"])
    except (KeyError, TypeError, ValueError):
        found = b""
    if len(found) != len(bytes(16)):
        raise ImportRefused(1, "it does not tell the id of its journal", _CURE)
    return found


def _written(row: NamedTuple) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row._asdict().items()}


def _read(number: int, cls: type, fields: object) -> NamedTuple:
    kinds = _kinds_of(cls)
    if not isinstance(fields, dict) or fields.keys() != kinds.keys():
        raise ImportRefused(number, f"its row has not the fields {', '.join(kinds)}", _CURE)
    values = []
    for name, kind in kinds.items():
        found, fits = _value(kind, fields[name])
        if not fits or (name in _HELD_JSON and not _holds_json(name, found)):
            raise ImportRefused(number, f"its {name} is {fields[name]!r:.60}", _CURE)
        values.append(found)
    row: NamedTuple = cls(*values)
    return row


@functools.cache
def _kinds_of(cls: type) -> Mapping[str, object]:
    return typing.get_type_hints(cls)


def _value(kind: object, value: object) -> tuple[object, bool]:
    """The value of a field, and whether it is one."""
    if typing.get_origin(kind) is typing.Literal:
        return value, value in typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        inner = next(member for member in typing.get_args(kind) if member is not types.NoneType)
        return (None, True) if value is None else _value(inner, value)
    if kind is bytes:
        try:
            return bytes.fromhex(value) if isinstance(value, str) else b"", isinstance(value, str)
        except ValueError:
            return b"", False
    return value, type(value) is kind and (kind is not int or abs(typing.cast("int", value)) <= _INT_MAX)


def _holds_json(name: str, text: object) -> bool:
    """Whether a text of JSON holds what is read from it later."""
    if text is None:
        return True
    assert isinstance(text, str), "its kind was checked"
    try:
        found = from_json(text)
    except ValueError:
        return False
    if name == "keys":
        return isinstance(found, dict) and all(
            isinstance(keys, list) and all(isinstance(key, str) for key in keys) for keys in found.values()
        )
    if name in ("effects", "log"):
        return isinstance(found, list) and all(isinstance(item, dict) for item in found)
    return True


def _check(number: int, contents: Contents) -> None:
    """That the rows are those of one flow, whole."""
    if len(contents.flows) != 1:
        raise ImportRefused(number, f"there are rows of {len(contents.flows)} flows", _CURE)
    (flow,) = contents.flows
    versions = [step.version for step in contents.steps]
    if versions != list(range(1, flow.version + 1)):
        raise ImportRefused(number, f"its steps are not those up to version {flow.version}, in order", _CURE)
    there = {event.position for event in contents.events}
    named: list[StepRow | DeliveryRow | UnhandledRow] = [*contents.steps, *contents.deliveries, *contents.unhandled]
    missing = [row.position for row in named if row.position not in there]
    if missing:
        raise ImportRefused(number, f"event {missing[0]} is not there", _CURE)
    handled = {step.position for step in contents.steps}
    asked = [row.position for row in contents.commands if row.position not in handled]
    if asked:
        raise ImportRefused(number, f"a command is of event {asked[0]}, and no step handles that", _CURE)
    of_flow: list[StepRow | DeliveryRow | CommandRow | TimerRow] = [
        *contents.steps,
        *contents.deliveries,
        *contents.commands,
        *contents.timers,
    ]
    if any(row.flow != flow.id for row in of_flow):
        raise ImportRefused(number, "some rows are of another flow", _CURE)


_HELD_JSON = frozenset({"payload", "keys", "effects", "log"})
_INT_MAX = 2**63 - 1
