"""Handlers: the marked methods of a process manager or an aggregate, and what their annotations and keys promise."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NoReturn, TypeVar, overload

import attrs

from procession.errors import DefinitionError
from procession.primitives.command import Command
from procession.primitives.effects import OUTCOME_CHARS_MAX
from procession.primitives.envelope import Envelope
from procession.primitives.event import CommandGivenUp, CommandRefused, Event, FailureEvent
from procession.primitives.fields import field_names
from procession.primitives.secrecy import is_secret_field
from procession.primitives.site import class_site, defining_locals, function_site

MethodT = TypeVar("MethodT", bound=Callable[..., Any])
KeySpec = str | Callable[[Any], str | int | Iterable[str | int]]
Missing = Literal["record", "start", "wait", "ignore", "quarantine"]
Late = Literal["record", "ignore", "quarantine"]
Trigger = type[Event] | tuple[type[Event], type[Command]]
"""What a handler is dispatched by: an event type, or (CommandGivenUp or CommandRefused, the command's type)."""


MarkKind = Literal["fold", "start", "on", "end", "apply", "decide"]
OF_A_PROCESS: frozenset[MarkKind] = frozenset({"fold", "start", "on", "end"})
OF_AN_AGGREGATE: frozenset[MarkKind] = frozenset({"apply", "decide"})
_DECORATORS: dict[MarkKind, str] = {
    "fold": "@folds",
    "start": "@starts",
    "on": "@on",
    "end": "@ends",
    "apply": "@applies",
    "decide": "@decides",
}


@attrs.frozen
class Mark:
    """What a decorator said of a method."""

    kind: MarkKind
    key: KeySpec = ""
    missing: Missing | None = None
    late: Late | None = None
    outcome: str = "completed"


def folds(method: MethodT) -> MethodT:
    """Mark `(self, event) -> state`: pure, and all that a replay runs. Failure events can't be folded (law 2)."""
    return _mark(method, Mark("fold"))


@overload
def starts(method: MethodT) -> MethodT: ...
@overload
def starts(*, key: KeySpec = ..., late: Late | None = ...) -> Callable[[MethodT], MethodT]: ...
def starts(
    method: MethodT | None = None, *, key: KeySpec = "", late: Late | None = None
) -> MethodT | Callable[[MethodT], MethodT]:
    """Mark the reaction to an event that starts a flow.

    One that comes again to a flow that runs or has ended is recorded as already started, unless the flow also
    handles it by `@on`.
    """
    return _marking(method, Mark("start", key, None, late))


@overload
def on(method: MethodT) -> MethodT: ...
@overload
def on(
    *, key: KeySpec = ..., missing: Missing | None = ..., late: Late | None = ...
) -> Callable[[MethodT], MethodT]: ...
def on(
    method: MethodT | None = None, *, key: KeySpec = "", missing: Missing | None = None, late: Late | None = None
) -> MethodT | Callable[[MethodT], MethodT]:
    """Mark the reaction to an event while the flow runs.

    Args:
        key: field name or function of the event, yielding one key or several; default: the process's key.
        missing: before the start: `record` (default), `start`, `wait`, `ignore` or `quarantine`.
        late: after the end: `record` (default), `ignore` or `quarantine`.
    """
    return _marking(method, Mark("on", key, missing, late))


@overload
def ends(method: MethodT) -> MethodT: ...
@overload
def ends(
    *, outcome: str = ..., key: KeySpec = ..., missing: Missing | None = ..., late: Late | None = ...
) -> Callable[[MethodT], MethodT]: ...
def ends(
    method: MethodT | None = None,
    *,
    outcome: str = "completed",
    key: KeySpec = "",
    missing: Missing | None = None,
    late: Late | None = None,
) -> MethodT | Callable[[MethodT], MethodT]:
    """Mark the reaction to an event that ends the flow, with an outcome that `wait_ended`, `ls` and metrics show."""
    return _marking(method, Mark("end", key, missing, late, outcome))


def applies(method: MethodT) -> MethodT:
    """Mark `(self, event) -> state` of an aggregate: pure, and all that a replay runs. Failure events can't (law 2)."""
    return _mark(method, Mark("apply"))


@overload
def decides(method: MethodT) -> MethodT: ...
@overload
def decides(*, key: KeySpec = ...) -> Callable[[MethodT], MethodT]: ...
def decides(method: MethodT | None = None, *, key: KeySpec = "") -> MethodT | Callable[[MethodT], MethodT]:
    """Mark `(self, command) -> event`, a tuple of events, None, or a `Refusal`: pure. The annotation is the contract.

    Args:
        key: field name or function of the command, yielding the aggregate's key; default: the aggregate's.
    """
    return _marking(method, Mark("decide", key))


def _marking(method: MethodT | None, mark: Mark) -> MethodT | Callable[[MethodT], MethodT]:
    if method is not None:
        return _mark(method, mark)
    return lambda marked: _mark(marked, mark)


def _mark(method: MethodT, mark: Mark) -> MethodT:
    if not inspect.isfunction(method):
        raise DefinitionError(
            class_site(),
            _DECORATORS[mark.kind],
            f"marks {method!r:.60}, which is no plain method",
            "mark a def of the class",
        )
    if isinstance(getattr(method, "__procession_mark__", None), Mark):
        raise DefinitionError(
            function_site(method), method.__qualname__, "is marked twice", "give each mark a method of its own"
        )
    method.__procession_mark__ = mark  # type: ignore[attr-defined]  # read back when the class is defined
    return method


@attrs.frozen
class Handler:
    """A marked method with its annotations resolved. `triggers` is empty until they can be."""

    method: Callable[..., Any]
    name: str
    mark: Mark
    site: str
    triggers: tuple[Trigger, ...]
    wants_envelope: bool
    local_names: Mapping[str, object]

    def resolve(self, cls: type, key: KeySpec) -> Handler:
        """This handler with its annotations resolved now, when every class is defined.

        Raises:
            DefinitionError: an annotation names nothing, or something that is no event.
        """
        if self.triggers:
            return self
        try:
            return _read(cls, self.method, self.mark, key, self.local_names)
        except NameError as error:
            raise DefinitionError(
                self.site,
                f"{cls.__name__}.{self.name}",
                f"is annotated with {error.name!r}, which is not defined",
                "define the event class at the top of a module, or mend the annotation",
            ) from error


def collect(
    cls: type, key: KeySpec, local_names: Mapping[str, object], kinds: frozenset[MarkKind]
) -> tuple[Handler, ...]:
    """The marked methods of a class that is being defined, in order, its bases' first; their marks are of these kinds.

    Raises:
        DefinitionError: a method can't be a handler.
    """
    methods: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(getattr(value, "__procession_mark__", None), Mark):
                methods[name] = value
            elif name in methods:
                del methods[name]
    return tuple(_handler(cls, method, key, local_names, kinds) for method in methods.values())


def local_names() -> Mapping[str, object]:
    """Names that are local to the function in which a class is being defined; none at the top of a module."""
    return defining_locals()


def trigger_name(trigger: Trigger) -> str:
    """How errors and timelines show what a handler is dispatched by."""
    if isinstance(trigger, tuple):
        return f"{trigger[0].__name__}[{trigger[1].__name__}]"
    return trigger.__name__


def trigger_of(event: Event) -> Trigger:
    """What an event dispatches by."""
    cls = type(event)
    if cls in _OF_COMMANDS:
        assert isinstance(event, CommandGivenUp | CommandRefused), "only these tell of a command"
        return (cls, type(event.command))
    return cls


def check_policies(missing: Missing | None, late: Late | None, site: str, subject: str) -> None:
    """Refuse words that are no policy.

    Raises:
        DefinitionError: says which words there are.
    """
    for option, found, form in (("missing", missing, Missing), ("late", late, Late)):
        words = typing.get_args(form)
        if found is not None and found not in words:
            raise DefinitionError(site, subject, f"says {option}={found!r}", f"use one of {', '.join(words)}")


def _handler(
    cls: type,
    method: Callable[..., Any],
    key: KeySpec,
    local_names: Mapping[str, object],
    kinds: frozenset[MarkKind],
) -> Handler:
    mark: Mark = method.__procession_mark__  # type: ignore[attr-defined]  # only marked methods come here
    subject = f"{cls.__name__}.{method.__name__}"
    if mark.kind not in kinds:
        raise DefinitionError(
            function_site(method),
            subject,
            f"is marked {_DECORATORS[mark.kind]}, which is not for this kind of class",
            f"mark it {' or '.join(_DECORATORS[kind] for kind in _DECORATORS if kind in kinds)}",
        )
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise DefinitionError(
            function_site(method), subject, "is async", "make it a plain def: work belongs into a gateway", "LAW04"
        )
    if mark.kind in _YIELDS_NOTHING and inspect.isgeneratorfunction(method):
        found, cure = _YIELDS_NOTHING[mark.kind]
        raise DefinitionError(function_site(method), subject, found, cure)
    check_policies(mark.missing, mark.late, function_site(method), subject)
    if not 0 < len(mark.outcome) <= OUTCOME_CHARS_MAX or not mark.outcome.isprintable():
        raise DefinitionError(
            function_site(method),
            subject,
            f"has the outcome {mark.outcome[:40]!r}",
            f"use a printable one of at most {OUTCOME_CHARS_MAX} characters",
        )
    try:
        if mark.kind != "decide":  # what a decision takes and returns is read in decisions.py
            return _read(cls, method, mark, key, local_names)
    except NameError:
        pass
    return Handler(
        method, method.__name__, mark, function_site(method), (), wants_envelope=False, local_names=local_names
    )


_OF_COMMANDS: frozenset[type] = frozenset((CommandGivenUp, CommandRefused))
_YIELDS_NOTHING: dict[MarkKind, tuple[str, str]] = {
    "fold": ("is a fold that yields", "return the new state; effects belong to a reaction"),
    "apply": ("applies an event and yields", "return the new state"),
    "decide": ("decides and yields", "return the event, a tuple of events, None, or a refusal"),
}


def _read(
    cls: type, method: Callable[..., Any], mark: Mark, key: KeySpec, local_names: Mapping[str, object]
) -> Handler:
    site, subject = function_site(method), f"{cls.__name__}.{method.__name__}"
    parameters = list(inspect.signature(method).parameters.values())[1:]
    if not parameters:
        raise DefinitionError(site, subject, "takes no event", "add a parameter annotated with an event class")
    hints = typing.get_type_hints(
        _annotations_of(method, [parameter.name for parameter in parameters]), method.__globals__, dict(local_names)
    )
    wants_envelope = False
    for parameter in parameters[1:]:
        if hints.get(parameter.name) is not Envelope or mark.kind in ("fold", "apply"):
            raise DefinitionError(
                site,
                subject,
                f"has the parameter {parameter.name!r}",
                "a fold takes the event; a reaction takes the event and, on request, one `Envelope`",
                "LAW03",
            )
        wants_envelope = True
    triggers = tuple(_triggers(hints.get(parameters[0].name), site, subject))
    for trigger in triggers:
        _check_trigger(trigger, mark, key, site, subject)
    return Handler(method, method.__name__, mark, site, triggers, wants_envelope, local_names)


def _annotations_of(method: Callable[..., Any], names: list[str]) -> Any:  # noqa: ANN401 - what get_type_hints takes
    """Only the parameters' annotations: a return annotation may name what nobody needs at run time."""
    found = {name: method.__annotations__[name] for name in names if name in method.__annotations__}
    return type("annotations", (), {"__annotations__": found})


def _triggers(annotation: object, site: str, subject: str) -> Iterator[Trigger]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _triggers(member, site, subject)
        return
    news = typing.get_origin(annotation)
    if news in (CommandGivenUp, CommandRefused):
        (command,) = typing.get_args(annotation)
        if isinstance(command, type) and issubclass(command, Command) and command is not Command:
            yield (news, command)
            return
    elif annotation in (CommandGivenUp, CommandRefused):
        name = getattr(annotation, "__name__", "")
        raise DefinitionError(site, subject, f"handles {name} of any command", f"name the command: {name}[ChargeCard]")
    elif isinstance(annotation, type) and issubclass(annotation, Event) and "__procession__" in vars(annotation):
        yield annotation
        return
    shown = "nothing" if annotation is None else getattr(annotation, "__name__", str(annotation))
    raise DefinitionError(
        site, subject, f"handles {shown}, which is no event type", "annotate the parameter with an event class"
    )


def _check_trigger(trigger: Trigger, mark: Mark, key: KeySpec, site: str, subject: str) -> None:
    event = trigger[0] if isinstance(trigger, tuple) else trigger
    if mark.kind in ("fold", "apply") and issubclass(event, FailureEvent):
        raise DefinitionError(
            site,
            subject,
            f"folds {trigger_name(trigger)}, which is a failure event",
            "a failure never changes state: answer it in a reaction, or make it an ordinary event",
            "LAW02",
        )
    if mark.kind != "apply":  # an aggregate's own events stand in its stream, whatever key they carry
        check_key(event, mark.key or key, site, subject)


def check_key(event: object, field: KeySpec, site: str, subject: str) -> None:
    """Refuse what can't be routed.

    Raises:
        DefinitionError: it is no event type, or it does not have the field that is its key.
    """
    if not (isinstance(event, type) and issubclass(event, Event) and "__procession__" in vars(event)):
        raise DefinitionError(
            site, subject, f"is concerned by {event!r:.60}, which is no event type", "name event classes"
        )
    addressed = event.__module__ == Event.__module__
    if isinstance(field, str) and not addressed and field not in field_names(event):
        raise DefinitionError(
            site,
            subject,
            f"has the key {field!r}, which {event.__name__} does not have",
            f"name a field of {event.__name__}, or give the handler key=...",
            "LAW06",
        )
    if isinstance(field, str) and not addressed and is_secret_field(event, field):
        refuse_secret_key(event, field, site, subject)


def refuse_secret_key(message: type, field: str, site: str, subject: str) -> NoReturn:
    """A key names flows and aggregates in every list and every log: it can't be hidden.

    Raises:
        DefinitionError: always.
    """
    raise DefinitionError(
        site,
        subject,
        f"has the key {field!r}, which {message.__name__} marks as secret",
        "keys are shown everywhere: name another field, an id that gives nothing away",
    )
