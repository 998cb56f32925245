"""News of a command, as JSON data and back: the runtime's own events that hold a command, and a refusal, of yours.

They are generic, so no hooks can be built for them; what they hold has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from procession.errors import InvalidPayload
from procession.primitives.command import Command
from procession.primitives.event import CommandDecided, CommandGivenUp, CommandRefused, Event
from procession.primitives.refusal import Refusal
from procession.primitives.stored import stored_of

News = CommandGivenUp[Command] | CommandRefused[Command] | CommandDecided[Command]


class Structure(Protocol):
    """Makes a message of parsed JSON."""

    def __call__(self, cls: type[Any], data: object) -> Any:  # noqa: ANN401 - of the class that is given
        """Raises InvalidPayload."""
        ...


def news_data(event: News, unstructure: Callable[[object], object]) -> dict[str, object]:
    """The data of news."""
    data: dict[str, object] = {
        "command_type": stored_of(type(event.command)).name,
        "command": unstructure(event.command),
    }
    if isinstance(event, CommandGivenUp):
        data |= {
            "command_id": event.command_id,
            "reason": event.reason,
            "attempts": event.attempts,
            "found": event.found,
        }
    elif isinstance(event, CommandRefused):
        stored = stored_of(type(event.refusal))
        data |= {
            "command_id": event.command_id,
            "aggregate": event.aggregate,
            "key": event.key,
            "refusal_type": stored.name,
            "refusal_version": stored.version,
            "refusal": unstructure(event.refusal),
        }
    else:
        data |= {
            "aggregate": event.aggregate,
            "key": event.key,
            "decision": event.decision,
            "events": event.events,
        }
    return data


def read_news(
    cls: type[Event],
    data: object,
    commands: Mapping[str, type[Command]],
    refusals: Mapping[tuple[str, int], type[Refusal]],
    structure: Structure,
) -> News:
    """The news that data holds.

    Raises:
        InvalidPayload: the class of its command or refusal is not registered, or does not fit it.
    """
    name = stored_of(cls).name
    if not isinstance(data, dict) or data.get("command_type") not in commands:
        found = data.get("command_type") if isinstance(data, dict) else data
        raise InvalidPayload(name, f"the command type {found!r} is not registered")
    command = structure(commands[data["command_type"]], data["command"])
    if cls is CommandGivenUp:
        return CommandGivenUp(command, data["command_id"], data["reason"], data["attempts"], data["found"])
    if cls is CommandDecided:
        return CommandDecided(command, data["aggregate"], data["key"], data["decision"], data["events"])
    kind = refusals.get((data["refusal_type"], data["refusal_version"]))
    if kind is None:
        raise InvalidPayload(name, f"the refusal type {data['refusal_type']!r} is not registered")
    refusal = structure(kind, data["refusal"])
    return CommandRefused(command, data["command_id"], data["aggregate"], data["key"], refusal)
