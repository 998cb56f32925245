"""One flow handles one event: its fold, then its reaction. Synchronous and pure, whatever the user wrote."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Literal

import attrs

from procession.errors import ImpureCall
from procession.primitives.command import Command
from procession.primitives.definition import Definition, Reaction
from procession.primitives.effects import After, At, Cancel, Effect, End, Record
from procession.primitives.envelope import Envelope
from procession.primitives.event import CommandGivenUp, Event, FailureEvent
from procession.primitives.process import ProcessManager

Life = Literal["unstarted", "active", "ended"]
Place = Literal["step", "wait", "quarantine", "late", "missing", "already_started", "ignored", "given_up"]
FACTS_DEPTH_MAX = 100
"""Facts that lead to facts that lead to facts …: a flow that records deeper is set aside."""


@attrs.frozen(slots=True)
class Turn:
    """What a turn made of the state, and what it asks for."""

    state: ProcessManager
    effects: tuple[Effect, ...]
    outcome: str | None
    """How the flow ended with this turn; None while it goes on."""
    name: str
    """The handler's name."""


_IN_TURN: ContextVar[bool] = ContextVar("procession_in_turn", default=False)


def refuse_in_turn(call: str) -> None:
    """Laws 3 and 7: nothing of the runtime is called from inside a turn.

    Raises:
        ImpureCall: a turn is running.
    """
    if _IN_TURN.get():
        raise ImpureCall(call)


class TurnFailed(Exception):  # noqa: N818 - it carries the user's error to the flow's host and goes no further
    """A fold or reaction raised, or yielded what is no effect. State is as it was."""

    def __init__(self, handler: str, found: str) -> None:
        super().__init__(f"{handler}: {found}")
        self.handler = handler
        self.found = found


def place(life: Life, reaction: Reaction | None, event: Event) -> Place:  # noqa: PLR0911 - a table, read downwards
    """What an event finds in a flow, before any of the user's code runs."""
    if reaction is None:
        return "given_up" if isinstance(event, CommandGivenUp) and life == "active" else "ignored"
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
) -> Turn:
    """Fold, then react on the folded state.

    Raises:
        TurnFailed: the user's code raised, returned nonsense or asked for too much; nothing has changed.
    """
    reaction = definition.reaction(event)
    if reaction is None:
        return Turn(state, (), None, "seen")
    token = _IN_TURN.set(True)
    try:
        return _fold_and_react(reaction, state, event, life, envelope, effects_max)
    finally:
        _IN_TURN.reset(token)


def _fold_and_react(
    reaction: Reaction,
    state: ProcessManager,
    event: Event,
    life: Life,
    envelope: Callable[[], Envelope],
    effects_max: int,
) -> Turn:
    folded = fold(reaction, state, event)
    handler = reaction.start if life == "unstarted" and reaction.start is not None else reaction.on
    if handler is None:
        return Turn(folded, (), None, reaction.name)
    effects: list[Effect] = []
    problem = ""
    outcome = handler.mark.outcome if handler.mark.kind == "end" else None
    try:
        yielded = handler.method(folded, event, envelope()) if handler.wants_envelope else handler.method(folded, event)
        if yielded is not None:
            for effect in yielded:
                if not isinstance(effect, _EFFECTS):
                    problem = f"yielded {shown(effect, repr):.60}, which is no effect"
                    break
                if type(effect) is End:
                    outcome = effect.outcome
                elif len(effects) >= effects_max:
                    problem = f"asked for more than {effects_max} effects"
                    break
                effects.append(effect)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise TurnFailed(handler.name, describe(error)) from error
    if problem:
        raise TurnFailed(handler.name, problem)
    return Turn(folded, tuple(effects), outcome, handler.name)


def fold(reaction: Reaction | None, state: ProcessManager, event: Event) -> ProcessManager:
    """The state after an event: all that a replay runs.

    Raises:
        TurnFailed: the fold raised, or returned something else than a state.
    """
    if reaction is None or reaction.fold is None:
        return state
    assert not isinstance(event, FailureEvent), "a fold of a failure event is refused when the class is defined"
    try:
        folded = reaction.fold.method(state, event)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise TurnFailed(reaction.fold.name, describe(error)) from error
    if type(folded) is not type(state):
        raise TurnFailed(reaction.fold.name, f"returned {shown(folded, repr):.60}, expected a {type(state).__name__}")
    return folded


def describe(error: BaseException) -> str:
    """An error in one line, with the place in the user's code."""
    place = ""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is not None:
        code = frame.tb_frame.f_code
        place = f" at {code.co_filename.rsplit('/', maxsplit=1)[-1]}:{frame.tb_lineno}"
    text = shown(error)
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def shown(value: object, how: Callable[[object], str] = str) -> str:
    """What foreign code calls itself, in one line that can be written down; it may fail even at that."""
    try:
        text = " ".join(how(value).split())
    except Exception as error:  # noqa: BLE001 - as above
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"
    return text.encode("utf-8", "replace").decode()


_EFFECTS = (Command, After, At, Cancel, End, Record)
