"""What happened in a run, entry by entry: the same for the same seed, readable, and cheap while nobody reads it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import attrs

from procession.journal.rows import Commit


@attrs.define(eq=False)
class Trace:
    """Entries of (time, what, detail); a commit's detail is put into words when it is read."""

    now_us: Callable[[], int]
    entries: list[tuple[int, str, str | tuple[int, Commit]]] = attrs.field(factory=list)

    def add(self, what: str, detail: str) -> None:
        """Something happened."""
        self.entries.append((self.now_us(), what, detail))

    def commit(self, number: int, commit: Commit) -> None:
        """A commit became durable."""
        self.entries.append((self.now_us(), "commit", (number, commit)))

    def lines(self) -> list[str]:
        """One a line, with the seconds since the first."""
        start_us = self.entries[0][0] if self.entries else 0
        return [
            f"{(at_us - start_us) / 1_000_000:+12.6f}  {what:<9} {_shown(detail)}"
            for at_us, what, detail in self.entries
        ]

    def digest(self) -> str:
        """A short text that differs where anything in it differs."""
        return blake2b("\n".join(self.lines()).encode(), digest_size=16).hexdigest()


def _shown(detail: str | tuple[int, Commit]) -> str:
    if isinstance(detail, str):
        return detail
    number, commit = detail
    parts = [f"event {row.position} {row.type} for {row.keys}" for row in commit.events]
    parts += [f"step {row.version} of flow {row.flow}: {row.name} at {row.position}" for row in commit.steps]
    parts += [f"command {row.seq} {row.type} of flow {row.flow}" for row in commit.commands]
    parts += [
        f"command {change.row.seq} {change.row.state} → {change.state}, {change.attempts} attempts"
        for change in commit.command_changes
    ]
    parts += [
        f"timer {name} of flow {flow} {'unarmed' if timer is None else 'armed'}"
        for (flow, name), timer in commit.timers.items()
    ]
    parts += [f"timers of flow {flow} unarmed" for flow in sorted(commit.timers_ended)]
    parts += [
        f"delivery of {position} to flow {flow} {'done' if delivery is None else delivery.state}"
        for (flow, position), delivery in commit.deliveries.items()
    ]
    parts += [f"{row.position} unhandled by {row.process}/{row.key}: {row.reason}" for row in commit.unhandled]
    parts += [f"{row.process}/{row.key} is {row.status} {row.outcome or ''}".rstrip() for row in commit.flows.values()]
    return f"{number}: {'; '.join(parts) or 'nothing but types, concerns or snapshots'}"
