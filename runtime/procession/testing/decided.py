"""Pure given/when/then for one aggregate: no runtime, no journal.

    def test_more_than_there_is_is_refused() -> None:
        given(Account, Deposited("a1", 500)).when(Withdraw("a1", 700)).then_refused(TooLittleMoney(200))

Compared is what an aggregate shows: the events that it decides, and its refusals; never its state (law 10).
"""

from __future__ import annotations

import functools

import attrs

from procession.engine.decide import Verdict, apply, decide
from procession.engine.guard import Guard
from procession.engine.turn import TurnFailed
from procession.errors import InvalidPayload
from procession.laws.purity import refuse_impure_aggregate
from procession.primitives.aggregate import Aggregate
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition, compile_aggregate
from procession.primitives.event import Event
from procession.primitives.lifts import Chains
from procession.primitives.refusal import Refusal
from procession.testing.sides import Said, shown, side_by_side

COMPILED_MAX = 256
"""Aggregates that are kept compiled between tests."""
__tracebackhide__ = True  # by pytest, which then shows the line of the test that claims what does not hold


@attrs.define(eq=False)
class LoneAggregate:
    """One aggregate by itself, with the engine's own decisions and folds."""

    definition: AggregateDefinition
    codec: Codec
    chains: Chains
    guard: Guard

    def folded(self, state: Aggregate, *events: Event) -> Aggregate:
        """The state after these events, lifted as a runtime lifts them.

        Raises:
            TurnFailed: a fold raised.
            InvalidPayload: an event can't be stored.
        """
        for event in events:
            self._check(event)
        states = apply(
            self.definition, state, tuple(self.chains.lifted(event, self._check) for event in events), self.guard
        )
        return states[-1] if states else state

    def decide(self, state: Aggregate, command: Command) -> tuple[Verdict, Aggregate]:
        """What is decided, and the state after it.

        Raises:
            TurnFailed: the user's code raised, or what it returned can't be stored.
            InvalidKey: the command names no aggregate.
        """
        self.definition.key_of(command)
        verdict = decide(self.definition, state, command, self.guard)
        try:
            if verdict.refusal is not None:
                self._check(verdict.refusal)
            return verdict, self.folded(state, *verdict.events)
        except InvalidPayload as error:
            raise TurnFailed(verdict.name, str(error)) from error

    def _check(self, message: Event | Refusal) -> None:
        self.codec.register(type(message))
        self.codec.check(message)


class AggregateScenario:
    """An aggregate with a past. It never changes, so one past can serve several tests."""

    def __init__(self, lone: LoneAggregate, state: Aggregate) -> None:
        self._lone = lone
        self._state = state

    def when(self, *commands: Command) -> Verdicts:
        """These commands come, one after another; compared is what the last one led to.

        Raises:
            ValueError: the aggregate does not decide a command.
            InvalidKey: a command names no aggregate.
        """
        if not commands:
            msg = "when() brings nothing; give it a command"
            raise ValueError(msg)
        state, verdict, failed = self._state, None, None
        for command in commands:
            if type(command) not in self._lone.definition.decisions:
                msg = f"{self._lone.definition.cls.__name__} does not decide {type(command).__name__}"
                raise ValueError(msg)
            try:
                verdict, state = self._lone.decide(state, command)
                failed = None
            except TurnFailed as error:
                verdict, failed = None, error
        return Verdicts(self._lone, state, ", ".join(map(str, commands)), verdict, failed)


class Verdicts(AggregateScenario):
    """What the last command led to. Each `then` claims one thing and can be chained."""

    def __init__(
        self, lone: LoneAggregate, state: Aggregate, cause: str, verdict: Verdict | None, failed: TurnFailed | None
    ) -> None:
        super().__init__(lone, state)
        self._cause = cause
        self._verdict = verdict
        self._failed = failed

    def then(self, *events: Event) -> Verdicts:
        """Exactly these events were decided, in this order."""
        if not events:
            msg = "then() claims nothing; write then_nothing()"
            raise ValueError(msg)
        return self._compare(events)

    def then_nothing(self) -> Verdicts:
        """It was decided that nothing happens; that is no refusal."""
        return self._compare(())

    def then_refused(self, refusal: Refusal) -> Verdicts:
        """It was refused, with this."""
        return self._compare((Said(f"refused: {refusal}"),))

    def then_fails(self, found: str = "") -> Verdicts:
        """The decision raised, or returned what its annotation does not say; `found` is part of the reason."""
        if self._failed is not None and found in str(self._failed):
            return self
        return self._fail((Said(f"fails: {found}".removesuffix(": ")),))

    def _found(self) -> tuple[object, ...]:
        if self._failed is not None:
            return (Said(f"fails: {self._failed}"),)
        assert self._verdict is not None, "a command is decided, or fails"
        if self._verdict.refusal is not None:
            return (Said(f"refused: {self._verdict.refusal}"),)
        return self._verdict.events

    def _compare(self, expected: tuple[object, ...]) -> Verdicts:
        return self if expected == self._found() else self._fail(expected)

    def _fail(self, expected: tuple[object, ...]) -> Verdicts:
        sides = side_by_side(tuple(map(shown, expected)), tuple(map(shown, self._found())))
        message = f"{self._lone.definition.name}, when {self._cause}\n{sides}"
        raise AssertionError(message) from (None if self._failed is None else self._failed.__cause__)


def aggregate_with(
    aggregate: type[Aggregate], events: tuple[Event, ...], chains: Chains, guard: Guard
) -> AggregateScenario:
    """An aggregate to which these events have happened; raises as `given`."""
    definition, codec = _compiled(aggregate)  # type: ignore[arg-type]  # a class can be hashed
    lone = LoneAggregate(definition, codec, chains, guard)
    try:
        return AggregateScenario(lone, lone.folded(aggregate(), *events))
    except TurnFailed as error:
        msg = f"the given events break {definition.name}: {error}"
        raise AssertionError(msg) from error.__cause__


@functools.lru_cache(COMPILED_MAX)
def _compiled(aggregate: type[Aggregate]) -> tuple[AggregateDefinition, Codec]:
    definition = compile_aggregate(aggregate)
    refuse_impure_aggregate(definition)
    return definition, Codec()
