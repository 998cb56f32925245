"""Senders of commands: each asks again under its id until it is answered, and must be answered the same ever after."""

from __future__ import annotations

import attrs
import trio

from procession.errors import NotAccepted, OutcomeUnknown, RuntimeClosed
from procession.facade import Runtime
from procession.primitives.event import Event
from procession.primitives.refusal import Refusal
from procession.sending import Reply
from procession.testing.simulation.fault import numbers
from procession.testing.simulation.plan import SOURCE, Plan, Sending
from procession.testing.simulation.trace import Trace


@attrs.define(eq=False)
class Senders:
    """Of one run; what they heard outlives the processes that told them."""

    plan: Plan
    trace: Trace
    acknowledged: list[tuple[str, str, int]]
    breaches: list[tuple[str, str]]
    unheard: list[Sending] = attrs.field(init=False)
    _told: dict[str, tuple[tuple[Event, ...], Refusal | None]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.unheard = list(self.plan.sendings)

    async def send(self, runtime: Runtime, sending: Sending) -> None:
        """Ask, again and again, until an answer is heard."""
        await trio.sleep_until(sending.at_s)
        chance = numbers("asker", self.plan.seed, sending.id)
        while True:
            try:
                reply = await runtime.send(sending.command, id=sending.id, source=SOURCE)
            except (OutcomeUnknown, RuntimeClosed, NotAccepted):
                await trio.sleep(chance.choice((0.001, 0.2, 1.0)))
            else:
                self.unheard.remove(sending)
                self._heard(sending, reply)
                return

    async def again(self, runtime: Runtime) -> None:
        """All is asked once more; nothing may come of it."""
        for sending in self.plan.sendings:
            self._heard(sending, await runtime.send(sending.command, id=sending.id, source=SOURCE))

    def _heard(self, sending: Sending, reply: Reply) -> None:
        self.trace.add("decided", f"{sending.id} at {reply.position}: {reply.refusal or reply.events}")
        self.acknowledged.append((SOURCE, sending.id, reply.position - len(reply.events)))
        answer = (reply.events, reply.refusal)
        first = self._told.setdefault(sending.id, answer)
        if first != answer:
            found = f"{sending.id} was answered with {first}, and then with {answer}"
            self.breaches.append(("each_command_is_answered_the_same", found))
