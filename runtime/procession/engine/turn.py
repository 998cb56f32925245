"""One flow handles one event: its fold, then its reaction. Synchronous and pure, whatever the user wrote."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import get_ident
from typing import Literal, NamedTuple, TypeVar

from procession.engine.guard import RUNNING, UNGUARDED, Guard
from procession.primitives.command import Command
from procession.primitives.definition import Definition, Reaction
from procession.primitives.effects import After, At, Cancel, Effect, End, Record
from procession.primitives.envelope import Envelope
from procession.primitives.event import CommandGivenUp, CommandRefused, Event, FailureEvent
from procession.primitives.process import ProcessManager
from procession.primitives.state import State
from procession.primitives.telling import concealed, told

StateT = TypeVar("StateT", bound=State)
Life = Literal["unstarted", "active", "ended"]
Place = Literal["step", "wait", "quarantine", "late", "missing", "already_started", "ignored", "given_up"]
FACTS_DEPTH_MAX = 100
"""Facts that lead to facts that lead to facts …: a flow that records deeper is set aside."""


class Turn(NamedTuple):
    """What a turn made of the state, and what it asks for."""

    state: ProcessManager
    effects: tuple[Effect, ...]
    outcome: str | None
    """How the flow ended with this turn; None while it goes on."""
    name: str
    """The handler's name."""


def refuse_in_turn(call: str) -> None:
    """Laws 3 and 7: nothing of the runtime is called from inside a turn.

    Raises:
        ImpureTurn: a turn is running.
    """
    guard = RUNNING.get(get_ident())
    if guard is not None:
        raise guard.refuse(call, sys._getframe(1))  # noqa: SLF001 - the error names the line that called


class TurnFailed(Exception):  # noqa: N818 - it carries the user's error to the flow's host and goes no further
    """A fold or reaction raised, or yielded what is no effect. State is as it was."""

    def __init__(self, handler: str, found: str) -> None:
        super().__init__(f"{handler}: {found}")
        self.handler = handler
        self.found = found


def place(life: Life, reaction: Reaction | None, event: Event) -> Place:  # noqa: PLR0911 - a table, read downwards
    """What an event finds in a flow, before any of the user's code runs."""
    if reaction is None:
        return "given_up" if isinstance(event, CommandGivenUp | CommandRefused) and life == "active" else "ignored"
    if life == "active":
        if reaction.on is None and reaction.start is not None:
            return "already_started"
        return "step"
    if life == "ended":
        if reaction.on is None and reaction.start is not None:
            return "already_started"
        return _LATE[reaction.late]
    if reaction.start is not None or reaction.missing == "start":
        return "step"
    return _MISSING[reaction.missing]


_LATE: dict[str, Place] = {"record": "late", "ignore": "ignored", "quarantine": "quarantine"}
_MISSING: dict[str, Place] = {"record": "missing", "wait": "wait", "ignore": "ignored", "quarantine": "quarantine"}


def run_turn(
    definition: Definition,
    state: ProcessManager,
    event: Event,
    life: Life,
    envelope: Callable[[], Envelope],
    effects_max: int,
    guard: Guard = UNGUARDED,
) -> Turn:
    """Fold, then react on the folded state.

    Raises:
        TurnFailed: the user's code raised, returned nonsense, asked for too much, or was not pure where the guard
            raises; nothing has changed.
    """
    reaction = definition.reaction(event)
    if reaction is None:
        return Turn(state, (), None, "seen")
    turn, failed = None, None
    around = guard.enter(definition.cls)
    try:
        turn = _fold_and_react(reaction, state, event, life, envelope, effects_max, guard)
    except TurnFailed as error:
        failed = error
    finally:
        guard.leave(around)
    if guard.found is not None:
        failed = settled(guard, failed)
    if failed is not None:
        raise failed
    assert turn is not None, "a turn that did not fail has a result"
    return turn


def refold(reaction: Reaction | None, state: StateT, event: Event, guard: Guard) -> StateT:
    """The state after an event of the past, guarded as its turn was; raises as `fold` does."""
    if reaction is None or reaction.fold is None:
        return state
    folded, failed = state, None
    around = guard.enter(type(state))
    try:
        folded = fold(reaction, state, event, guard)
    except TurnFailed as error:
        failed = error
    finally:
        guard.leave(around)
    if guard.found is not None:
        failed = settled(guard, failed)
    if failed is not None:
        raise failed
    return folded


def settled(guard: Guard, failed: TurnFailed | None) -> TurnFailed | None:
    """How a turn ends that was not pure; what the handler made of the error that it got does not matter."""
    breach = guard.settle()
    if breach is None:
        return failed
    impure = TurnFailed(breach.handler.rpartition(".")[2], str(breach))
    impure.__cause__ = breach
    return impure


def _fold_and_react(
    reaction: Reaction,
    state: ProcessManager,
    event: Event,
    life: Life,
    envelope: Callable[[], Envelope],
    effects_max: int,
    guard: Guard,
) -> Turn:
    folded = fold(reaction, state, event, guard)
    handler = reaction.start if life == "unstarted" and reaction.start is not None else reaction.on
    if handler is None:
        return Turn(folded, (), None, reaction.name)
    effects: list[Effect] = []
    problem = ""
    guard.handler = handler
    outcome = handler.mark.outcome if handler.mark.kind == "end" else None
    try:
        yielded = handler.method(folded, event, envelope()) if handler.wants_envelope else handler.method(folded, event)
        if yielded is not None:
            for effect in yielded:
                if not isinstance(effect, _EFFECTS):
                    problem = f"yielded {shown(effect, repr, (event, folded)):.60}, which is no effect"
                    break
                if type(effect) is End:
                    outcome = effect.outcome
                elif len(effects) >= effects_max:
                    problem = f"asked for more than {effects_max} effects"
                    break
                effects.append(effect)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - it is raised again, without secrets
        hands = (event, state, folded, *effects)
        raise TurnFailed(handler.name, describe(error, *hands)) from concealed(error, *hands)
    if problem:
        raise TurnFailed(handler.name, problem)
    return Turn(folded, tuple(effects), outcome, handler.name)


def fold(reaction: Reaction | None, state: StateT, event: Event, guard: Guard = UNGUARDED) -> StateT:
    """The state after an event: all that a replay runs.

    Raises:
        TurnFailed: the fold raised, or returned something else than a state.
    """
    if reaction is None or reaction.fold is None:
        return state
    assert not isinstance(event, FailureEvent), "a fold of a failure event is refused when the class is defined"
    guard.handler = reaction.fold
    try:
        folded = reaction.fold.method(state, event)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - it is raised again, without secrets
        raise TurnFailed(reaction.fold.name, describe(error, event, state)) from concealed(error, event, state)
    if type(folded) is not type(state):
        found = f"returned {shown(folded, repr, (event, state)):.60}, expected a {type(state).__name__}"
        raise TurnFailed(reaction.fold.name, found)
    assert isinstance(folded, type(state)), "it has the class of the state"
    return folded


def describe(error: BaseException, *hands: object) -> str:
    """An error in one line, with the place in the user's code, and without the secrets of what was in hand."""
    place = ""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is not None:
        code = frame.tb_frame.f_code
        place = f" at {code.co_filename.rsplit('/', maxsplit=1)[-1]}:{frame.tb_lineno}"
    text = shown(error, hands=hands)
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def shown(value: object, how: Callable[[object], str] = str, hands: tuple[object, ...] = ()) -> str:
    """What foreign code calls itself, in one line that can be written down; it may fail even at that.

    Args:
        value: an error, or what foreign code returned.
        how: it is made a text.
        hands: the messages and states that it may quote; their secrets are masked.
    """
    try:
        text = " ".join(how(value).split())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - as above
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"
    return told(text, *hands).encode("utf-8", "replace").decode()


_EFFECTS = (Command, After, At, Cancel, End, Record)
