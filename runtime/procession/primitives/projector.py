"""Projectors: fold events into a projection of their own, in a store that nobody else writes."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import attrs

from procession.errors import DefinitionError
from procession.primitives.envelope import Envelope
from procession.primitives.event import Event
from procession.primitives.fields import field_names
from procession.primitives.site import class_site, defining_locals, function_site

MethodT = TypeVar("MethodT", bound=Callable[..., Any])
Row = tuple[Any, ...]
Rows = Sequence[Row]
Parameters = Sequence[object] | Mapping[str, object]
Wish = Literal["event", "envelope", "store", "rows"]

COLUMNS = frozenset(
    {"position", "type", "version", "source", "source_id", "keys", "recorded_us", "correlation", "payload"}
)
"""What a handler may ask of an event without decoding it, beside `data.FIELD`."""
_MARK = "__procession_projects__"
_STORE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_MUTABLE = (list, dict, set, bytearray)


class Store(Protocol):
    """A projection's own store, while events are folded into it. It opens nothing else.

    Whatever a handler writes is committed together with the position of its event, or not at all.
    """

    def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run one statement; the rows that it returns.

        Raises:
            StoreRefused: the statement reaches for something else than the rows of this store.
            sqlite3.Error: SQLite refuses it.
        """
        ...

    def executemany(self, sql: str, parameters: Iterable[Parameters]) -> None:
        """Run one statement for each of these; raises as `execute`."""
        ...


@attrs.frozen
class Projecting:
    """What a decorator said of a method."""

    events: tuple[type[Event], ...] = ()
    """Empty: the annotation says them."""
    columns: tuple[str, ...] | None = None
    """None: it takes events."""


@attrs.frozen
class ProjectorHandler:
    """A marked method with its annotations resolved. `events` is empty until they can be."""

    method: Callable[..., Any]
    name: str
    site: str
    mark: Projecting
    events: tuple[type[Event], ...]
    takes: tuple[Wish, ...]
    """Its parameters, in order."""
    local_names: Mapping[str, object]

    def resolve(self, cls: type) -> ProjectorHandler:
        """This handler with its annotations resolved now, when every class is defined.

        Raises:
            DefinitionError: an annotation names nothing, or something that is no event.
        """
        if self.events:
            return self
        try:
            return _read(cls, self.method, self.mark, self.local_names)
        except NameError as error:
            raise DefinitionError(
                self.site,
                f"{cls.__name__}.{self.name}",
                f"is annotated with {error.name!r}, which is not defined",
                "define the event class at the top of a module, or mend the annotation",
            ) from error


@attrs.frozen
class ProjectorOptions:
    """What the class statement of a projector says."""

    name: str
    version: int
    store: str
    site: str


class Projector:
    """One class per projection: `tables` of its own, and methods that fold events into them.

        class OrderOverview(Projector, name="order_overview", version=1):
            tables = ("create table orders (order_id text primary key, status text not null) strict",)

            @projects
            def placed(self, placed: OrderPlaced, store: Store) -> None:
                store.execute("insert into orders values (?, 'placed')", (placed.order_id,))

    Handlers are plain and pure: what they write depends on the event and on their own store. So the projection can
    be rebuilt from the journal at any time, and gives the same.

    Args:
        name: the stored name, for ever.
        version: raise it with each change of tables or handlers: the projection is then rebuilt beside the old one.
        store: name of its store, its own; default: `name`.

    Raises:
        DefinitionError: the class can't work; says file, line, class, method and cure.
    """

    tables: ClassVar[tuple[str, ...]] = ()
    """The statements that make its tables and indexes; run once, in a new store."""
    __projector__: ClassVar[ProjectorOptions]
    __handlers__: ClassVar[tuple[ProjectorHandler, ...]] = ()

    def __setattr__(self, name: str, value: object) -> None:
        """A projector keeps nothing beside its store."""
        found = f"{type(self).__name__} keeps {name!r} beside its store"
        raise AttributeError(f"{found}; write it into a table: a rebuild starts with an empty store")

    def __init_subclass__(cls, *, name: str = "", version: int = 1, store: str = "") -> None:
        super().__init_subclass__()
        site = class_site()
        for what, given in (("name", name), ("store", store or name)):
            if not _STORE_NAME.fullmatch(given):
                raise DefinitionError(
                    site,
                    cls.__name__,
                    f"has the {what} {given[:40]!r}",
                    'give it name="order_overview": letters, digits, "_" and "-", its store file is called so',
                )
        if version < 1:
            raise DefinitionError(site, cls.__name__, f"has version {version}", "versions start at 1")
        _check_tables(cls, site)
        _refuse_state(cls, site)
        cls.__projector__ = ProjectorOptions(name, version, store or name, site)
        cls.__handlers__ = _collect(cls, defining_locals())


def projects(method: MethodT) -> MethodT:
    """Mark `(self, event, store) -> None`: what an event changes in the projection.

    The event's annotation may be a union; an `Envelope` comes on request. Failure events can be projected too.
    """
    return _mark(method, Projecting())


def projects_columns(*events: type[Event], columns: Sequence[str]) -> Callable[[MethodT], MethodT]:
    """Mark `(self, rows, store) -> None`: takes columns of many events at once, undecoded, in the order of the journal.

        @projects_columns(ASubmitted, ADeclined, columns=("type", "recorded_us", "data.case_id"))
        def counted(self, rows: Rows, store: Store) -> None:
            store.executemany("…", rows)

    Several times quicker than events one by one. How many rows come at once is chance: what is written must not
    depend on it.

    Args:
        events: their types; none that another type is lifted to, since data comes as it was stored.
        columns: of each row: `position`, `type`, `version`, `source`, `source_id`, `keys`, `recorded_us`,
            `correlation`, `payload`, or `data.FIELD` for a field of the payload (None where it has none).
    """
    return lambda method: _mark(method, Projecting(events, tuple(columns)))


def handlers_of(cls: type[Projector]) -> tuple[ProjectorHandler, ...]:
    """The handlers of a projector with annotations resolved.

    Raises:
        DefinitionError: a handler can't work.
    """
    return tuple(handler.resolve(cls) for handler in cls.__handlers__)


def events_of(cls: type[Projector]) -> tuple[type[Event], ...]:
    """The event types that a projector takes, as far as its annotations can be resolved."""
    return tuple(event for handler in cls.__handlers__ for event in handler.events)


def _mark(method: MethodT, mark: Projecting) -> MethodT:
    if not inspect.isfunction(method):
        raise DefinitionError(
            class_site(), "@projects", f"marks {method!r:.60}, which is no plain method", "mark a def of the class"
        )
    if isinstance(getattr(method, _MARK, None), Projecting):
        raise DefinitionError(
            function_site(method), method.__qualname__, "is marked twice", "give each mark a method of its own"
        )
    setattr(method, _MARK, mark)
    return method


def _check_tables(cls: type[Projector], site: str) -> None:
    given: object = cls.tables
    if not isinstance(given, tuple) or not all(isinstance(statement, str) for statement in given):
        raise DefinitionError(
            site, cls.__name__, "has tables that are no tuple of statements", 'write tables = ("create table …",)'
        )
    if not cls.tables:
        raise DefinitionError(
            site, cls.__name__, "has no tables", 'write tables = ("create table …",): what it projects is kept there'
        )


def _refuse_state(cls: type[Projector], site: str) -> None:
    """All that a projector knows is in its store: what it kept beside that would be lost, or counted twice."""
    for name, value in vars(cls).items():
        if isinstance(value, _MUTABLE) and not name.startswith("__"):
            raise DefinitionError(
                site,
                f"{cls.__name__}.{name}",
                f"is a {type(value).__name__} that outlives the event",
                "keep it in a table of the store: a rebuild starts with an empty one",
                "LAW05",
            )
    for name in vars(cls).get("__annotations__", {}):
        if name not in vars(cls):
            raise DefinitionError(
                site,
                f"{cls.__name__}.{name}",
                "is a field, and a projector has none",
                "keep it in a table of the store: a rebuild starts with an empty one",
                "LAW05",
            )


def _collect(cls: type[Projector], local_names: Mapping[str, object]) -> tuple[ProjectorHandler, ...]:
    methods: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(getattr(value, _MARK, None), Projecting):
                methods[name] = value
            elif name in methods:
                del methods[name]
    if not methods:
        raise DefinitionError(
            cls.__projector__.site, cls.__name__, "projects no event", "mark a method @projects", "LAW05"
        )
    return tuple(_handler(cls, method, local_names) for method in methods.values())


def _handler(cls: type[Projector], method: Callable[..., Any], local_names: Mapping[str, object]) -> ProjectorHandler:
    site, subject = function_site(method), f"{cls.__name__}.{method.__name__}"
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise DefinitionError(site, subject, "is async", "make it a plain def: work belongs into a gateway", "LAW04")
    if inspect.isgeneratorfunction(method):
        raise DefinitionError(
            site, subject, "yields", "write into the store: a projector asks nobody for anything", "LAW04"
        )
    mark: Projecting = getattr(method, _MARK)
    try:
        return _read(cls, method, mark, local_names)
    except NameError:
        return ProjectorHandler(method, method.__name__, site, mark, (), (), local_names)


def _read(
    cls: type, method: Callable[..., Any], mark: Projecting, local_names: Mapping[str, object]
) -> ProjectorHandler:
    site, subject = function_site(method), f"{cls.__name__}.{method.__name__}"
    parameters = list(inspect.signature(method).parameters.values())[1:]
    hints = typing.get_type_hints(_parameters_of(method, parameters), method.__globals__, dict(local_names))
    if not parameters:
        raise DefinitionError(site, subject, "takes no event", "add a parameter annotated with an event class")
    first = hints.get(parameters[0].name)
    events = mark.events if mark.columns is not None else tuple(_events(first, site, subject))
    takes: list[Wish] = ["event" if mark.columns is None else "rows"]
    for parameter in parameters[1:]:
        hint = hints.get(parameter.name)
        if hint is Store:
            takes.append("store")
        elif hint is Envelope and mark.columns is None:
            takes.append("envelope")
        else:
            raise DefinitionError(
                site,
                subject,
                f"has the parameter {parameter.name!r}",
                "a projector's handler takes the event, its own `Store` and, on request, the `Envelope`",
                "LAW03",
            )
    if mark.columns is not None:
        _check_columns(events, mark.columns, site, subject)
    return ProjectorHandler(method, method.__name__, site, mark, events, tuple(takes), local_names)


def _parameters_of(method: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> Any:  # noqa: ANN401 - what get_type_hints takes
    names = [parameter.name for parameter in parameters]
    found = {name: method.__annotations__[name] for name in names if name in method.__annotations__}
    return type("annotations", (), {"__annotations__": found})


def _events(annotation: object, site: str, subject: str) -> Iterator[type[Event]]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _events(member, site, subject)
        return
    yield _event(annotation, site, subject)


def _event(annotation: object, site: str, subject: str) -> type[Event]:
    if isinstance(annotation, type) and issubclass(annotation, Event) and "__procession__" in vars(annotation):
        return annotation
    shown = "nothing" if annotation is None else getattr(annotation, "__name__", str(annotation))
    raise DefinitionError(
        site, subject, f"projects {shown}, which is no event type", "annotate the parameter with an event class"
    )


def _check_columns(events: Sequence[type[Event]], columns: Sequence[str], site: str, subject: str) -> None:
    if not events or not columns:
        raise DefinitionError(
            site, subject, "names no events or no columns", 'write @projects_columns(OrderPlaced, columns=("type",))'
        )
    for event in events:
        _event(event, site, subject)
    for column in columns:
        field = column.removeprefix("data.")
        if field != column and not any(field == name for event in events for name in field_names(event)):
            raise DefinitionError(
                site, subject, f"asks for {column!r}, a field that none of its events has", "name a field of theirs"
            )
        if field == column and column not in COLUMNS:
            raise DefinitionError(
                site, subject, f"asks for {column!r}", f"columns are {', '.join(sorted(COLUMNS))}, and data.FIELD"
            )
