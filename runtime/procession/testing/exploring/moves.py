"""Nodes of an explored space, and moves between them: a move is one thing that happens at a node."""

from __future__ import annotations

import datetime

import attrs

from procession.primitives.command import Command
from procession.primitives.effects import After, At
from procession.primitives.event import Event
from procession.primitives.history import Turned
from procession.testing.exploring.deadlines import Deadlines
from procession.testing.exploring.lens import View
from procession.testing.exploring.steps import How, Step
from procession.testing.lone_flow import Standing

_MICROSECOND = datetime.timedelta(microseconds=1)
EXPLORED_AT = datetime.datetime(2000, 1, 1, microsecond=271_828, tzinfo=datetime.UTC)
"""The time of admission of every event. Its microseconds mark the times that are computed from it."""
NO_DEADLINES = Deadlines()


@attrs.define(slots=True, eq=False)
class Node:
    """One standing of the flow, with the first way that led there."""

    parent: Node | None
    step: Step | None
    depth: int
    standing: Standing
    open: tuple[int, ...]
    """Open commands by number; those of an ordered gateway in the order in which they were asked for."""
    deadlines: Deadlines
    view: View
    left: tuple[int, ...]
    """How often an event of each kind may still arrive from outside."""
    state_number: int
    view_number: int

    def way(self, *more: Step) -> tuple[Step, ...]:
        """What happened from the beginning, and then this."""
        steps = list(reversed(more))
        node: Node | None = self
        while node is not None and node.step is not None:
            steps.append(node.step)
            node = node.parent
        return tuple(reversed(steps))


@attrs.define(slots=True, eq=False)
class Move:
    """What happens at a node, and what the flow has made of it so far."""

    node: Node
    how: How
    events: tuple[Event, ...]
    command: Command | None
    """The one that is answered or given up."""
    open: tuple[int, ...]
    """Without that one, and without those that this move asks for."""
    deadlines: Deadlines
    left: tuple[int, ...]
    standing: Standing = attrs.field(init=False)
    view: View = attrs.field(init=False)
    turns: list[Turned] = attrs.field(factory=list)
    sent: list[int] = attrs.field(factory=list)
    """Commands that this move asks for."""
    fresh: dict[str, int] = attrs.field(factory=dict)
    """Deadlines that this move arms, by their delays in microseconds."""

    def __attrs_post_init__(self) -> None:
        """Begin where the node stands."""
        self.standing, self.view = self.node.standing, self.node.view

    def arm(self, effect: After | At, *, saw_time: bool) -> None:
        """A turn arms a deadline.

        A turn that saw its envelope may have computed an absolute time from the time of admission, which stands still
        here: what counts then is how much later it is. Of other times that it computed nothing is known.
        """
        if isinstance(effect, After):
            delay = effect.delay
        elif saw_time and effect.when.microsecond == EXPLORED_AT.microsecond:
            delay = max(effect.when - EXPLORED_AT, datetime.timedelta(0))
        else:
            at_us = None if saw_time else (effect.when - EXPLORED_AT) // _MICROSECOND
            self.deadlines = self.deadlines.with_at(effect.name, effect.event, at_us, self.fresh)
            return
        self.deadlines = self.deadlines.with_after(effect.name, effect.event, delay // _MICROSECOND, self.fresh)

    def step(self) -> Step:
        """The move as a step of a way."""
        return Step(self.how, self.events, self.command, tuple(self.turns))

    def way(self) -> tuple[Step, ...]:
        """What happened from the beginning until now."""
        return self.node.way(self.step())
