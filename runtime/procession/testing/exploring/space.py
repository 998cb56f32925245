"""The space of one flow: every standing that events can bring it to, breadth first, so that ways are shortest.

Two ways to one standing are one way from there on. What is kept apart is the flow's state and life, its open commands,
its armed deadlines, the events that wait for its start, what invariants have looked at, which kinds of events have come
from outside, and how many duplicates of them may still come (a standing that is reached with more of them left covers
the same one with fewer).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import attrs

from procession.primitives.command import Command
from procession.primitives.effects import After, At, Cancel, Record
from procession.primitives.envelope import Envelope
from procession.primitives.event import CancelRequested, Event
from procession.primitives.gateway import Gateway
from procession.primitives.handlers import Trigger, trigger_of
from procession.primitives.history import Turned
from procession.primitives.process import ProcessManager
from procession.testing.exploring.deadlines import Deadlines
from procession.testing.exploring.judge import Judge
from procession.testing.exploring.lens import Lens, View
from procession.testing.exploring.moves import EXPLORED_AT, NO_DEADLINES, Move, Node
from procession.testing.exploring.steps import How
from procession.testing.lone_flow import Course, EnvelopeMaker, LoneFlow, Standing
from procession.testing.outcomes import Answer, Outcomes

_TELL_EVERY = 500


@attrs.frozen
class Bounds:
    """Where a search stops, loudly."""

    states_max: int
    turns_max: int
    depth_max: int
    arrivals_max: int
    """Of each kind of event from outside; those after the first are duplicates, published again under another id."""


@attrs.frozen
class Kind:
    """One kind of event that comes from outside."""

    examples: tuple[Event, ...]
    hopeful: bool
    """Who waits for nothing but this event is not stuck, for it comes some day."""
    repeated: bool
    """Also when it has come before."""
    handled: bool
    """The process has more to say to it than that it has seen it."""


@attrs.define(eq=False)
class Tally:
    """What a search has come across."""

    turns: int = 0
    states: int = 1
    waiting: int = 0
    """States that were found and not looked at any more."""
    ends: int = 0
    stopped: str = ""
    """The bound that ended the search; empty where it saw everything."""
    handled: set[tuple[Trigger, bool]] = attrs.field(factory=set)
    """What turns have handled, and whether the flow started with it."""
    brought_about: set[type[Event]] = attrs.field(factory=set)
    """Events that the flow recorded or armed."""
    disarmed: set[str] = attrs.field(factory=set)
    """Names of deadlines that the flow disarmed, armed or not."""


class Space:
    """One search."""

    def __init__(
        self,
        lone: LoneFlow,
        key: str,
        outcomes: Outcomes,
        kinds: Sequence[Kind],
        lens: Lens,
        judge: Judge,
        bounds: Bounds,
        progress: Callable[[Tally], None],
    ) -> None:
        self.tally = Tally()
        self._lone = lone
        self._definition = lone.definition
        self._key = key
        self._outcomes = outcomes
        self._kinds = kinds
        self._lens = lens
        self._judge = judge
        self._bounds = bounds
        self._progress = progress
        self._counting = tuple(kind.handled and kind.hopeful and not kind.repeated for kind in kinds)
        """Of which kinds it matters whether one has come."""
        self._came: dict[tuple[int, ...], tuple[bool, ...]] = {}
        self._queue: deque[Node] = deque()
        self._known: dict[object, list[tuple[int, ...]]] = {}
        """Each standing that was found, with what was left to arrive when it was."""
        self._states: dict[ProcessManager, int] = {}
        self._views: dict[View, int] = {}
        self._numbers: dict[Command, int] = {}
        self._commands: list[Command] = []
        self._answers: list[tuple[tuple[How, tuple[Event, ...]], ...]] = []
        self._lanes: list[int] = []
        """Of each command: 0, or the number of the ordered gateway that takes it."""
        self._ordered: list[object] = [None]
        self._saw_time: dict[object, bool] = {}
        self._event_numbers: dict[Event, int] = {}

    def search(self) -> None:
        """Look at every standing, until all are seen or a bound is met.

        Raises:
            LooksElsewhere: an invariant asked something new; search again.
            WiringError: a command that no gateway takes, an event that can't be made up.
        """
        left = (self._bounds.arrivals_max,) * len(self._kinds)
        state, view = self._definition.cls(), self._lens.start()
        self._states[state] = self._views[view] = 0
        self._queue.append(Node(None, None, 0, Standing(state), (), NO_DEADLINES, view, left, 0, 0))
        self._known["before the start"] = [left]
        looked_at = 0
        while self._queue and not self.tally.stopped:
            self._look_at(self._queue.popleft())
            looked_at += 1
            if looked_at % _TELL_EVERY == 0:
                self._tell()
        self._tell()

    def _tell(self) -> None:
        self.tally.states, self.tally.waiting = len(self._known), len(self._queue)
        self._progress(self.tally)

    def _look_at(self, node: Node) -> None:
        """Everything that may happen next."""
        if node.depth >= self._bounds.depth_max:
            self.tally.stopped = f"depth_max = {self._bounds.depth_max:,}"
            self._queue.appendleft(node)
            return
        for number, rest in self._answerable(node.open):
            command = self._commands[number]
            for how, events in self._answers[number]:
                self._happen(Move(node, how, events, command, rest, node.deadlines, node.left))
        for index in node.deadlines.may_fire():
            event = node.deadlines.armed[index].event
            self._happen(Move(node, "fires", (event,), None, node.open, node.deadlines.fired(index), node.left))
        hope = bool(node.open or node.deadlines.armed or node.standing.life == "unstarted")
        for index, kind in enumerate(self._kinds):
            for event in kind.examples:
                moved = self._arrive(node, index, event)
                hope = hope or (moved and self._may_come(node, index))
        if not hope:
            assert node.step is not None, "an active flow was started by a step"
            self._judge.stuck(node.step, node.way)

    def _answerable(self, open_: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The commands that may be answered next, each with those that stay open."""
        met: set[int] = set()
        for place, number in enumerate(open_):
            lane = -self._lanes[number] or number + 1  # of an ordered gateway only the first one runs
            if lane not in met:
                met.add(lane)
                yield number, open_[:place] + open_[place + 1 :]

    def _may_come(self, node: Node, index: int) -> bool:
        """Whether an event of a kind comes some day: a duplicate of what has come already does not."""
        kind = self._kinds[index]
        return kind.hopeful and (kind.repeated or node.left[index] == self._bounds.arrivals_max)

    def _arrive(self, node: Node, index: int, event: Event) -> bool:
        """Let an event come from outside; whether it moves the flow on."""
        if type(event) is CancelRequested and node.standing.life != "active":
            return False
        left = node.left[index]
        if left:
            rest = (*node.left[:index], left - 1, *node.left[index + 1 :])
            how: How = "arrives" if left == self._bounds.arrivals_max else "arrives again"
            return self._happen(Move(node, how, (event,), None, node.open, node.deadlines, rest))
        if not self._kinds[index].repeated:
            return False
        course = self._lone.take(node.standing, event, self._envelope)
        self.tally.turns += len(course.turns)
        return _moves(node.standing, course)

    def _happen(self, move: Move) -> bool:
        """One thing happens to the flow; whether it moved it on."""
        moved = move.how not in ("arrives", "arrives again")
        for event in move.events:
            before = move.standing
            course = self._lone.take(before, event, self._envelope)
            moved = moved or _moves(before, course)
            self._follow(move, event, course)
            if course.broken is not None:
                return True
        if moved or move.turns:  # an event that moves nothing has come all the same, and comes no more
            self._arrived(move)
        return moved

    def _follow(self, move: Move, event: Event, course: Course) -> None:
        """Take over what one event led to, and judge it."""
        before, move.standing = move.standing, course.standing
        starting, armed = before.life == "unstarted", move.deadlines
        self.tally.turns += len(course.turns)
        for turned in course.turns:
            move.turns.append(turned)
            self.tally.handled.add((trigger_of(turned.event), starting))
            for effect in turned.effects:
                if isinstance(effect, Command):
                    move.sent.append(self._number(effect))
                elif isinstance(effect, Record):
                    self.tally.brought_about.add(type(effect.event))
                elif isinstance(effect, After | At):
                    move.arm(effect, saw_time=self._sees_time(turned.event))
                    self.tally.brought_about.add(type(effect.event))
                elif isinstance(effect, Cancel):
                    move.deadlines = move.deadlines.disarmed(effect.name)
                    self.tally.disarmed.add(effect.name)
            if self._lens.invariants:
                self._hold(move, turned, starting=starting)
            if turned.outcome is not None:
                self._ended(move, turned, armed)
            starting = False
        if course.broken is not None or course.refused:
            self._unhandled(move, event, course, before)

    def _hold(self, move: Move, turned: Turned, *, starting: bool) -> None:
        """The invariants hold after this turn, or it is a finding."""
        view = self._lens.advanced(move.view, turned)
        if view is move.view and not starting and turned.outcome is None:
            return
        move.view = view
        for rule, raised in self._lens.broken(view, turned.outcome):
            self._judge.invariant(rule, raised, move.way)

    def _ended(self, move: Move, turned: Turned, armed: Deadlines) -> None:
        self.tally.ends += 1
        earlier = [self._commands[number] for number in move.open]
        disarmed = {one.name for one in armed.armed} & {one.name for one in move.deadlines.armed}
        self._judge.ended(turned, earlier, sorted(disarmed), self._key, move.way)

    def _unhandled(self, move: Move, event: Event, course: Course, before: Standing) -> None:
        """Judge what no turn handled."""
        if course.policy:
            self._judge.set_aside(event, before.life)
        elif course.broken is not None:
            self.tally.turns += 1
            self._judge.fails(course.broken, event, move.way)
        for refused, refusal in course.refused:
            answer = move.how == "answers" and refused is event
            if answer and refusal == "ignored" and self._definition.reaction(event) is None:
                assert move.command is not None, "an answer has its command"
                self._judge.not_handled(move.command, event, move.way)
            elif refusal == "late" and (answer or (refused is not event and refused not in before.waiting)):
                self._judge.late(refused, None if answer else course.turns[-1], move.way)

    def _arrived(self, move: Move) -> None:
        """The move is done: if it leads to a standing that is new, or with more left to arrive, look at that later."""
        node, standing = move.node, move.standing
        opened = move.open
        if move.sent:
            opened = tuple(sorted((*opened, *move.sent), key=self._place))
        state, view = node.state_number, node.view_number
        if standing.state is not node.standing.state:
            state = self._states.setdefault(standing.state, len(self._states))
        if move.view is not node.view:
            view = self._views.setdefault(move.view, len(self._views))
        deadlines = NO_DEADLINES if standing.life == "ended" else move.deadlines
        identity = (state, view, opened, deadlines, *standing[1:], self._come(move.left))
        if self._is_new(identity, move.left):
            depth = node.depth + 1
            found = Node(node, move.step(), depth, standing, opened, deadlines, move.view, move.left, state, view)
            if standing.life != "ended":
                self._queue.append(found)

    def _is_new(self, identity: object, left: tuple[int, ...]) -> bool:
        """Whether a standing was not found before, or only with less left to arrive; it is noted then."""
        if self.tally.turns >= self._bounds.turns_max:
            self.tally.stopped = f"turns_max = {self._bounds.turns_max:,}"
        known = self._known.get(identity)
        if known is None:
            if len(self._known) >= self._bounds.states_max:
                self.tally.stopped = f"states_max = {self._bounds.states_max:,}"
                return False
            self._known[identity] = [left]
            return True
        if any(all(map(int.__ge__, other, left)) for other in known):
            return False
        known.append(left)
        return True

    def _come(self, left: tuple[int, ...]) -> tuple[bool, ...]:
        """Of each kind for which it matters: whether one has come."""
        found = self._came.get(left)
        if found is None:
            arrivals = zip(left, self._counting, strict=True)
            found = self._came[left] = tuple(counts and left < self._bounds.arrivals_max for left, counts in arrivals)
        return found

    def _number(self, command: Command) -> int:
        number = self._numbers.get(command)
        if number is None:
            receiver = self._outcomes.receiver(type(command))
            lane = 0
            if issubclass(receiver, Gateway) and receiver.__gateway__.policy.ordered:
                if receiver not in self._ordered:
                    self._ordered.append(receiver)
                lane = self._ordered.index(receiver)
            answers = self._outcomes.of(command, self._definition, self._key)
            number = self._numbers[command] = len(self._commands)
            self._commands.append(command)
            self._lanes.append(lane)
            self._answers.append(tuple(self._ways(command, answers)))
        return number

    def _ways(self, command: Command, answers: Sequence[Answer]) -> Iterator[tuple[How, tuple[Event, ...]]]:
        for answer in answers:
            events = answer.events_for(command)
            if answer.given_up is None and answer.refusal is None:
                yield "answers", events
            elif self._definition.reaction(events[0]) is not None:
                yield "is given up" if answer.refusal is None else "is refused", events
            else:
                # The flow is set aside until a person has the command sent again: then it is as open as before.
                self._judge.set_aside(events[0], "active")

    def _sees_time(self, event: Event) -> bool:
        """Whether the reaction to an event asks for its envelope, and so for the time of admission."""
        trigger = trigger_of(event)
        if trigger not in self._saw_time:
            reaction = self._definition.reactions[trigger]
            handlers = (reaction.start, reaction.on)
            self._saw_time[trigger] = any(handler is not None and handler.wants_envelope for handler in handlers)
        return self._saw_time[trigger]

    def _envelope(self, event: Event) -> Callable[[], Envelope]:
        return lambda: self._enveloped(event)

    def _enveloped(self, event: Event) -> Envelope:
        number = self._event_numbers.setdefault(event, len(self._event_numbers) + 1)
        return EnvelopeMaker(event, number, EXPLORED_AT, ((self._definition.name, self._key),))()

    def _place(self, number: int) -> tuple[int, int]:
        """Where a command stands among the open ones: in any fixed order, but for those of an ordered gateway."""
        return (self._lanes[number], 0 if self._lanes[number] else number)


def _moves(before: Standing, course: Course) -> bool:
    """Whether an event moved the flow on: it started, changed, asked for something, ended, or was set aside."""
    if course.broken is not None or course.life != before.life or course.waiting != before.waiting:
        return True
    if any(isinstance(effect, Command | After | At) for turned in course.turns for effect in turned.effects):
        return True
    return course.state is not before.state and course.state != before.state
