"""What a reading of code found, as suspects; and the refusal of what breaks a law for certain, when a runtime opens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from weakref import WeakKeyDictionary

from procession.errors import DefinitionError
from procession.laws.finding import Finding
from procession.laws.purity_scan import Scan, scan_aggregate, scan_function, scan_process
from procession.laws.suppression import Suspect
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.definition import Definition
from procession.primitives.lifts import AnyLift


def suspects_of(scan: Scan, *owners: object) -> Iterator[Suspect]:
    """What a scan found, with all that may allow it: the functions on the way, and the class."""
    for impurity in scan.found:
        holders = (*impurity.through, *owners, *((impurity.owner,) if impurity.owner is not None else ()))
        yield Suspect(impurity.finding(), holders, impurity.forbidden.certain)


def check_purity(scans: Iterable[Scan]) -> Iterator[Suspect]:
    """Laws 3, 4 and 7, and changes in place (laws 1, 2 and 6)."""
    for scan in scans:
        yield from suspects_of(scan)


def check_lift(lift: AnyLift) -> Iterator[Suspect]:
    """A lift is as pure as a fold: what it makes of a recorded event must be the same at each replay."""
    yield from suspects_of(scan_function(lift.function, lift.name, lift.old), lift.function)


def refuse_impure(definition: Definition) -> None:
    """Refuse a process of which it is certain, and not allowed, that it breaks a law while it runs.

    Raises:
        DefinitionError: with the code of the law, the place, and the cure.
    """
    refuse_certain(definition.cls, lambda: check_purity(scan_process(definition)))


def refuse_impure_aggregate(definition: AggregateDefinition) -> None:
    """The same for an aggregate.

    Raises:
        DefinitionError: with the code of the law, the place, and the cure.
    """
    refuse_certain(definition.cls, lambda: check_purity(scan_aggregate(definition)))


def refuse_impure_lift(lift: AnyLift) -> None:
    """The same for a lift.

    Raises:
        DefinitionError: with the code of the law, the place, and the cure.
    """
    refuse_certain(lift.function, lambda: check_lift(lift))


def refuse_certain(thing: object, suspects: Callable[[], Iterator[Suspect]]) -> None:
    """Refuse a class or function of which something is certain, and not allowed; it is read once.

    Raises:
        DefinitionError: with the code of the law, the place, and the cure.
    """
    finding = _certain_breach(thing, suspects)
    if finding is not None:
        cure = f'{finding.cure}; or allow it: @allows("{finding.code}", reason="...")'
        raise DefinitionError(f"{finding.path}:{finding.line}", finding.subject, finding.found, cure, finding.code)


def _certain_breach(thing: object, suspects: Callable[[], Iterator[Suspect]]) -> Finding | None:
    """The first one; a thing is read once, since tests open a runtime for each of a thousand scenarios."""
    if thing not in _READ:
        certain = (suspect for suspect in suspects() if suspect.certain and suspect.allowance is None)
        first = next(certain, None)
        _READ[thing] = None if first is None else first.finding
    return _READ[thing]


_READ: WeakKeyDictionary[object, Finding | None] = WeakKeyDictionary()
