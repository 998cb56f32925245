"""Which findings their author allowed, and which allowances allow nothing."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from procession.errors import DefinitionError
from procession.laws.finding import Finding
from procession.primitives.allowance import Allowance, allowances_of


@attrs.frozen
class Suspect:
    """A finding, with the classes and functions whose `@allows` may cover it."""

    finding: Finding
    holders: tuple[object, ...] = ()
    certain: bool = False
    """A runtime refuses to open with it."""

    @property
    def allowance(self) -> Allowance | None:
        """What covers it: the allowance nearest to the place."""
        if not self.finding.allowable:
            return None
        found = [each for holder in self.holders for each in allowances_of(holder) if each.code == self.finding.code]
        return found[0] if found else None


def settle(suspects: Iterable[Suspect], things: Iterable[object]) -> list[Finding]:
    """All findings in order, each place once, with the reason where it is allowed; and each allowance without effect.

    Args:
        suspects: what was found.
        things: every class and function that was looked at, for its allowances.
    """
    used: set[Allowance] = set()
    found: dict[tuple[str, int, str, str], Finding] = {}
    for suspect in suspects:
        finding, allowance = suspect.finding, suspect.allowance
        if allowance is not None:
            used.add(allowance)
            finding = attrs.evolve(finding, allowed=allowance.reason)
        place = (finding.path, finding.line, finding.code, finding.found)
        known = found.get(place)
        # One place may be reached from several handlers: it is well only where it is allowed for all of them.
        if known is None or (known.allowed and not finding.allowed):
            found[place] = finding
    useless = {allowance: thing for thing in things for allowance in allowances_of(thing) if allowance not in used}
    return sorted([*found.values(), *(_useless(allowance, thing) for allowance, thing in useless.items())])


def finding_of(error: DefinitionError) -> Finding:
    """A class that was refused, as a check reports it."""
    path, line = place_of(error.where)
    return Finding(path, line, error.code or "DEF01", error.subject, error.found, error.cure, allowable=False)


def place_of(site: str) -> tuple[str, int]:
    """File and line of `file.py:12`."""
    path, _, line = site.rpartition(":")
    return path, int(line)


def _useless(allowance: Allowance, thing: object) -> Finding:
    path, line = place_of(allowance.site)
    name = getattr(thing, "__qualname__", str(thing))
    found, cure = f"allows {allowance.code}, and breaks it nowhere", "remove the allowance"
    return Finding(path, line, "DEF07", name, found, cure, allowable=False)
