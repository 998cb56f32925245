"""The world behind the gateways: it keeps their contracts, and is slow, failing or stubborn, all by the seed."""

from __future__ import annotations

import random
from typing import Literal

import attrs
import trio

from procession.errors import Refused
from procession.journal.rows import CommandRow
from procession.laws.histories import Begun
from procession.primitives.codec import from_json
from procession.primitives.command import Command
from procession.primitives.gateway import Attempt
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.testing.outcomes import Answer, Outcomes
from procession.testing.simulation.disk import Disk, DiskJournal
from procession.testing.simulation.fault import OF_GATEWAYS, Fault, numbers
from procession.testing.simulation.plan import Plan
from procession.testing.simulation.trace import Trace

Temper = Literal["well", "moody", "ill"]
"""How the outside treats one command: always well, badly now and then, or badly until the trouble ends."""
_SLOW_S = (0.01, 0.3, 5.0, 100.0)


@attrs.define(eq=False)
class Surroundings:
    """Plays every gateway of one run."""

    plan: Plan
    registry: Registry
    outcomes: Outcomes
    disk: Disk
    trace: Trace
    begun: list[Begun] = attrs.field(factory=list)
    calm: bool = False
    """Everybody answers, at once."""
    _running: dict[str, int] = attrs.field(factory=dict)
    """By command id: calls of the process that lives."""
    _answered: dict[str, int] = attrs.field(factory=dict)
    """By command id: how often it had been sent again when the process that lives had its answer."""
    _ordinals: dict[tuple[str, str, Command], dict[str, int]] = attrs.field(factory=dict)
    """Which of several equal commands of one flow this is, by command id."""

    def process_started(self) -> None:
        """No call of a process that is gone runs on."""
        self._running.clear()
        self._answered.clear()

    async def play(self, command: Command, attempt: Attempt) -> object:
        """One attempt, as its gateway sees it."""
        name, flow = stored_of(type(command)).name, f"{attempt.process}/{attempt.key}"
        stored = self.disk.journal.stored_command(bytes.fromhex(attempt.command_id))
        beside = self._running.get(attempt.command_id, 0) > 0
        sent_again = _sent_again(stored)
        answered = self._answered.get(attempt.command_id) == sent_again
        state = "" if stored is None else stored.state
        self.begun.append(Begun(attempt.command_id, flow, name, state, beside, answered))
        self.trace.add("call", f"{name} of {flow}, attempt {attempt.number}, {attempt.command_id}")
        self._running[attempt.command_id] = self._running.get(attempt.command_id, 0) + 1
        journal = self.disk.journal
        try:
            answer = self._answer(command, attempt, name)
            if not self.calm:
                await self._trouble(attempt, name, f"{name} of {flow}")
        finally:
            if self.disk.journal is journal:
                self._running[attempt.command_id] -= 1
        if answer.given_up == "refused":
            raise Refused("refused, says the test")
        if answer.given_up is not None:
            raise ConnectionError("no answer, says the test")
        self.trace.add("answer", f"{name} of {flow}: {answer.value}")
        self._answered[attempt.command_id] = sent_again
        return answer.value

    def _answer(self, command: Command, attempt: Attempt, name: str) -> Answer:
        """The same answer whenever a command comes again under its id: the outside is idempotent."""
        same = self._ordinals.setdefault((attempt.process, attempt.key, command), {})
        ordinal = same.setdefault(attempt.command_id, len(same))
        answers = self.outcomes.of(command, self.registry.processes[attempt.process], attempt.key)
        chance = numbers("answer", self.plan.seed, attempt.process, attempt.key, name, ordinal)
        return answers[0] if chance.random() < _FIRST_SHARE else chance.choice(answers)

    async def _trouble(self, attempt: Attempt, name: str, what: str) -> None:
        """What goes wrong before the answer."""
        active = [fault for fault in OF_GATEWAYS if fault in self.plan.constant]
        if not active:
            return
        place = (self.plan.seed, attempt.process, attempt.key, name)
        temper = _temper(numbers("temper", *place).random())
        chance = numbers("attempt", *place, attempt.number)
        if temper == "well" or (temper == "moody" and chance.random() < _MOODY_SHARE):
            await trio.sleep(chance.choice((0.0, 0.0, 0.01)))
            return
        await self._suffer(chance.choice(active), chance, what)

    async def _suffer(self, fault: Fault, chance: random.Random, what: str) -> None:
        if fault is Fault.SLOW_GATEWAYS:
            await trio.sleep(chance.choice(_SLOW_S))
            return
        await trio.sleep(chance.choice((0.0, 0.01, 1.0)))
        self.trace.add("trouble", f"{fault}: {what}")
        if fault is Fault.FAILING_GATEWAYS:
            raise ConnectionError("simulated: the outside failed")
        if fault is Fault.REFUSING_GATEWAYS:
            if chance.random() < _MOODY_SHARE:
                raise Refused("simulated: no for good")
            return
        if fault is Fault.HANGING_GATEWAYS:
            await trio.sleep_forever()
        await self._be_stubborn(chance)

    async def _be_stubborn(self, chance: random.Random) -> None:
        """Go on for a while after the time-out or a cancellation, and answer all the same; not as a dead process."""
        journal = self.disk.journal
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            if journal.dead:
                raise
            with trio.CancelScope(shield=True):
                await trio.sleep(chance.choice((0.0, 0.01, 0.7)))
        await self._die_with(journal)

    async def _die_with(self, journal: DiskJournal) -> None:
        """A call of a process that is gone answers nobody."""
        if journal.dead:
            await trio.sleep_forever()


def _sent_again(stored: CommandRow | None) -> int:
    """How often an operator had a command sent again."""
    log = [] if stored is None or stored.log is None else from_json(stored.log)
    found: int = log[0].get("sent_again", 0) if log else 0
    return found


def _temper(share: float) -> Temper:
    if share < _WELL_SHARE:
        return "well"
    return "moody" if share < _ILL_FROM else "ill"


_FIRST_SHARE = 0.5
_WELL_SHARE, _ILL_FROM = 0.45, 0.85
_MOODY_SHARE = 0.5
