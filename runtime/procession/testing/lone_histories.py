"""One flow by itself while it gets a history: which of its commands are open, and which deadlines are armed."""

from __future__ import annotations

import datetime

from procession.primitives.command import Command
from procession.primitives.effects import After, At, Cancel
from procession.primitives.event import Event
from procession.testing.lone_flow import EnvelopeMaker, LoneFlow, Standing

_NOW = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


class LoneHistory:
    """Told of each event, it knows what may come next."""

    def __init__(self, lone: LoneFlow, key: str) -> None:
        self._lone = lone
        self._keys = ((lone.definition.name, key),)
        self._standing = Standing(lone.definition.cls())
        self._events = 0
        self.open: list[Command] = []
        """Commands that are not answered, in the order yielded."""
        self.armed: dict[str, Event] = {}
        """Deadlines by the names of their timers."""
        self.broken = False
        """The flow is in quarantine: no turn of it runs any more."""

    def fire(self, timer: str) -> Event:
        """A deadline comes: what is armed is armed no more."""
        return self.armed.pop(timer)

    def take(self, event: Event) -> None:
        """This event happens to the flow."""
        course = self._lone.take(self._standing, event, self._envelope)
        self._standing, self.broken = course.standing, course.broken is not None
        for turned in course.turns:
            for effect in turned.effects:
                if isinstance(effect, Command):
                    self.open.append(effect)
                elif isinstance(effect, After | At):
                    self.armed[effect.name] = effect.event
                elif isinstance(effect, Cancel):
                    self.armed.pop(effect.name, None)
            if turned.outcome is not None:
                self.armed.clear()

    def _envelope(self, event: Event) -> EnvelopeMaker:
        self._events += 1
        return EnvelopeMaker(event, self._events, _NOW, self._keys)
