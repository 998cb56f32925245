"""What an exploration finds wrong, each with the shortest way that leads there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs

from procession.testing.exploring.steps import Step, numbered, short

FaultKind: TypeAlias = Literal["invariant", "stuck", "after the end", "not handled", "fails", "unreachable"]
Way: TypeAlias = Callable[[], tuple[Step, ...]]


@attrs.frozen
class Fault:
    """One finding."""

    kind: FaultKind
    subject: str
    """What it is about: an invariant, a handler, a command, an event."""
    found: str
    cure: str
    place: str
    """File and line of the user's code."""
    way: tuple[Step, ...] = ()
    """What happened, from the start; empty for what never happens."""

    def __str__(self) -> str:
        """The finding, its way in one line, and step by step."""
        lines = [f"{self.kind}: {self.found}"]
        if self.way:
            lines += [f"     {short(self.way)}", *(f"    {line}" for line in numbered(self.way))]
        return "\n".join([*lines, f"     {self.place}: {self.cure}"])

    def json(self) -> dict[str, object]:
        """For programs."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "found": self.found,
            "cure": self.cure,
            "place": self.place,
            "trace": short(self.way) if self.way else None,
            "steps": [step.json() for step in self.way],
        }


@attrs.define(eq=False)
class Faults:
    """Collects findings: of each kind and subject the first, which has the shortest way."""

    found: dict[tuple[FaultKind, str], Fault] = attrs.field(factory=dict)

    def add(self, kind: FaultKind, subject: str, found: str, cure: str, place: str, way: Way = tuple) -> None:
        """Note a finding, unless one like it was noted before."""
        if (kind, subject) not in self.found:
            self.found[kind, subject] = Fault(kind, subject, found, cure, place, way())

    def in_order(self) -> tuple[Fault, ...]:
        """The shortest way first; what never happens comes last."""
        return tuple(sorted(self.found.values(), key=lambda fault: (not fault.way, len(fault.way))))
