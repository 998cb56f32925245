"""Gateways whose work is played: of the same name, policy and contracts, and nothing outside is called."""

from __future__ import annotations

import functools
import operator
import types
import typing
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from procession.primitives.command import Command
from procession.primitives.gateway import Attempt, CommandMethod, Gateway, command_methods


class Player(Protocol):
    """Plays what a gateway does."""

    async def play(self, command: Command, attempt: Attempt) -> object:
        """The answer to one attempt; or what the gateway would raise."""
        ...


def stand_in(gateway: type[Gateway], player: Player) -> Gateway:
    """A gateway that is to the engine what an instance of this class is, and hands every call to the player.

    A plain `def` becomes `async`: it runs in no thread, so a run is the same again.
    """
    by_method: dict[str, list[CommandMethod]] = {}
    for method in command_methods(gateway):
        by_method.setdefault(method.name, []).append(method)
    played = {name: _played(gateway, methods, player) for name, methods in by_method.items()}
    options = gateway.__gateway__
    policy = attrs.asdict(options.policy, filter=lambda _, value: value is not None)
    policy["host"] = False  # what is played needs no loop
    made: Any = types.new_class(
        gateway.__name__, (Gateway,), {"name": options.name, **policy}, lambda body: body.update(played)
    )
    made.__module__ = gateway.__module__
    made.__brings__ = gateway.__brings__
    standing: Gateway = made()
    return standing


def _played(gateway: type[Gateway], methods: list[CommandMethod], player: Player) -> Callable[..., object]:
    """A method that takes the same commands under the same contract."""

    async def play(_: Gateway, command: Command, attempt: Attempt) -> object:
        return await player.play(command, attempt)

    hints = typing.get_type_hints(getattr(gateway, methods[0].name))
    commands = functools.reduce(operator.or_, [method.command for method in methods])
    play.__annotations__ = {"command": commands, "attempt": Attempt, "return": hints["return"]}
    play.__name__ = methods[0].name
    play.__qualname__ = f"{gateway.__name__}.{methods[0].name}"
    return play


@attrs.define(eq=False)
class Stage:
    """A player that can be replaced: gateways are made once, and play for one run after the other."""

    player: Player | None = None

    async def play(self, command: Command, attempt: Attempt) -> object:
        """Hand it to whoever plays now."""
        assert self.player is not None, "a run plays before its gateways are called"
        return await self.player.play(command, attempt)
