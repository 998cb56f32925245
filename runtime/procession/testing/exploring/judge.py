"""What counts as a finding, said once: each rule looks at one step of an explored flow."""

from __future__ import annotations

from collections.abc import Iterable

from procession.engine.turn import Life, TurnFailed
from procession.primitives.command import Command
from procession.primitives.definition import Definition
from procession.primitives.effects import After, At, Cancel
from procession.primitives.event import CommandGivenUp, CommandRefused, Event
from procession.primitives.handlers import Handler, Trigger, trigger_name, trigger_of
from procession.primitives.history import Turned
from procession.primitives.invariant import Invariant
from procession.testing.exploring.faults import Faults, Way
from procession.testing.exploring.steps import Step
from procession.testing.outcomes import Outcomes


class Judge:
    """Judges one process.

    What the class says on purpose is noted, and is no finding: `missing=` and `late=`, and a missing handler for a
    command that is given up, which sets the flow aside for a person.
    """

    def __init__(self, definition: Definition, outcomes: Outcomes, *, deadlines_at_end: bool) -> None:
        self.faults = Faults()
        self.by_hand: set[str] = set()
        """Commands whose giving up sets the flow aside."""
        self.by_refusal: set[str] = set()
        """Commands whose refusal sets the flow aside."""
        self.by_policy: set[str] = set()
        """Events that set the flow aside."""
        self.left_armed: set[str] = set()
        """Deadlines that the end disarmed."""
        self._definition = definition
        self._outcomes = outcomes
        self._process = definition.cls.__name__
        self._deadlines_at_end = deadlines_at_end
        self._late_answers: dict[Command, Event | None] = {}

    def invariant(self, rule: Invariant, raised: str, way: Way) -> None:
        """It must hold after each turn."""
        found = f"{rule.says} ({rule.name} raised {raised})" if raised else rule.says
        self.faults.add("invariant", rule.name, found, "mend the flow, or the rule", rule.site, way)

    def fails(self, failed: TurnFailed, event: Event, way: Way) -> None:
        """A turn that fails sets the flow aside."""
        found = f"a turn fails, and sets the flow aside: {failed}"
        self.faults.add("fails", failed.handler, found, "mend the handler", self._place(event), way)

    def set_aside(self, event: Event, life: Life) -> None:
        """The class says that this event sets the flow aside."""
        if isinstance(event, CommandRefused):
            self.by_refusal.add(type(event.command).__name__)
        elif isinstance(event, CommandGivenUp):
            self.by_hand.add(type(event.command).__name__)
        else:
            self.by_policy.add(f"{type(event).__name__} {'before the start' if life == 'unstarted' else 'at the end'}")

    def not_handled(self, command: Command, event: Event, way: Way) -> None:
        """A gateway's contract allows an answer to which the process has nothing to say."""
        method, receiver = self._outcomes.method(type(command)), self._outcomes.receiver(type(command))
        asked, answer = type(command).__name__, type(event).__name__
        self.faults.add(
            "not handled",
            f"{asked} → {answer}",
            f"{receiver.__name__}.{method.name} may answer {asked} with {answer},"
            f" for which {self._process} has no handler",
            f"give {self._process} one, or name {answer} in its concerns=",
            method.site,
            way,
        )

    def stuck(self, last: Step, way: Way) -> None:
        """Nothing moves the flow any more, and it has not ended."""
        event = last.turns[-1].event if last.turns else None
        self.faults.add(
            "stuck",
            last.name if event is None else type(event).__name__,
            f"{self._process} has not ended and waits for nothing: no command is open, no deadline is armed,"
            " and nothing that is still to come from outside moves it on",
            "end it here, or ask for something",
            self._definition.cls.__process__.site if event is None else self._place(event),
            way,
        )

    def ended(self, turned: Turned, earlier: Iterable[Command], disarmed: Iterable[str], key: str, way: Way) -> None:
        """What the end cuts off.

        Args:
            turned: the turn that ended the flow.
            earlier: commands that earlier turns asked for and that are not answered.
            disarmed: names of deadlines that earlier turns armed, and that were armed until now.
            key: of the flow.
            way: to here.
        """
        for event in _armed_in(turned):
            self.faults.add(
                "after the end",
                f"{turned.handler} arms {type(event).__name__}",
                f"{self._process}.{turned.handler} arms {type(event).__name__} in the turn that ends the flow:"
                " it never fires",
                "do not arm it there, or do not end there",
                self._place(turned.event),
                way,
            )
        for command in earlier:
            answer = self._late_answer(command, key)
            if answer is not None:
                self._ended_too_early(turned, command, answer, way)
        for name in disarmed:
            self.left_armed.add(name)
            if self._deadlines_at_end:
                self.faults.add(
                    "after the end",
                    f"deadline {name}",
                    f"{self._process}.{turned.handler} ends the flow while the deadline {name} is armed",
                    "cancel it, or end later",
                    self._place(turned.event),
                    way,
                )

    def late(self, event: Event, turned: Turned | None, way: Way) -> None:
        """A fact that the ending turn records, or the rest of an answer: the flow handles it, and never will."""
        handler = "the answer" if turned is None else f"{self._process}.{turned.handler}"
        verb = "goes on after the end with" if turned is None else "ends the flow, and before that records"
        self.faults.add(
            "after the end",
            type(event).__name__,
            f"{handler} {verb} {type(event).__name__}: its handler never runs",
            'end the flow in the handler of that event, or let that handler say late="ignore"',
            self._place(event),
            way,
        )

    def unreachable(self, handled: set[tuple[Trigger, bool]], *, given_up: bool) -> None:
        """Handlers that no explored run has run."""
        run: set[str] = set()
        every: dict[str, tuple[Handler, str]] = {}
        for trigger, reaction in self._definition.reactions.items():
            if isinstance(trigger, tuple) and not given_up:
                continue
            later = {(trigger, False)} if reaction.start is not None else {(trigger, True), (trigger, False)}
            both = {(trigger, True), (trigger, False)}
            for handler, turns in ((reaction.start, {(trigger, True)}), (reaction.on, later), (reaction.fold, both)):
                if handler is not None:
                    every.setdefault(handler.name, (handler, trigger_name(trigger)))
                    if turns & handled:
                        run.add(handler.name)
        for name, (handler, event) in every.items():
            if name not in run:
                self.faults.add(
                    "unreachable",
                    name,
                    f"{self._process}.{name} never runs: no {event} comes to a flow that would handle it",
                    "let something bring it about, or remove the handler",
                    handler.site,
                )

    def _ended_too_early(self, turned: Turned, command: Command, answer: Event, way: Way) -> None:
        asked, answered = type(command).__name__, _called(answer)
        self.faults.add(
            "after the end",
            f"{turned.handler} ends before {asked}",
            f"{self._process}.{turned.handler} ends the flow while {asked} is open:"
            f" its answer {answered}, which {self._process} handles, would come after the end",
            f'end when nothing is open; or, if it does not matter, let the handler of {answered} say late="ignore"',
            self._place(turned.event),
            way,
        )

    def _late_answer(self, command: Command, key: str) -> Event | None:
        """An answer to this command that the process handles while it runs, and misses after its end."""
        if command not in self._late_answers:
            answers = self._outcomes.of(command, self._definition, key)
            events = (event for answer in answers for event in answer.events_for(command))
            self._late_answers[command] = next((event for event in events if self._misses(event)), None)
        return self._late_answers[command]

    def _misses(self, event: Event) -> bool:
        reaction = self._definition.reaction(event)
        return reaction is not None and (reaction.on or reaction.fold) is not None and reaction.late != "ignore"

    def _place(self, event: Event) -> str:
        reaction = self._definition.reaction(event)
        handler = None if reaction is None else reaction.on or reaction.start or reaction.fold
        return self._definition.cls.__process__.site if handler is None else handler.site


def _armed_in(turned: Turned) -> list[Event]:
    armed: dict[str, Event] = {}
    for effect in turned.effects:
        if isinstance(effect, After | At):
            armed[effect.name] = effect.event
        elif isinstance(effect, Cancel):
            armed.pop(effect.name, None)
    return list(armed.values())


def _called(event: Event) -> str:
    if isinstance(event, CommandGivenUp | CommandRefused):
        return trigger_name(trigger_of(event))
    return type(event).__name__
