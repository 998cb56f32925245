"""Lifts: how an event of an old type becomes one of a newer type. Pure, chained; handlers see the newest only."""

from __future__ import annotations

import inspect
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import attrs

from procession.errors import DefinitionError, InvalidPayload, LiftFailed
from procession.primitives.event import OWN_EVENTS, Event
from procession.primitives.site import defining_locals, function_site
from procession.primitives.stored import Stored, stored_of
from procession.primitives.telling import concealed, told

OldT = TypeVar("OldT", bound=Event)
NewT = TypeVar("NewT", bound=Event)


@attrs.frozen
class Lift(Generic[OldT, NewT]):
    """One step from an old type to a newer one. Calling it lifts an event, as calling the function would."""

    old: type[OldT]
    new: type[NewT]
    function: Callable[[OldT], NewT]
    site: str

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    def __call__(self, old: OldT) -> NewT:
        """The event as the newer type says it; raises what the function raises."""
        return self.function(old)

    def lifted(self, event: Event) -> Event:
        """The newer event, whatever the function does.

        Raises:
            LiftFailed: it raised, or returned something else than it is annotated with.
        """
        try:
            made: object = self.function(typing.cast("OldT", event))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised again, without secrets
            found = told(_described(error), event)
            raise LiftFailed(stored_of(self.old).name, found, self.name) from concealed(error, event)
        if type(made) is not self.new:
            raise LiftFailed(stored_of(self.old).name, f"it returned a {type(made).__name__}", self.name)
        return made


AnyLift = Lift[Any, Any]
_NO_PLAIN_DEFS = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def lifts(function: Callable[[OldT], NewT]) -> Lift[OldT, NewT]:
    """Mark `(old) -> new`, pure: what an event of the old type says, said by the newer type.

        @lifts
        def placed_in_euros(old: OrderPlacedV1) -> OrderPlaced:
            return OrderPlaced(old.order_id, old.amount_cents, "EUR")

    Give it to the runtime: `Wiring(lifts=(placed_in_euros,))` or `open_runtime(lifts=[placed_in_euros])`. The
    journal keeps the old event as it came; folds, reactions and keys see the newer one.

    Raises:
        DefinitionError: it can't lead from an old type to a newer one; says why.
    """
    site, name = function_site(function), function.__qualname__
    if any(kind(function) for kind in _NO_PLAIN_DEFS):
        raise DefinitionError(site, name, "is no plain def", "a lift is pure: it takes the old event, returns the new")
    parameters = [parameter.name for parameter in inspect.signature(function).parameters.values()]
    if len(parameters) != 1:
        raise DefinitionError(site, name, f"takes {len(parameters)} parameters", "a lift takes the old event alone")
    try:
        hints = typing.get_type_hints(function, localns=defining_locals())
    except NameError as error:
        raise DefinitionError(
            site, name, f"is annotated with {error.name!r}, which is not defined", "define both classes above it"
        ) from error
    old, new = (_event_class(hints.get(part), part, site, name) for part in (parameters[0], "return"))
    _check(stored_of(old), stored_of(new), site, name)
    return Lift(typing.cast("type[OldT]", old), typing.cast("type[NewT]", new), function, site)


class Chains:
    """All lifts of one runtime: from each old type, step by step, to the newest."""

    def __init__(self, given: Iterable[AnyLift] = ()) -> None:
        self._steps: dict[type[Event], AnyLift] = {}
        self.olds = self._steps.keys()
        """The types that are lifted."""
        for lift in given:
            other = self._steps.setdefault(lift.old, lift)
            if other is not lift:
                raise DefinitionError(
                    lift.site,
                    lift.name,
                    f"lifts {lift.old.__name__}, as {other.name} ({other.site}) does",
                    "one type has one lift: remove one of them",
                )
        for lift in self._steps.values():
            self._refuse_cycle(lift)

    def __iter__(self) -> Iterator[AnyLift]:
        return iter(self._steps.values())

    def __contains__(self, cls: type[Event]) -> bool:
        return cls in self._steps

    def step(self, cls: type[Event]) -> AnyLift | None:
        """The lift from a type; None where that is the newest."""
        return self._steps.get(cls)

    def lifted(self, event: Event, check: Callable[[Event], None]) -> Event:
        """An event as handlers see it: by the newest type that its own is lifted to.

        Args:
            event: of whatever type.
            check: raises InvalidPayload where the values of an event do not fit its type.

        Raises:
            LiftFailed: a lift raised, or made an event that does not fit its type.
        """
        while (lift := self._steps.get(type(event))) is not None:
            event = lift.lifted(event)
            try:
                check(event)
            except InvalidPayload as error:
                raise LiftFailed(stored_of(lift.old).name, f"in what it made, {error.found}", lift.name) from error
        return event

    def newest(self, cls: type[Event]) -> type[Event]:
        """The type that handlers see for a type."""
        while (lift := self._steps.get(cls)) is not None:
            cls = lift.new
        return cls

    def older(self, cls: type[Event]) -> tuple[type[Event], ...]:
        """Every type that is lifted to this one, in whatever number of steps, in order of name and version."""
        found = [lift.old for lift in self if lift.old is not cls and self._reaches(lift, cls)]
        return tuple(sorted(found, key=lambda old: (stored_of(old).name, stored_of(old).version)))

    def _reaches(self, lift: AnyLift, cls: type[Event]) -> bool:
        step: AnyLift | None = lift
        while step is not None:
            if step.new is cls:
                return True
            step = self._steps.get(step.new)
        return False

    def _refuse_cycle(self, first: AnyLift) -> None:
        names, lift = [first.old.__name__], first
        while (following := self._steps.get(lift.new)) is not None:
            names.append(lift.new.__name__)
            if following is first:
                raise DefinitionError(
                    first.site,
                    first.name,
                    f"leads back to where it begins: {' -> '.join([*names, first.old.__name__])}",
                    "lifts lead from old to new only: remove one of them",
                )
            if len(names) > len(self._steps):
                return  # it runs into a cycle of others, which is told of them
            lift = following


def _event_class(annotation: object, part: str, site: str, name: str) -> type[Event]:
    if isinstance(annotation, type) and issubclass(annotation, Event) and "__procession__" in vars(annotation):
        return annotation
    where = "returns" if part == "return" else "takes"
    shown = "nothing that is annotated" if annotation is None else getattr(annotation, "__name__", str(annotation))
    raise DefinitionError(
        site, name, f"{where} {shown}, which is no event type", "write def lift(old: OldEvent) -> NewEvent"
    )


def _check(old: Stored, new: Stored, site: str, name: str) -> None:
    own = {stored_of(cls).name for cls in OWN_EVENTS}
    if old.name in own or new.name in own:
        raise DefinitionError(site, name, "lifts an event of the runtime's own", "lift events of yours only")
    if old.kind != new.kind:
        failing = old if old.kind == "failure" else new
        raise DefinitionError(
            site,
            name,
            f"leads from {_shown(old)} to {_shown(new)}, and {failing.name!r} is a failure event",
            "a failure stays a failure, a fact a fact: folds would see what they never saw (law 2)",
        )
    if old.name == new.name and new.version <= old.version:
        raise DefinitionError(
            site, name, f"leads from {_shown(old)} to version {new.version}", "a lift leads to a newer version"
        )


def _shown(stored: Stored) -> str:
    return f"{stored.name!r} version {stored.version}"


def _described(error: BaseException) -> str:
    """An error of the author's code in one line, with its place; it may fail even at saying what it is."""
    text = " ".join("".join(traceback.format_exception_only(error)).split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rsplit('/', maxsplit=1)[-1]}:{frames[-1].lineno}" if frames else ""
    return f"it raised {text}{place}"
