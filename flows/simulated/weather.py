"""How an outside system behaves today, decided by a seed.

Whether a call is slow, fails, hangs or is declined depends on the seed, the command's id and the attempt's number
alone. So a run with the same ids goes the same way, whatever runs beside it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import trio

from procession import Attempt

AnswerT = TypeVar("AnswerT")


class OutsideError(Exception):
    """The outside system failed; whether it did its work before is not known."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Shares are of attempts, from 0 to 1; what declines is a share of commands, since a no stays a no."""

    seed: int = 0
    latency_s: float = 0.0
    """What a call takes on average; from half to one and a half times of it."""
    slow_share: float = 0.0
    slow_s: float = 1.0
    """What a slow call takes on top."""
    failing_share: float = 0.0
    """Half of them fail before the work is done, half after it: then only the answer is lost."""
    silent_share: float = 0.0
    """They do their work and never answer, until the attempt times out."""
    declining_share: float = 0.0

    def declines(self, attempt: Attempt) -> bool:
        """Whether the answer to this command is a no, in every attempt."""
        return self._chance("decline", attempt.command_id) < self.declining_share

    async def before_work(self, attempt: Attempt) -> None:
        """The way there.

        Raises:
            OutsideError: the call failed, nothing was done.
        """
        name = f"{attempt.command_id}/{attempt.number}"
        delay_s = self.latency_s * (0.5 + self._chance("latency", name))
        if self._chance("slow", name) < self.slow_share:
            delay_s += self.slow_s
        await trio.sleep(delay_s)
        if self._chance("fail", name) < self.failing_share / 2:
            msg = "the outside system is not reachable"
            raise OutsideError(msg)

    async def after_work(self, attempt: Attempt) -> None:
        """The way back.

        Raises:
            OutsideError: the answer got lost, the work was done.
        """
        name = f"{attempt.command_id}/{attempt.number}"
        if self._chance("silent", name) < self.silent_share:
            await trio.sleep_forever()
        if self.failing_share / 2 <= self._chance("fail", name) < self.failing_share:
            msg = "the outside system did not answer"
            raise OutsideError(msg)

    def _chance(self, what: str, name: str) -> float:
        digest = hashlib.blake2b(f"{self.seed}/{what}/{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


CALM = Weather()
"""Answers at once, never fails."""


@dataclass(slots=True)
class Desk(Generic[AnswerT]):
    """Takes calls in this weather, and gives a repeated command the answer it gave before.

    It remembers the last `answers_max` commands; an outside system of yours should remember for as long as your
    gateway's `give_up_after_s`.
    """

    weather: Weather
    answers_max: int = 10_000
    done: int = 0
    """How often work was really done: once for each command, however often it was repeated."""
    _answers: OrderedDict[str, AnswerT] = field(default_factory=OrderedDict)

    async def call(self, attempt: Attempt, work: Callable[[], AnswerT]) -> AnswerT:
        """Do `work` once for this command, and answer with its result.

        Raises:
            OutsideError: by the weather.
        """
        await self.weather.before_work(attempt)
        answer = self._once(attempt.command_id, work)
        await self.weather.after_work(attempt)
        return answer

    def _once(self, command_id: str, work: Callable[[], AnswerT]) -> AnswerT:
        if command_id in self._answers:
            return self._answers[command_id]
        answer = self._answers[command_id] = work()
        self.done += 1
        if len(self._answers) > self.answers_max:
            self._answers.popitem(last=False)
        return answer
