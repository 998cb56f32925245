"""Gateways on a bad day, for `demo`: some calls are slow, fail or hang, some answers are another one, some are a no.

What becomes of a call depends on the seed, the command's content and the number of the try alone.
"""

# Chance is made from a seed, which the caller gives.
# ruff: noqa: S311

from __future__ import annotations

import functools
import inspect
import random
import types
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import trio

from procession.daemon.traffic import Made
from procession.errors import Refused
from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.fields import resolved_fields
from procession.primitives.gateway import CommandMethod, Gateway, command_methods, gateway_class
from procession.settings import GatewaysSettings, Settings

_FAILING_SHARE = 0.08
_HANGING_SHARE = 0.003
_OTHER_ANSWER_SHARE = 0.08
_REFUSED_SHARE = 0.006
_SLOW_SHARE = 0.02
_LATENCY_S = 0.008
_SLOW_S = 0.15
_POLICY: dict[str, bool | int | float | str | None] = {
    "attempts_max": 6,
    "backoff_initial_s": 0.05,
    "backoff_max_s": 0.5,
    "backoff_factor": 2.0,
    "timeout_s": 1.0,
    "breaker_failures": 10_000,
    "breaker_cooldown_s": 1.0,
}
"""So that a bad day is over in seconds."""


class BadDayError(Exception):
    """The call failed."""


def quick_to_retry(settings: Settings, gateways: Iterable[Gateway | type[Gateway]]) -> Settings:
    """The settings with short waits for these gateways."""
    names = [gateway_class(gateway).__gateway__.name for gateway in gateways]
    by_name = {**settings.gateways.by_name, **dict.fromkeys(names, _POLICY)}
    changed: GatewaysSettings = attrs.evolve(settings.gateways, by_name=by_name)
    return attrs.evolve(settings, gateways=changed)


def roughened(gateway: Gateway | type[Gateway], seed: int, *, fast: bool) -> Gateway | type[Gateway]:
    """The gateway, with a bad day between the runtime and it; of a class one that stands for it."""
    if isinstance(gateway, type):
        return _rough_class(gateway, seed, fast=fast)
    for method in command_methods(type(gateway)):
        rough = _Rough(method, getattr(gateway, method.name), seed, fast=fast)
        setattr(gateway, method.name, rough.call if method.is_async else rough.call_plain)
    return gateway


def _rough_class(cls: type[Gateway], seed: int, *, fast: bool) -> type[Gateway]:
    rough = {method.name: _rough_method(cls, method, seed, fast=fast) for method in command_methods(cls)}
    options = cls.__gateway__
    policy = attrs.asdict(options.policy, filter=lambda _, value: value is not None)
    made: Any = types.new_class(cls.__name__, (cls,), {"name": options.name, **policy}, lambda body: body.update(rough))
    made.__module__ = cls.__module__
    standing: type[Gateway] = made
    return standing


def _rough_method(cls: type[Gateway], method: CommandMethod, seed: int, *, fast: bool) -> Callable[..., Any]:
    """A method of the same signature; what it knows of earlier tries is that of the one instance a runtime has."""
    inner = getattr(cls, method.name)
    rough = _Rough(method, inner, seed, fast=fast)

    if method.is_async:

        @functools.wraps(inner)
        async def call(self: Gateway, command: Command, *attempt: object) -> object:
            rough.inner = inner.__get__(self)
            return await rough.call(command, *attempt)

        return call

    @functools.wraps(inner)
    def call_plain(self: Gateway, command: Command, *attempt: object) -> object:
        rough.inner = inner.__get__(self)
        return rough.call_plain(command, *attempt)

    return call_plain


@attrs.define(eq=False)
class _Rough:
    method: CommandMethod
    inner: Callable[..., Any]
    seed: int
    fast: bool = attrs.field(kw_only=True)
    tries: dict[str, int] = attrs.field(factory=dict)

    async def call(self, command: Command, *attempt: object) -> object:
        """In place of an `async def` method."""
        content, chance = self._next_try(command)
        if not self.fast:
            slow_s = _SLOW_S if chance.random() < _SLOW_SHARE else 0.0
            await trio.sleep(_LATENCY_S * (0.5 + chance.random()) + slow_s)
        if chance.random() < _HANGING_SHARE and not self.fast:
            await trio.sleep_forever()
        found = self._bad_answer(command, content, chance)
        if found is None:
            found = self.inner(command, *attempt)
            found = await found if inspect.isawaitable(found) else found
        del self.tries[content]
        return found

    def call_plain(self, command: Command, *attempt: object) -> object:
        """In place of a plain method."""
        content, chance = self._next_try(command)
        found = self._bad_answer(command, content, chance)
        if found is None:
            found = self.inner(command, *attempt)
        del self.tries[content]
        return found

    def _next_try(self, command: Command) -> tuple[str, random.Random]:
        content = repr(command)
        self.tries[content] = number = self.tries.get(content, 0) + 1
        return content, random.Random(f"{self.seed}/{content}/{number}")

    def _bad_answer(self, command: Command, content: str, chance: random.Random) -> Event | None:
        """Another answer of the contract, or None for the gateway's own.

        Raises:
            Refused: a no for good.
            BadDayError: this try failed.
        """
        lasting = random.Random(f"{self.seed}/{content}")  # a no stays a no, whatever the try
        if lasting.random() < _REFUSED_SHARE:
            raise Refused("the other side said no, for good")
        if chance.random() < _FAILING_SHARE:
            raise BadDayError("the other side is not reachable")
        others = self.method.contract.events[1:]
        if self.method.contract.many or not others or lasting.random() >= _OTHER_ANSWER_SHARE:
            return None
        known = {name: getattr(command, name) for name in resolved_fields(type(command))}
        try:
            return Made(lasting, "", "", known).message(lasting.choice(others))
        except TypeError:
            return None
