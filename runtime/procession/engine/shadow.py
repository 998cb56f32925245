"""Shadow replay: a turn runs again in a second process, and what comes of it must be the same.

The second process has another hash seed, clock, random seed, time zone, working directory and environment, and does no
work: the guard raises there. So it finds what an audit hook can't see, and what the hook finds besides.
"""

from __future__ import annotations

import datetime
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

import attrs

from procession.engine.turn import Life, Turn
from procession.errors import InvalidPayload
from procession.primitives.allowance import allows_impurity
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.command import Command
from procession.primitives.definition import Definition
from procession.primitives.effects import After, At, Cancel, Effect, End, Record
from procession.primitives.envelope import Envelope
from procession.primitives.event import CommandGivenUp, CommandRefused, Event
from procession.primitives.process import ProcessManager
from procession.primitives.secrecy import Plan, masked_data, plan_of
from procession.primitives.stored import stored_of

ANSWER_WAIT_S = 30
"""A second process that takes longer over one turn is ended."""
ANSWER_BYTES_MAX = 67_108_864
TURNS_PER_CHILD = 10_000
"""Then a new process goes on, under the next hash seed."""
_SHOWN_CHARS_MAX = 120
_MICROSECOND = datetime.timedelta(microseconds=1)

ClassName = tuple[str, str]
"""Module and qualified name."""


class Job(TypedDict):
    """One turn for the second process, as a line of JSON."""

    process: ClassName
    event: ClassName
    held: list[ClassName]
    """Classes of the command and the refusal that the event's payload holds."""
    state: str
    payload: str
    life: Life
    envelope: dict[str, Any]
    effects_max: int


class Answer(TypedDict, total=False):
    """What came of a turn; `failed` alone where it raised."""

    handler: str
    outcome: str | None
    effects: list[dict[str, Any]]
    state: Any
    failed: str
    hidden: dict[str, Any]
    """What of these is secret, by plans: of the state, and of each effect by its number."""


class Reply(TypedDict, total=False):
    """What the second process found: two runs of the turn, or why there are none."""

    runs: list[Answer]
    changed: str
    """What the turn changed in place; empty where nothing."""
    unshadowed: str


class Unshadowed(Exception):  # noqa: N818 - it says what became of a turn
    """A turn can't run in a second process; its text says why."""


def is_allowed(definition: Definition, event: Event) -> bool:
    """Whether the handlers of an event have leave not to be pure: their turns are not replayed, since they may work."""
    reaction = definition.reaction(event)
    handlers = () if reaction is None else (reaction.start, reaction.on, reaction.fold)
    return allows_impurity(definition.cls, *(handler.method for handler in handlers if handler is not None))


def job_of(
    definition: Definition,
    codec: Codec,
    state: ProcessManager,
    event: Event,
    payload: str,
    life: Life,
    envelope: Envelope,
    effects_max: int,
) -> Job:
    """A turn as a line for the second process.

    Raises:
        Unshadowed: a class can't be imported there, or the state can't be written.
    """
    held: list[type] = [type(event.command)] if isinstance(event, CommandGivenUp | CommandRefused) else []
    if isinstance(event, CommandRefused):
        held.append(type(event.refusal))
    return Job(
        process=name_of(definition.cls),
        event=name_of(type(event)),
        held=[name_of(cls) for cls in held],
        state=state_text(codec, state),
        payload=payload,
        life=life,
        envelope=attrs.asdict(envelope),
        effects_max=effects_max,
    )


def name_of(cls: type) -> ClassName:
    """Where another process finds a class.

    Raises:
        Unshadowed: nowhere: it is defined in a function, or in the program itself.
    """
    found: object = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    if found is not cls or cls.__module__ == "__main__":
        raise Unshadowed(
            f"{cls.__module__}.{cls.__qualname__} can't be imported by its name; define it at the top of a module"
        )
    return cls.__module__, cls.__qualname__


def state_text(codec: Codec, state: ProcessManager) -> str:
    """A state as JSON.

    Raises:
        Unshadowed: it holds what can't be written.
    """
    try:
        return codec.state_to_json(state)
    except InvalidPayload as error:
        raise Unshadowed(f"the state of {type(state).__name__} can't be written as JSON: {error}") from error


def answer_of(turn: Turn, codec: Codec) -> Answer:
    """What came of a turn, as plain data: nothing of it depends on ids or on when it ran.

    Raises:
        Unshadowed: the state can't be written.
    """
    try:
        effects = [_told(effect, codec) for effect in turn.effects]
    except InvalidPayload as error:
        return Answer(failed=str(error))
    plans = {"state": plan_of(type(turn.state)), **{str(at): _plan(one) for at, one in enumerate(turn.effects)}}
    return Answer(
        handler=turn.name,
        outcome=turn.outcome,
        effects=effects,
        state=from_json(state_text(codec, turn.state)),
        hidden={name: plan for name, plan in plans.items() if plan},
    )


def _plan(effect: Effect) -> Plan:
    message = effect.event if isinstance(effect, After | At | Record) else effect
    return plan_of(type(message)) if isinstance(message, Event | Command) else {}


def _told(effect: Effect, codec: Codec) -> dict[str, Any]:
    match effect:
        case Command():
            return {"command": stored_of(type(effect)).name, **_data(effect, codec)}
        case After(delay, event, name):
            return {"timer": name, "after_us": delay // _MICROSECOND, **_data(event, codec)}
        case At(when, event, name):
            return {"timer": name, "at": when.isoformat(), **_data(event, codec)}
        case Cancel(name):
            return {"cancel": name}
        case End(outcome):
            return {"end": outcome}
        case Record(event):
            return {"record": stored_of(type(event)).name, **_data(event, codec)}


def _data(message: Event | Command, codec: Codec) -> dict[str, Any]:
    codec.register(type(message))
    data: dict[str, Any] = from_json(codec.encode(message))
    return data


def judged(here: Answer, reply: Reply) -> str:
    """How a turn came out differently, in one line; empty where it did not.

    Raises:
        Unshadowed: it did not run there.
    """
    if "unshadowed" in reply:
        raise Unshadowed(reply["unshadowed"])
    first, second = reply["runs"]
    if found := _difference(here, first):
        return f"{found} in a second process"
    if found := _difference(first, second):
        return f"{found} when it runs once more"
    return f"changes its {reply['changed']} in place" if reply["changed"] else ""


def _difference(one: Answer, other: Answer) -> str:
    if "failed" in other and "failed" not in one:
        return f"fails with {other['failed']!s:.{4 * _SHOWN_CHARS_MAX}}"
    for (where, first, second), shown in zip(_pairs(one, other), _pairs(_hidden(one), _hidden(other)), strict=False):
        if first != second:
            return f"has {where} {_shown(shown[1])}, but {_shown(shown[2])}"
    return ""


def _hidden(answer: Answer) -> Answer:
    """An answer with its secrets masked."""
    plans = answer.get("hidden", {})
    effects = [_hidden_effect(one, plans.get(str(at), {})) for at, one in enumerate(answer.get("effects", []))]
    return {**answer, "effects": effects, "state": masked_data(answer.get("state"), plans.get("state", {}))}


def _hidden_effect(effect: dict[str, Any], plan: Plan) -> dict[str, Any]:
    named = [name for name in ("command", "timer", "after_us", "at", "record", "cancel", "end") if name in effect]
    return {**masked_data(effect, plan), **{name: effect[name] for name in named}}


def _pairs(one: Answer, other: Answer) -> Iterator[tuple[str, object, object]]:
    """Both answers part by part, the small parts first, so that a difference is named by its field."""
    effects, others = one.get("effects", []), other.get("effects", [])
    for number, (effect, another) in enumerate(zip(effects, others, strict=False)):
        kind = next(iter(effect))
        title = f"effect {number} ({kind} {effect[kind]})"
        if effect.keys() == another.keys():
            yield from ((f"{title} with {name}", effect[name], another[name]) for name in effect)
        yield title, effect, another
    yield "effects", effects, others
    yield "the outcome", one.get("outcome"), other.get("outcome")
    yield "the handler", one.get("handler"), other.get("handler")
    state, later = one.get("state"), other.get("state")
    if isinstance(state, dict) and isinstance(later, dict):
        yield from ((f"the state with {name}", state[name], later.get(name)) for name in state)
    yield "the state", state, later


def _shown(value: object) -> str:
    text = to_json(value).decode()
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "…"


# How the second process is started.


def child_command() -> list[str]:
    """The program of the second process."""
    return [sys.executable, "-m", "procession.engine.shadow_child"]


def child_environment(number: int, environ: Mapping[str, str]) -> dict[str, str]:
    """What the second process finds around it: the same modules, another hash seed and time zone.

    Modules are imported with the rest of the environment as it is here; a turn then sees none of it.

    Args:
        number: the how-manieth process it is; each has a hash seed of its own.
        environ: the environment of this process.
    """
    ours = environ.get("PYTHONHASHSEED", "")
    seed = _FIRST_SEED + number
    if ours == str(seed):
        seed += _FIRST_SEED
    return {
        **environ,
        "PYTHONHASHSEED": str(seed),
        "PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in sys.path),  # noqa: PTH100 - "" is the working directory
        "TZ": "Pacific/Chatham" if environ.get("TZ") != "Pacific/Chatham" else "America/St_Johns",
    }


def child_folder() -> str:
    """The working directory of the second process: not this one."""
    return tempfile.gettempdir() if os.getcwd() == os.sep else os.sep  # noqa: PTH109 - as text


_FIRST_SEED = 7_919
