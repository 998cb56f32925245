"""What came of an exploration: findings, how much was seen, and what was not."""

from __future__ import annotations

import attrs

from procession.testing.exploring.faults import Fault


@attrs.frozen
class Exploration:
    """The report of `explore`. `print` it, or claim `assert_clean()` in a test."""

    process: str
    """The class's name."""
    key: str
    findings: tuple[Fault, ...]
    """Shortest way first."""
    turns: int
    """Turns of the flow that were run."""
    states: int
    """Different standings of the flow that were found."""
    states_waiting: int
    """Those of them that were not looked at any more; 0 where all were."""
    ends: int
    """Turns that ended the flow."""
    stopped_at: str
    """The bound at which the search stopped; empty where it saw everything."""
    unexplored: tuple[str, ...]
    """What was tried with some values only, a sentence each."""
    notes: tuple[str, ...]
    """What the class says on purpose, and a reader may want to know."""

    @property
    def complete(self) -> bool:
        """Whether every standing within the bounds was looked at."""
        return not self.stopped_at

    @property
    def clean(self) -> bool:
        """Whether all was seen, and nothing found."""
        return self.complete and not self.findings

    @property
    def line(self) -> str:
        """How much was explored, honestly, in one line."""
        turns, states = f"{self.turns:,} turns", f"{self.states:,} states"
        if self.complete:
            return f"{self.process}: explored all {states}, in {turns}"
        seen = f"{self.states - self.states_waiting:,} of at least {states}"
        return f"{self.process}: explored {seen}, in {turns}; stopped at {self.stopped_at}, so this is only a part"

    def assert_clean(self) -> None:
        """Claim that all was seen, and nothing found.

        Raises:
            AssertionError: with the whole report; also where a bound stopped the search.
        """
        if not self.clean:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        """The whole report."""
        lines = [self.line]
        lines += [f"{number}. {fault}" for number, fault in enumerate(self.findings, 1)]
        if not self.findings:
            lines.append("no findings" if self.complete else "no findings in that part")
        lines += [f"note: {note}" for note in self.notes]
        if self.unexplored:
            lines += ["not every value was tried:", *(f"  {said}" for said in self.unexplored)]
        return "\n".join(lines)

    def json(self) -> dict[str, object]:
        """For programs."""
        return {
            "process": self.process,
            "key": self.key,
            "clean": self.clean,
            "complete": self.complete,
            "stopped_at": self.stopped_at or None,
            "turns": self.turns,
            "states": self.states,
            "states_waiting": self.states_waiting,
            "ends": self.ends,
            "explored": self.line,
            "findings": [fault.json() for fault in self.findings],
            "notes": list(self.notes),
            "unexplored": list(self.unexplored),
        }
