"""Gateways: the only place where work is done. They take commands and answer with events."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, dataclass_transform

import attrs

from procession.errors import DefinitionError, ProcessionError
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.site import class_site, function_site
from procession.primitives.state import State


@attrs.frozen
class Attempt:
    """One try of one command."""

    command_id: str
    """The idempotency key: the same in every attempt and after every crash. Hand it to the outside system."""
    number: int
    """1 at the first try; failed tries count, a crash does not."""
    process: str
    key: str
    """The flow that asked."""
    timeout_s: float
    """The attempt is cancelled after this long."""
    trace: str | None = None
    """W3C traceparent: of this attempt where its flow is traced, else as it came with the event that began the flow.

    Pass it on: what is called then belongs to the flow's trace."""


@attrs.define
class AttemptFailed(ProcessionError):  # noqa: N818 - named for what happened, as in errors.py
    """Raised by a gateway: no clear answer came; whether the work was done is not known. The policy says what next."""

    found: str
    """One line for people, in the log of attempts and in `CommandGivenUp`: no secrets."""

    _says = "{0.found}"


def _is_wait(_: object, __: object, seconds: float) -> None:
    if not (math.isfinite(seconds) and seconds >= 0):
        msg = f"a wait of {seconds} s can't be waited for; give a number of seconds, at least zero"
        raise ValueError(msg)


@attrs.define
class RetryLater(AttemptFailed):
    """Raised by a gateway: try again, but not before so long. It counts as an attempt like any failure."""

    after_s: float = attrs.field(validator=_is_wait)
    """The earliest next attempt; `gateways.retry_later_max_s` bounds it."""


_NO_KNOBS = ("ordered", "host")
"""What a class alone can say of itself: no setting overrides it."""


@attrs.frozen
class GatewayPolicy:
    """How a gateway is driven; None takes the default of the settings, which may also override it by name."""

    concurrency: int | None = None
    rate_per_s: float | None = None
    timeout_s: float | None = None
    attempts_max: int | None = None
    backoff_initial_s: float | None = None
    backoff_max_s: float | None = None
    backoff_factor: float | None = None
    jitter: float | None = None
    retry_later_max_s: float | None = None
    breaker_failures: int | None = None
    breaker_cooldown_s: float | None = None
    paused: bool | None = None
    ordered: bool = False
    """A flow's commands to this gateway wait for each other, in the order yielded."""
    host: bool = False
    """Its `async def` methods are awaited on the asyncio loop of the host, not on trio."""

    def declared(self) -> dict[str, bool | int | float]:
        """What the class says itself, by the names that the settings know."""
        said = attrs.asdict(self, filter=lambda field, value: value is not None and field.name not in _NO_KNOBS)
        return dict(said)


@dataclass_transform(field_specifiers=(attrs.field,))
class Gateway:
    """An actor that performs side effects. A method whose first parameter is a command takes that command.

        class Payments(Gateway, name="payments", concurrency=8, rate_per_s=50):
            client: httpx.AsyncClient

            async def charge(self, command: ChargeCard, attempt: Attempt) -> PaymentCaptured | PaymentDeclined:
                ...

    The return annotation is the contract: one event, a union, a tuple of events or None, checked at run time.
    A plain `def` runs in a worker thread; cancelled, it is abandoned and its outcome is unknown. An exception is
    retried by the policy (`RetryLater` says when at the earliest); `Refused` is not. With `host=True` an `async def` is
    awaited on the asyncio loop of the program that opened the runtime by `procession.embed.open_async`.

    Args:
        name: the stored name, for ever.
        abstract: a class that only hands fields and methods down; it has no name, and takes no commands itself.
        policy: what `GatewayPolicy` knows.

    Raises:
        DefinitionError: the class can't work; says file, line, class, method and cure.
    """

    __gateway__: ClassVar[GatewayOptions]
    __brings__: ClassVar[tuple[type[State], ...]] = ()
    """Processes and aggregates that work with it: a runtime that is given it is given them as well."""

    def __init_subclass__(cls, *, name: str = "", abstract: bool = False, **policy: Any) -> None:  # noqa: ANN401 - GatewayPolicy's fields
        super().__init_subclass__()
        site = class_site()
        if abstract:
            attrs.define(cls, slots=False, eq=False)
            return
        if not name or not name.isprintable():
            raise DefinitionError(site, cls.__name__, f"has the name {name!r}", 'give it name="payments"')
        known = {field.name for field in attrs.fields(GatewayPolicy)}
        for option in policy:
            if option not in known:
                raise DefinitionError(
                    site, cls.__name__, f"has the option {option!r}", f"options are {', '.join(sorted(known))}"
                )
        attrs.define(cls, slots=False, eq=False)
        cls.__gateway__ = GatewayOptions(name, GatewayPolicy(**policy), site)


@attrs.frozen
class GatewayOptions:
    """What the class statement of a gateway says."""

    name: str
    policy: GatewayPolicy
    site: str


def gateway_class(gateway: Gateway | type[Gateway]) -> type[Gateway]:
    """The class of what a wiring names: an instance, or a class whose fields are filled from the resources."""
    return gateway if isinstance(gateway, type) else type(gateway)


@attrs.frozen
class Contract:
    """What a gateway method may return."""

    events: tuple[type[Event], ...]
    nothing: bool
    """It may return None."""
    many: bool
    """It returns a tuple of events."""
    shown: str

    def accepts(self, answer: object) -> bool:
        """Whether an answer keeps the contract."""
        if answer is None:
            return self.nothing
        if isinstance(answer, tuple):
            return self.many and all(type(event) in self.events for event in answer)
        return type(answer) in self.events and not self.many


@attrs.frozen
class CommandMethod:
    """One command that a gateway takes."""

    command: type[Command]
    name: str
    contract: Contract
    is_async: bool
    wants_attempt: bool
    site: str


def command_methods(cls: type[Gateway]) -> tuple[CommandMethod, ...]:
    """The methods of a gateway that take commands, with annotations resolved.

    Raises:
        DefinitionError: a return annotation is no contract, or an annotation names nothing.
    """
    found: list[CommandMethod] = []
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_"):
            found.extend(_read(cls, name, method))
    if not found:
        raise DefinitionError(
            cls.__gateway__.site,
            cls.__name__,
            "takes no command",
            "give a method a first parameter annotated with a command class",
        )
    return tuple(found)


def _read(cls: type[Gateway], name: str, method: Callable[..., Any]) -> Iterator[CommandMethod]:
    site, subject = function_site(method), f"{cls.__name__}.{name}"
    parameters = list(inspect.signature(method).parameters.values())[1:]
    try:
        hints = typing.get_type_hints(method)
    except NameError as error:
        raise DefinitionError(
            site, subject, f"is annotated with {error.name!r}, which is not defined", "define it or mend the annotation"
        ) from error
    commands = [part for part in _members(hints.get(parameters[0].name)) if _is_command(part)] if parameters else []
    if not commands:
        return
    extra = [parameter.name for parameter in parameters[1:] if hints.get(parameter.name) is not Attempt]
    if extra or len(parameters) > 2:  # noqa: PLR2004 - command and attempt
        raise DefinitionError(
            site,
            subject,
            f"has the parameter {extra[0] if extra else parameters[2].name!r}",
            "a gateway method takes the command and, on request, one `Attempt`",
        )
    contract = _contract(hints.get("return", Ellipsis), site, subject)
    for command in commands:
        yield CommandMethod(command, name, contract, inspect.iscoroutinefunction(method), len(parameters) > 1, site)


def _members(annotation: object) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _is_command(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, Command) and part is not Command


def _is_event(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, Event) and "__procession__" in vars(part)


def _contract(annotation: object, site: str, subject: str) -> Contract:
    events: list[type[Event]] = []
    nothing = many = False
    for member in _members(annotation):
        if member is None or member is types.NoneType:
            nothing = True
        elif typing.get_origin(member) is tuple:
            many = True
            for item in typing.get_args(member):
                events.extend(part for part in _members(item) if part is not Ellipsis)
        else:
            events.append(member)
    wrong = [e for e in events if not _is_event(e)]
    if wrong or (many and any(isinstance(m, type) and issubclass(m, Event) for m in _members(annotation))):
        shown = "nothing" if annotation is Ellipsis else str(annotation)
        raise DefinitionError(
            site,
            subject,
            f"returns {shown}, which is no contract",
            "annotate the return with one event class, a union of them, a tuple of events, or None",
        )
    names = " | ".join([e.__name__ for e in events] + (["None"] if nothing else []))
    return Contract(tuple(events), nothing, many, f"tuple[{names}, ...]" if many else names)
