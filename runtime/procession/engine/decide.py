"""One aggregate decides one command: synchronous and pure, whatever the user wrote."""

from __future__ import annotations

import attrs

from procession.engine.guard import UNGUARDED, Guard
from procession.engine.turn import StateT, TurnFailed, describe, fold, settled, shown
from procession.primitives.aggregate import Aggregate
from procession.primitives.command import Command
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.definition import Folding
from procession.primitives.event import Event
from procession.primitives.refusal import Refusal
from procession.primitives.telling import concealed


@attrs.frozen(slots=True)
class Verdict:
    """What an aggregate made of a command: events, or a refusal."""

    events: tuple[Event, ...]
    refusal: Refusal | None
    name: str
    """The method's name."""


def decide(definition: AggregateDefinition, state: Aggregate, command: Command, guard: Guard = UNGUARDED) -> Verdict:
    """What an aggregate in this state decides.

    Raises:
        TurnFailed: the user's code raised, returned something else than it says, or was not pure where the guard
            raises; nothing has changed.
    """
    decision = definition.decisions[type(command)]
    verdict: object = None
    failed: TurnFailed | None = None
    around = guard.enter(definition.cls)
    guard.handler = decision.handler
    try:
        verdict = decision.handler.method(state, command)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - as a turn: whatever the user's code raises is its aggregate's fault
        failed = TurnFailed(decision.name, describe(error, command, state))
        failed.__cause__ = concealed(error, command, state)
    finally:
        guard.leave(around)
    if guard.found is not None:
        failed = settled(guard, failed)
    if failed is not None:
        raise failed
    if not decision.verdicts.accepts(verdict):
        found = f"returned {shown(verdict, repr, (command, state)):.60}, the contract is {decision.verdicts.shown}"
        raise TurnFailed(decision.name, found)
    if isinstance(verdict, Refusal):
        return Verdict((), verdict, decision.name)
    events = verdict if isinstance(verdict, tuple) else () if verdict is None else (verdict,)
    return Verdict(events, None, decision.name)


def apply(definition: Folding, state: StateT, events: tuple[Event, ...], guard: Guard = UNGUARDED) -> list[StateT]:
    """The states after each of the events that were just decided.

    Raises:
        TurnFailed: a fold raised, or returned something else than a state.
    """
    states: list[StateT] = []
    failed: TurnFailed | None = None
    around = guard.enter(definition.cls)
    try:
        for event in events:
            state = fold(definition.reaction(event), state, event, guard)
            states.append(state)
    except TurnFailed as error:
        failed = error
    finally:
        guard.leave(around)
    if guard.found is not None:
        failed = settled(guard, failed)
    if failed is not None:
        raise failed
    return states
