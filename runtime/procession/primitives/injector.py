"""Injectors: they bring outside facts in as events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol, TypeVar, dataclass_transform, overload

import attrs

from procession.errors import DefinitionError, WiringError
from procession.primitives.envelope import Recorded
from procession.primitives.event import Event
from procession.primitives.outside import CloudEvent, Outside, Position
from procession.primitives.site import class_site

EventT = TypeVar("EventT", bound=Event)


class Intake(Protocol):
    """What an injector publishes through. It waits where the runtime can't accept, and never loses count.

    While the engine is held (its journal can't be written) a call waits until it is well again. A call whose outcome
    is not known is made again, where all its events have ids. Give every event an id: then a crash, a restart, and a
    second look at the same fact count it once.
    """

    journal_id: str
    """In hex: two journals are two, also where they are fed from one source."""
    events_max: int
    """At most so many events in one call."""
    payload_bytes_max: int
    """The data of one event may have so many bytes as JSON."""

    @overload
    async def __call__(self, events: Event, *, id: str | None = None, source: str | None = None) -> Position: ...
    @overload
    async def __call__(self, events: Sequence[Event | Outside]) -> list[Position]: ...
    async def __call__(
        self, events: Event | Sequence[Event | Outside], *, id: str | None = None, source: str | None = None
    ) -> Position | list[Position]:
        """Accept one event, or several together or not at all; returns their positions once they are durable.

        Raises:
            PublishRefused: nothing was written; the error says why.
            OutcomeUnknown: the commit failed, and an event without an id can't be looked up.
            RuntimeClosed: the runtime is closing.
        """
        ...

    def decoded(self, found: CloudEvent) -> Outside:
        """The event of a CloudEvent, by its type, with its id and source.

        Raises:
            PublishRefused: no class has this type, or the data does not fit it.
        """
        ...

    def made(self, event: type[EventT], data: object) -> EventT:
        """An event of a class from plain data, checked as what comes from outside.

        Raises:
            PublishRefused: the data does not fit.
        """
        ...

    async def knows(self, source: str, id: str) -> bool:
        """Whether an event of this source and id was accepted, ever."""
        ...

    async def recorded(self, position: int) -> Recorded:
        """The event that stands at a position, with the time of its admission."""
        ...

    def refused(self, what: str, error: object) -> None:
        """Say that something from outside was not accepted: a warning in the log, a counter, a note in the tree."""
        ...

    def now_us(self) -> int:
        """The runtime's wall clock: microseconds since 1970 in UTC."""
        ...


@attrs.frozen
class InjectorOptions:
    """What the class statement of an injector says."""

    name: str
    events: tuple[type[Event], ...]
    site: str


@dataclass_transform(field_specifiers=(attrs.field,))
class Injector:
    """An actor that brings outside facts in as events, for as long as the runtime runs.

        class Doors(Injector, name="doors", events=(DoorOpened,)):
            port: DoorPort

            async def run(self, publish: Intake) -> None:
                async for opening in self.port.openings():
                    await publish(DoorOpened(opening.door), id=opening.id, source="doors")

    It is started when the runtime is ready, started again with back-off when it raises, and closed before anything
    else when the runtime closes. Its fields come from the resources where the wiring names the class.

    Args:
        name: in the tree and in logs.
        events: types that it publishes, where no process and no gateway names them.

    Raises:
        DefinitionError: it has no name, or no `run`.
    """

    __injector__: ClassVar[InjectorOptions]

    def __init_subclass__(cls, *, name: str = "", events: Iterable[type[Event]] = ()) -> None:
        super().__init_subclass__()
        site = class_site()
        if not name or not name.isprintable():
            raise DefinitionError(site, cls.__name__, f"has the name {name!r}", 'give it name="doors"')
        if cls.run is Injector.run:
            raise DefinitionError(site, cls.__name__, "has no run", "write `async def run(self, publish: Intake)`")
        attrs.define(cls, slots=False, eq=False)
        cls.__injector__ = InjectorOptions(name, tuple(events), site)

    @property
    def actor(self) -> str:
        """Its name in the tree; a class of which a runtime may have several tells them apart here."""
        return type(self).__injector__.name

    @property
    def brings(self) -> tuple[type[Event], ...]:
        """The event types that it publishes, where no process and no gateway names them."""
        return type(self).__injector__.events

    async def run(self, publish: Intake) -> None:
        """Bring in facts until there are no more; what it raises has it started again.

        Cancellation: the runtime closes. Let it pass; what was published and not yet answered is found again by its id.
        """
        raise NotImplementedError


AnyInjector = Injector | type[Injector]


def injector_class(injector: AnyInjector) -> type[Injector]:
    """The class of what a wiring names."""
    return injector if isinstance(injector, type) else type(injector)


def events_brought(injectors: Iterable[AnyInjector]) -> tuple[type[Event], ...]:
    """The event types that injectors declare."""
    return tuple(
        event
        for injector in injectors
        for event in (injector.__injector__.events if isinstance(injector, type) else injector.brings)
    )


def refuse_namesakes(injectors: Iterable[AnyInjector]) -> None:
    """Each injector of a runtime has a name of its own: it is known by it in the tree.

    Raises:
        WiringError: two have the same.
    """
    known: dict[str, AnyInjector] = {}
    for injector in injectors:
        name = injector.__injector__.name if isinstance(injector, type) else injector.actor
        if known.setdefault(name, injector) is not injector:
            first, second = injector_class(known[name]), injector_class(injector)
            raise WiringError(
                f"two injectors are called {name!r}: a {first.__name__} and a {second.__name__}",
                "give one of them a name of its own",
            )
