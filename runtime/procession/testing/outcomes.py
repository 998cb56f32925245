"""What a gateway may answer to a command: derived from its return annotation, which is its contract.

    outcomes = Outcomes([Payments], {ChargeCard: [PaymentDeclined, lambda c: PaymentCaptured(c.order_id), Refused]})
    outcomes.of(ChargeCard("421", 4200))

Fields of an answer that are named like the command's are copied; `bool`, enums, `Literal` and None are tried in full;
of all else there is one example, and `unexplored` says which.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import attrs

from procession.errors import InvalidKey, Refused, WiringError
from procession.primitives.aggregate import Aggregate
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition, Decision, compile_aggregate
from procession.primitives.definition import Definition
from procession.primitives.event import CommandGivenUp, CommandRefused, Event
from procession.primitives.fields import field_names, resolved_fields
from procession.primitives.gateway import CommandMethod, Contract, Gateway, command_methods
from procession.testing.examples import VARIANTS_MAX, Examples, fits

Value: TypeAlias = Event | tuple[Event, ...] | None
"""What a gateway method returns."""
Given: TypeAlias = (
    Value | type[Event] | BaseException | type[BaseException] | Callable[..., Event | tuple[Event, ...] | None]
)
"""One outcome as a user names it: an answer, an event class for its examples, a function of the command, or an
error: `Refused` for a no for good, any other for one that every attempt ends with."""

_EVENTS_OF_A_TUPLE_MAX = 2
_FOUND = {"refused": "refused, says the test", "unknown": "no answer, says the test"}


@attrs.frozen
class Answer:
    """One way in which a command ends."""

    value: Value
    given_up: Literal["refused", "unknown"] | None = None
    """No answer: the gateway gives the command up, and the flow gets `CommandGivenUp`."""
    refusal: CommandRefused[Command] | None = None
    """No answer: the aggregate refused the command, and the flow gets this."""

    @property
    def events(self) -> tuple[Event, ...]:
        """What the gateway answers with, in order."""
        if self.value is None:
            return ()
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def events_for(self, command: Command) -> tuple[Event, ...]:
        """What the flow that asked gets, in order, a `CommandGivenUp` included."""
        if self.refusal is not None:
            return (self.refusal,)
        if self.given_up is None:
            return self.events
        return (CommandGivenUp(command, "explored", self.given_up, 1, _FOUND[self.given_up]),)


@attrs.frozen
class _Taker:
    receiver: type[Gateway | Aggregate]
    method: CommandMethod
    decider: AggregateDefinition | None = None
    """None where it is a gateway's."""


class Outcomes:
    """The answers that gateways may give.

    Args:
        gateways: classes, or instances; no method of theirs is called.
        aggregates: their decisions are not run either: what other flows made of an aggregate is not known, so all that
            its annotations allow is an answer, refusals among them. Their commands are not given up.
        overrides: the answers to commands of these classes, in place of those that the contract allows. Giving up
            is tried beside them, unless they name `Refused` or another error themselves.
        given_up: whether a command may be given up, both as `refused` and as `unknown`.
        variants_max: of examples of one event class.

    Raises:
        WiringError: two gateways take one command, or none takes one that is overridden.
    """

    def __init__(
        self,
        gateways: Iterable[Gateway | type[Gateway]],
        overrides: Mapping[type[Command], Sequence[Given]] | None = None,
        *,
        given_up: bool = True,
        variants_max: int = VARIANTS_MAX,
        aggregates: Iterable[type[Aggregate]] = (),
    ) -> None:
        self._takers: dict[type[Command], _Taker] = {}
        for gateway in gateways:
            cls = gateway if isinstance(gateway, type) else type(gateway)
            for method in command_methods(cls):
                self._add(_Taker(cls, method))
        for aggregate in aggregates:
            definition = compile_aggregate(aggregate)
            for command, decision in definition.decisions.items():
                self._add(_Taker(aggregate, _as_method(command, decision), definition))
        self._overrides = dict(overrides or {})
        self._given_up = given_up
        self._examples = Examples(variants_max)
        self._cut: dict[str, str] = {}
        self._known: dict[tuple[Command, Definition | None, str], tuple[Answer, ...]] = {}
        for command in self._overrides:
            self.method(command)

    @property
    def commands(self) -> frozenset[type[Command]]:
        """The commands that some gateway or aggregate takes."""
        return frozenset(self._takers)

    @property
    def events(self) -> frozenset[type[Event]]:
        """Every event that some gateway or aggregate may answer with."""
        return frozenset(event for taker in self._takers.values() for event in taker.method.contract.events)

    @property
    def unexplored(self) -> tuple[str, ...]:
        """What was tried with some values only, of the commands asked for so far; a sentence each."""
        return (*self._examples.unexplored, *(f"{subject}: {said}" for subject, said in sorted(self._cut.items())))

    def receiver(self, command: type[Command]) -> type[Gateway | Aggregate]:
        """The gateway or aggregate that takes a command; raises as `method`."""
        self.method(command)
        return self._takers[command].receiver

    def method(self, command: type[Command]) -> CommandMethod:
        """The method that takes a command.

        Raises:
            WiringError: none does.
        """
        if command not in self._takers:
            raise WiringError(f"no gateway takes {command.__name__}", "give the gateway whose method takes it")
        return self._takers[command].method

    def of(self, command: Command, definition: Definition | None = None, key: str = "") -> tuple[Answer, ...]:
        """Every answer to this command that is tried, in a fixed order: answers first, giving up last.

        Args:
            command: as the flow asked.
            definition: of the process that asked; its key is then copied into answers, whatever its name.
            key: of the flow that asked.

        Raises:
            WiringError: no gateway takes it, or an override breaks the gateway's contract.
        """
        asked = (command, definition, key)
        found = self._known.get(asked)
        if found is None:
            found = self._known[asked] = tuple(dict.fromkeys(self._answers(command, definition, key)))
        return found

    def refused(self, command: Command) -> list[CommandRefused[Command]]:
        """Every refusal of this command that is tried; none where a gateway takes it."""
        decider = self._takers[type(command)].decider
        answers = () if decider is None else self._refused(command, decider)
        return [answer.refusal for answer in answers if answer.refusal is not None]

    def _answers(self, command: Command, definition: Definition | None, key: str) -> Iterator[Answer]:
        method = self.method(type(command))
        overrides = self._overrides.get(type(command))
        decider = self._takers[type(command)].decider
        gives_up = self._given_up and decider is None
        if overrides is None:
            yield from self._by_contract(command, method, definition, key)
            if decider is not None:
                yield from self._refused(command, decider)
        else:
            for given in overrides:
                for answer in self._overridden(given, command, definition, key):
                    gives_up = gives_up and answer.given_up is None
                    _check(answer, method, definition, key)
                    yield answer
        if gives_up:
            yield Answer(None, "refused")
            yield Answer(None, "unknown")

    def _by_contract(
        self, command: Command, method: CommandMethod, definition: Definition | None, key: str
    ) -> Iterator[Answer]:
        contract = method.contract
        for_it = [cls for cls in contract.events if not getattr(cls, "__for_another__", False)]
        events = [event for cls in for_it for event in self._made(cls, command, definition, key)]
        if contract.many:
            subject = f"the answers to {type(command).__name__}"
            self._cut[subject] = f"tuples of at most {_EVENTS_OF_A_TUPLE_MAX} events"
            for size in (1, _EVENTS_OF_A_TUPLE_MAX, 0):
                yield from map(Answer, itertools.product(events, repeat=size))
        else:
            yield from map(Answer, events)
        if contract.nothing:
            yield Answer(None)

    def _refused(self, command: Command, decider: AggregateDefinition) -> Iterator[Answer]:
        known = {name: getattr(command, name) for name in field_names(type(command))}
        try:
            aggregate_key = decider.key_of(command)
        except InvalidKey:
            return  # its flow is set aside in the turn that asks: nobody decides it
        for cls in decider.decisions[type(command)].verdicts.refusals:
            for refusal in self._examples.of(cls, known):
                news = CommandRefused(command, "explored", decider.name, aggregate_key, refusal)
                yield Answer(None, refusal=news)

    def _overridden(self, given: Given, command: Command, definition: Definition | None, key: str) -> Iterator[Answer]:
        if given is None or isinstance(given, Event | tuple):
            yield Answer(given)
        elif isinstance(given, BaseException) or (isinstance(given, type) and issubclass(given, BaseException)):
            refused = isinstance(given, Refused) or given is Refused
            yield Answer(None, "refused" if refused else "unknown")
        elif isinstance(given, type):
            if not issubclass(given, Event):
                raise _no_outcome(command, given)
            yield from map(Answer, self._made(given, command, definition, key))
        elif callable(given):
            yield Answer(given(command))
        else:
            raise _no_outcome(command, given)

    def _made(self, cls: type[Event], command: Command, definition: Definition | None, key: str) -> tuple[Event, ...]:
        known = {name: getattr(command, name) for name in field_names(type(command))}
        if definition is not None:
            known |= key_fields(definition, cls, key)
        return self._examples.of(cls, known)

    def _add(self, taker: _Taker) -> None:
        command, other = taker.method.command, self._takers.get(taker.method.command)
        if other is not None and other.receiver is not taker.receiver:
            raise WiringError(
                f"{taker.receiver.__name__}.{taker.method.name} takes {command.__name__},"
                f" as {other.receiver.__name__}.{other.method.name} does",
                "a command has one receiver: give one of them",
            )
        self._takers[command] = taker


def _as_method(command: type[Command], decision: Decision) -> CommandMethod:
    """A decision, as what a gateway's method would be."""
    verdicts = decision.verdicts
    contract = Contract(verdicts.events, verdicts.nothing, verdicts.many, verdicts.shown)
    return CommandMethod(command, decision.name, contract, False, False, decision.handler.site)  # noqa: FBT003 - its fields


def _no_outcome(command: Command, given: object) -> WiringError:
    return WiringError(
        f"an outcome of {type(command).__name__} is {given!r:.60}",
        "name an event, an event class, None, an error, or a function of the command",
    )


def key_fields(definition: Definition, cls: type[Event], key: str) -> dict[str, object]:
    """The field of an event that names its flow, with this key in it; nothing where a function tells the key."""
    field = definition.key_field(cls)
    if field is None:
        return {}
    annotation = resolved_fields(cls)[field]
    return {field: int(key) if key.isdecimal() and fits(int(key), annotation) and not fits(key, annotation) else key}


def _check(answer: Answer, method: CommandMethod, definition: Definition | None, key: str) -> None:
    """Refuse an override that the engine would not take as an answer."""
    if answer.given_up is not None or answer.refusal is not None:
        return
    subject = f"an outcome of {method.command.__name__} is {answer.value!r:.200}"
    if not method.contract.accepts(answer.value):
        raise WiringError(f"{subject}, which breaks the contract {method.contract.shown}", "mend outcomes=")
    for event in answer.events:
        if definition is None or type(event) not in definition.concerned:
            continue
        try:
            keys = definition.keys(event)
        except InvalidKey as error:
            raise WiringError(f"{subject}: {error}", "mend outcomes=") from error
        if keys != (key,):
            raise WiringError(
                f"{subject}, which belongs to flow {', '.join(keys)}; flow {key} asked",
                "copy the key from the command, by a function of it",
            )
