"""An aggregate compiled for the engine: which method decides a command, and which events move its state."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

import attrs

from procession.errors import DefinitionError, InvalidKey
from procession.primitives.aggregate import Aggregate
from procession.primitives.command import Command
from procession.primitives.definition import Folding, Reaction, checked_key
from procession.primitives.event import OWN_EVENTS, Event
from procession.primitives.fields import field_names
from procession.primitives.handlers import Handler, KeySpec, Trigger, refuse_secret_key, trigger_name
from procession.primitives.process import check_state
from procession.primitives.refusal import Refusal
from procession.primitives.secrecy import is_secret_field
from procession.primitives.stored import stored_of
from procession.primitives.telling import concealed, told


@attrs.frozen
class Verdicts:
    """What a decision may return."""

    events: tuple[type[Event], ...]
    refusals: tuple[type[Refusal], ...]
    nothing: bool
    one: bool
    many: bool
    """It may return a tuple of events."""
    shown: str

    def accepts(self, verdict: object) -> bool:
        """Whether what was returned keeps the contract."""
        if verdict is None:
            return self.nothing
        if isinstance(verdict, tuple):
            return self.many and all(type(event) in self.events for event in verdict)
        return type(verdict) in self.refusals or (self.one and type(verdict) in self.events)


@attrs.frozen
class Decision:
    """One method that decides, with its annotations resolved."""

    handler: Handler
    commands: tuple[type[Command], ...]
    verdicts: Verdicts
    key: KeySpec

    @property
    def name(self) -> str:
        """The method's name."""
        return self.handler.name


@attrs.define(eq=False, kw_only=True)
class AggregateDefinition(Folding):
    """One aggregate of one runtime."""

    cls: type[Aggregate]
    decisions: dict[type[Command], Decision]

    def key_of(self, command: Command) -> str:
        """The key of the aggregate that a command is for.

        Raises:
            InvalidKey: it can't be computed, or is none.
        """
        name, spec = stored_of(type(command)).name, self.decisions[type(command)].key
        try:
            value: object = getattr(command, spec) if isinstance(spec, str) else spec(command)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the user's function: whatever it raises, the command has no key
            found = f"can't be computed ({told(repr(error), command)})"
            raise InvalidKey(name, self.name, found) from concealed(error, command)
        return checked_key(name, self.name, value)


def compile_aggregate(cls: type[Aggregate]) -> AggregateDefinition:
    """Resolve annotations and build the tables.

    Raises:
        DefinitionError: two decisions for one command, two folds for one event, nothing to decide, an annotation that
            names nothing.
    """
    options = cls.__aggregate__
    check_state(cls, options.site, later=False)
    reactions: dict[Trigger, Reaction] = {}
    decisions: dict[type[Command], Decision] = {}
    for handler in cls.__handlers__:
        if handler.mark.kind == "apply":
            _add_fold(cls, handler.resolve(cls, options.key), reactions)
        else:
            _add_decision(cls, _read(cls, handler, options.key), decisions)
    if not decisions:
        raise DefinitionError(
            options.site, cls.__name__, "decides nothing", "mark the method that takes its first command @decides"
        )
    return AggregateDefinition(cls=cls, name=options.name, reactions=reactions, decisions=decisions)


def refusals_of(definition: AggregateDefinition) -> tuple[type[Refusal], ...]:
    """Every refusal that an aggregate may answer with, each once."""
    found = (refusal for decision in definition.decisions.values() for refusal in decision.verdicts.refusals)
    return tuple(dict.fromkeys(found))


def _add_fold(cls: type[Aggregate], handler: Handler, reactions: dict[Trigger, Reaction]) -> None:
    for trigger in handler.triggers:
        known = reactions.get(trigger)
        if known is not None and known.fold is not None:
            raise _twice(cls, handler, f"applies {trigger_name(trigger)}", known.fold.name)
        if trigger in OWN_EVENTS:
            raise DefinitionError(
                handler.site,
                f"{cls.__name__}.{handler.name}",
                f"applies {trigger_name(trigger)}, an event of the runtime's own",
                "apply the events that its decisions return",
            )
        reactions[trigger] = Reaction(None, None, handler, "record", "record")


def _add_decision(cls: type[Aggregate], decision: Decision, decisions: dict[type[Command], Decision]) -> None:
    for command in decision.commands:
        if command in decisions:
            raise _twice(cls, decision.handler, f"decides {command.__name__}", decisions[command].name)
        decisions[command] = decision


def _twice(cls: type[Aggregate], handler: Handler, does: str, other: str) -> DefinitionError:
    return DefinitionError(
        handler.site, f"{cls.__name__}.{handler.name}", f"{does}, as {other} does", "one of them: put both into one"
    )


def _read(cls: type[Aggregate], handler: Handler, default: KeySpec) -> Decision:
    method, site, subject = handler.method, handler.site, f"{cls.__name__}.{handler.name}"
    parameters = list(inspect.signature(method).parameters.values())[1:]
    try:
        hints = typing.get_type_hints(method, method.__globals__, dict(handler.local_names))
    except NameError as error:
        raise DefinitionError(
            site, subject, f"is annotated with {error.name!r}, which is not defined", "define it or mend the annotation"
        ) from error
    commands = tuple(_commands(hints.get(parameters[0].name), site, subject)) if parameters else ()
    if not commands:
        raise DefinitionError(site, subject, "takes no command", "annotate a parameter with a command class")
    if len(parameters) > 1:
        raise DefinitionError(
            site,
            subject,
            f"has the parameter {parameters[1].name!r}",
            "a decision takes the command and nothing else: what it needs stands in the command or in the state",
            "LAW03",
        )
    key = handler.mark.key or default
    for command in commands:
        if isinstance(key, str) and key not in field_names(command):
            raise DefinitionError(
                site,
                subject,
                f"has the key {key!r}, which {command.__name__} does not have",
                f"name a field of {command.__name__}, or give the decision key=...",
                "LAW06",
            )
        if isinstance(key, str) and is_secret_field(command, key):
            refuse_secret_key(command, key, site, subject)
    return Decision(handler, commands, _verdicts(hints.get("return", Ellipsis), site, subject), key)


def _commands(annotation: object, site: str, subject: str) -> Iterator[type[Command]]:
    for member in _members(annotation):
        if not (isinstance(member, type) and issubclass(member, Command) and member is not Command):
            shown = getattr(member, "__name__", str(member))
            raise DefinitionError(
                site, subject, f"decides {shown}, which is no command type", "annotate it with a command class"
            )
        yield member


def _members(annotation: object) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return () if annotation is None else (annotation,)


def _verdicts(annotation: object, site: str, subject: str) -> Verdicts:
    events: dict[type[Event], None] = {}
    refusals: list[type[Refusal]] = []
    nothing = one = many = False
    wrong: list[object] = []
    members = (types.NoneType,) if annotation in (None, types.NoneType) else _members(annotation)
    for member in members:
        if member is types.NoneType:
            nothing = True
        elif typing.get_origin(member) is tuple:
            many = True
            items = [part for item in typing.get_args(member) for part in _members(item) if part is not Ellipsis]
            events |= dict.fromkeys(item for item in items if _is_event(item))
            wrong += [item for item in items if not _is_event(item)]
        elif _is_event(member):
            one = True
            events[member] = None
        elif isinstance(member, type) and issubclass(member, Refusal) and member is not Refusal:
            refusals.append(member)
        else:
            wrong.append(member)
    if wrong:
        shown = "nothing that is annotated" if wrong[0] is Ellipsis else getattr(wrong[0], "__name__", str(wrong[0]))
        raise DefinitionError(
            site,
            subject,
            f"returns {shown}, which is no contract",
            "annotate the return with event classes, tuples of events, refusal classes, or None",
        )
    names = [member.__name__ if isinstance(member, type) else str(member) for member in members]
    shown = " | ".join("None" if name == "NoneType" else name for name in names)
    return Verdicts(tuple(events), tuple(refusals), nothing, one, many, shown)


def _is_event(part: object) -> bool:
    return (
        isinstance(part, type) and issubclass(part, Event) and "__procession__" in vars(part) and part not in OWN_EVENTS
    )
