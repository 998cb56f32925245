"""What is known of the laws, for those who look: found once, when somebody asks first."""

from __future__ import annotations

from pathlib import PurePath

import attrs
import trio

from procession.laws.finding import Finding
from procession.primitives.registry import Registry
from procession.primitives.wiring import Wiring


@attrs.frozen
class FindingShown:
    """A breach of a law, or a fault of a definition."""

    code: str
    file: str
    """Without its folder."""
    line: int
    subject: str
    found: str
    cure: str
    allowed: str
    """The reason with which its author allowed it; empty where nobody did."""


@attrs.frozen
class InvariantShown:
    """What must hold of every flow of a process."""

    process: str
    name: str
    says: str


@attrs.frozen
class Laws:
    """What is known of the laws."""

    unchecked: str
    """Why nothing was checked; empty where it was."""
    processes: int
    findings: tuple[FindingShown, ...]
    invariants: tuple[InvariantShown, ...]


@attrs.define(eq=False)
class LawBook:
    """Of one registry."""

    registry: Registry
    _found: Laws | None = None
    _looking: trio.Lock = attrs.field(factory=trio.Lock)

    async def read(self) -> Laws:
        """What the check finds; the code is scanned once, in a thread: it takes as long as there is code."""
        async with self._looking:
            if self._found is None:
                self._found = await self._look()
            return self._found

    async def _look(self) -> Laws:
        if not self.registry.processes:
            return Laws("the classes of the flows are not at hand", 0, (), ())
        found = await trio.to_thread.run_sync(_checked, self.registry)
        return Laws("", len(self.registry.processes), tuple(map(_shown, found)), _invariants(self.registry))


def _checked(registry: Registry) -> list[Finding]:
    from procession.laws.wiring_check import check_wiring  # noqa: PLC0415 - only where somebody asks

    wiring = Wiring(
        processes=tuple(definition.cls for definition in registry.processes.values()),
        gateways=tuple(registry.gateways.values()),
        events=tuple(registry.events.values()),
        invariants=tuple(rule for rules in registry.invariants.values() for rule in rules),
        aggregates=tuple(definition.cls for definition in registry.aggregates.values()),
        projectors=tuple(projection.cls for projection in registry.projections.values()),
    )
    return check_wiring(wiring)


def _shown(finding: Finding) -> FindingShown:
    return FindingShown(
        finding.code,
        PurePath(finding.path).name,
        finding.line,
        finding.subject,
        finding.found,
        finding.cure,
        finding.allowed,
    )


def _invariants(registry: Registry) -> tuple[InvariantShown, ...]:
    return tuple(
        InvariantShown(process, rule.name, rule.says)
        for process, rules in sorted(registry.invariants.items())
        for rule in rules
    )
