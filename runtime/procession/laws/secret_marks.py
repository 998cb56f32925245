"""Which fields of which stored types are secret, as a journal knows it: who reads it may not have the classes.

Each field that is marked has a row of its own beside the schema of its type, written when a runtime opens the journal.
So a mark that comes later changes no schema; one that is taken away stays in the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from procession.journal.rows import EventRow, OpenCommand, StepRow, TimerRow, TypeRow
from procession.primitives.codec import from_json, to_json
from procession.primitives.event import GENERIC
from procession.primitives.secrecy import Plan, joined, masked_data, plan_of
from procession.primitives.stored import stored_of

MARK = "secret"
"""Kind of the rows of marks."""
_Type = tuple[str, str, int]
"""`event`, `command` or `refusal`; the stored name; the version."""


@attrs.frozen
class Marks:
    """The secret fields of stored types. False where there are none."""

    _plans: Mapping[_Type, Plan]

    @classmethod
    def of(cls, rows: Iterable[TypeRow]) -> Marks:
        """Those that a journal knows."""
        plans: dict[_Type, Plan] = {}
        for row in rows:
            if row.kind == MARK:
                said = from_json(row.shape)
                key = (said["of"], said["type"], row.version)
                plans[key] = _joined(plans.get(key, {}), _nested(said["path"]))
        return cls(plans)

    @classmethod
    def of_classes(cls, classes: Iterable[type]) -> Marks:
        """Those of classes at hand."""
        return cls({_type_of(one): plan_of(one) for one in classes if one not in GENERIC and plan_of(one)})

    def __bool__(self) -> bool:
        return bool(self._plans)

    def event(self, row: EventRow) -> EventRow:
        """An event with its secrets masked."""
        return row._replace(payload=self._text(row.type, row.version, row.payload)) if self._plans else row

    def timer(self, row: TimerRow) -> TimerRow:
        """A deadline with the secrets of its event masked."""
        return row._replace(payload=self._text(row.type, row.version, row.payload)) if self._plans else row

    def step(self, row: StepRow) -> StepRow:
        """A step with the secrets of what it asked for masked."""
        return row._replace(effects=self._effects(row.effects)) if self._plans and row.effects is not None else row

    def command(self, command: OpenCommand) -> OpenCommand:
        """A command with its secrets masked, and those of what the same turn asked for."""
        return command._replace(effects=self._effects(command.effects)) if self._plans else command

    def event_data(self, name: str, version: int, data: Any) -> Any:  # noqa: ANN401 - JSON
        """The data of an event; of the runtime's own that hold a command of yours, what that marks."""
        if name in _HOLDS_A_COMMAND and isinstance(data, dict):
            data = {**data, "command": self.command_data(data.get("command_type", ""), data.get("command"))}
            if "refusal" in data:
                data["refusal"] = masked_data(data["refusal"], self._plan("refusal", data["refusal_type"]))
            return data
        return masked_data(data, self._plans.get(("event", name, version), {}))

    def command_data(self, name: str, data: Any) -> Any:  # noqa: ANN401 - JSON
        """The data of a command."""
        return masked_data(data, self._plan("command", name))

    def effect(self, effect: dict[str, Any]) -> dict[str, Any]:
        """One effect of a step."""
        if "command" in effect:
            return {**effect, "data": self.command_data(effect["command"], effect.get("data"))}
        if "timer" in effect:
            return {**effect, "data": self.event_data(effect["event"], effect["version"], effect.get("data"))}
        return effect

    def _effects(self, text: str) -> str:
        return to_json([self.effect(effect) for effect in from_json(text)]).decode()

    def _text(self, name: str, version: int, payload: str) -> str:
        if name not in _HOLDS_A_COMMAND and ("event", name, version) not in self._plans:
            return payload
        return to_json(self.event_data(name, version, from_json(payload))).decode()

    def _plan(self, family: str, name: str) -> Plan:
        """What any version of a type marks: what holds a command does not always say which one it is of."""
        found: Plan = {}
        for (kind, known, _), plan in self._plans.items():
            if (kind, known) == (family, name):
                found = _joined(found, plan)
        return found


def missing_marks(classes: Iterable[type], known: Iterable[TypeRow]) -> list[TypeRow]:
    """A row for each secret field of these classes that a journal does not know yet."""
    written = {(row.name, row.version) for row in known if row.kind == MARK}
    rows = [row for cls in classes if cls not in GENERIC for row in _rows(cls)]
    return [row for row in rows if (row.name, row.version) not in written]


def _rows(cls: type) -> Iterator[TypeRow]:
    plan = plan_of(cls)
    if not plan:
        return
    family, name, version = _type_of(cls)
    for path in _paths(plan):
        shape = to_json({"of": family, "type": name, "path": path}).decode()
        yield TypeRow(f"{family} {name} {'.'.join(path)}", version, MARK, shape)


def _paths(plan: Plan) -> Iterator[list[str]]:
    for name, inner in plan.items():
        if inner is True:
            yield [name]
        else:
            yield from ([name, *path] for path in _paths(inner))


def _nested(path: list[str]) -> Plan:
    return {path[0]: _nested(path[1:]) if len(path) > 1 else True}


def _joined(one: Plan, other: Plan) -> Plan:
    both = joined(one, other)
    assert not isinstance(both, bool), "two plans of a class are a plan of it"
    return both


def _type_of(cls: type) -> _Type:
    stored = stored_of(cls)
    return (stored.kind if stored.kind in ("command", "refusal") else "event", stored.name, stored.version)


_HOLDS_A_COMMAND = frozenset(stored_of(cls).name for cls in GENERIC)
