"""`explore`: every order of answers, deadlines, duplicates and late arrivals that one flow may meet.

    def test_no_order_of_events_breaks_an_order() -> None:
        explore(Order, gateways=[Payments, Parcels], invariants=[never_ships_what_it_refunds]).assert_clean()

A turn is pure, a deadline is an event, and a gateway's return annotation says what may be answered: so all that may
happen to a flow can be tried, with nothing running. Turns and places are the engine's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from procession.errors import DefinitionError, InvalidKey, WiringError
from procession.primitives.aggregate import Aggregate
from procession.primitives.codec import Codec
from procession.primitives.command import Command
from procession.primitives.definition import Definition, commands_named, compile_definition, events_named
from procession.primitives.event import OWN_EVENTS, CancelRequested, Event
from procession.primitives.gateway import Gateway
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager
from procession.primitives.site import class_site
from procession.primitives.stored import stored_of
from procession.primitives.wiring import Wiring
from procession.testing.examples import VARIANTS_MAX, Examples
from procession.testing.exploring.judge import Judge
from procession.testing.exploring.lens import Lens, LooksElsewhere
from procession.testing.exploring.report import Exploration
from procession.testing.exploring.space import Bounds, Kind, Space, Tally
from procession.testing.lone_flow import EFFECTS_MAX, LoneFlow
from procession.testing.outcomes import Given, Outcomes, key_fields

STATES_MAX = 100_000
TURNS_MAX = 2_000_000
DEPTH_MAX = 1_000
ARRIVALS_MAX = 2
Progress = Callable[[Tally], None]
_CANCEL = CancelRequested("someone", "explored")


def explore(
    process: type[ProcessManager],
    *,
    gateways: Iterable[Gateway | type[Gateway]] = (),
    aggregates: Iterable[type[Aggregate]] = (),
    wiring: Wiring | None = None,
    start: Sequence[Event | type[Event]] | None = None,
    outside: Sequence[Event | type[Event]] | None = None,
    repeated: Collection[type[Event]] = (),
    outcomes: Mapping[type[Command], Sequence[Given]] | None = None,
    invariants: Iterable[Invariant] = (),
    given_up: bool = True,
    deadlines_at_end: bool = False,
    arrivals_max: int = ARRIVALS_MAX,
    states_max: int = STATES_MAX,
    turns_max: int = TURNS_MAX,
    depth_max: int = DEPTH_MAX,
    variants_max: int = VARIANTS_MAX,
    effects_max: int = EFFECTS_MAX,
    progress: Progress | None = None,
) -> Exploration:
    """Try everything that may happen to one flow of a process.

    Args:
        process: the process manager.
        gateways: classes or instances, for their contracts; no method of theirs is called.
        aggregates: for what their decisions may return; none is run, since other flows may have asked them before.
        wiring: in place of, or beside, `gateways`, `aggregates` and `invariants`: those of a flow module.
        start: events that start the flow, or their classes; default: an example of each kind that `@starts` handles.
        outside: other events that come from outside, at any time; default: an example of each kind that the process
            is concerned by, that no gateway answers with, and that it does not bring about itself.
        repeated: kinds of events from outside that come more than once in a flow's ordinary life: who waits for
            another one is not stuck.
        outcomes: answers to commands, in place of those that the contracts allow; see `testing/outcomes.py`.
        invariants: what must hold after each turn.
        given_up: whether commands may be given up, as `refused` and as `unknown`.
        deadlines_at_end: whether a deadline that is armed when the flow ends is a finding; the end disarms it.
        arrivals_max: how often an event of each kind comes from outside; more than once are duplicates.
        states_max: different standings of the flow.
        turns_max: turns that are run.
        depth_max: things that happen to the flow, one after another.
        variants_max: examples of one event class.
        effects_max: of one turn, as `flows.effects_per_turn_max` of the settings.
        progress: called now and then with the figures so far.

    Raises:
        DefinitionError: `process` is no process manager, or can't work as written.
        WiringError: a command has no gateway, an event can't be made up, an argument does not fit.
    """
    if "__process__" not in getattr(process, "__dict__", {}):
        raise DefinitionError(
            class_site(), "explore", f"is asked for {process!r:.60}, which is no process manager", "name the class"
        )
    definition = compile_definition(process)
    taken = (*gateways, *(wiring.gateways if wiring is not None else ()))
    deciding = (*aggregates, *(wiring.aggregates if wiring is not None else ()))
    answers = Outcomes(taken, outcomes, given_up=given_up, variants_max=variants_max, aggregates=deciding)
    _check_gateways(process, answers)
    arriving = _Arriving(definition, answers, Examples(variants_max), start, outside, repeated)
    lens = Lens(process, arriving.key, _rules(process, invariants, wiring))
    bounds = Bounds(states_max, turns_max, depth_max, arrivals_max)
    lone = LoneFlow(definition, Codec(), effects_max)
    while True:
        judge = Judge(definition, answers, deadlines_at_end=deadlines_at_end)
        space = Space(lone, arriving.key, answers, arriving.kinds(), lens, judge, bounds, progress or _silent)
        if _searched(space) and not arriving.widen(space.tally):
            break
    if not space.tally.stopped:
        judge.unreachable(space.tally.handled, given_up=given_up)
    return _report(definition, arriving, answers, judge, space.tally, lens, bounds)


def _searched(space: Space) -> bool:
    """Search; False where an invariant asked something new, and the search begins anew."""
    try:
        space.search()
    except LooksElsewhere:
        return False
    return True


class _Arriving:
    """What comes from outside: the start, and all else that neither a gateway nor the flow itself brings about."""

    def __init__(
        self,
        definition: Definition,
        answers: Outcomes,
        examples: Examples,
        start: Sequence[Event | type[Event]] | None,
        outside: Sequence[Event | type[Event]] | None,
        repeated: Collection[type[Event]],
    ) -> None:
        self.examples = examples
        self.key = "1"
        self.without_key: list[str] = []
        self._definition = definition
        self._answers = answers.events
        self._own = {event for event in events_named(definition.cls) if event in definition.concerned}
        self._chosen = outside is not None
        self._repeated = frozenset(repeated)
        self._kinds: dict[type[Event], tuple[Event, ...]] = {}
        if start is None:
            start = _by_name(event for event in definition.concerned if definition.reactions[event].start is not None)
        self._start(start)
        if outside is None:
            others = _by_name(definition.concerned - self._answers - self._own - set(self._kinds))
            outside = [*others, *([_CANCEL] if definition.handles_cancel() else [])]
        for event in outside:
            self._add(event)
        if not any(self._kinds.values()):
            found = f"no event that starts {definition.cls.__name__} can be made up"
            raise WiringError(found, "give one, by start=[...]")

    def kinds(self) -> tuple[Kind, ...]:
        """What may come; what starts a flow first."""
        return tuple(
            Kind(events, cls is not CancelRequested, cls in self._repeated, _is_handled(self._definition, cls))
            for cls, events in self._kinds.items()
            if events
        )

    def widen(self, tally: Tally) -> bool:
        """Let events come from outside that handlers name, but that the flow did not bring about: was it any?"""
        if self._chosen or tally.stopped:
            return False
        handled = {trigger for trigger, _ in tally.handled}
        new = [
            event
            for event in _by_name(self._own - self._answers)
            if event not in handled and event not in self._kinds
            if event not in tally.brought_about and stored_of(event).name not in tally.disarmed
        ]
        for event in new:
            self._add(event)
        return bool(new)

    def _start(self, start: Sequence[Event | type[Event]]) -> None:
        """The first event that starts a flow names it."""
        if start and isinstance(start[0], Event):
            keys = self._keys(start[0])
        elif start:
            first = start[0]
            assert isinstance(first, type)
            keys = self._keys(self.examples.of(first, key_fields(self._definition, first, self.key))[0])
        else:
            keys = ()
        self.key = keys[0] if keys else self.key
        for event in start:
            self._add(event)

    def _add(self, event: Event | type[Event]) -> None:
        cls = event if isinstance(event, type) else type(event)
        if cls not in self._definition.concerned and cls not in OWN_EVENTS:
            raise WiringError(
                f"{self._definition.cls.__name__} is not concerned by {cls.__name__}",
                "name events for which it has a handler",
            )
        if isinstance(event, Event):
            if cls in self._definition.concerned and self.key not in self._keys(event):
                raise WiringError(
                    f"{event} belongs to flow {', '.join(self._keys(event))}, and flow {self.key} is explored",
                    "give events of one flow",
                )
            self._kinds[cls] = (*self._kinds.get(cls, ()), event)
            return
        made = self.examples.of(event, key_fields(self._definition, event, self.key))
        fitting = tuple(one for one in made if self.key in self._keys(one))
        if not fitting:
            self.without_key.append(event.__name__)
        self._kinds[event] = (*self._kinds.get(event, ()), *fitting)

    def _keys(self, event: Event) -> tuple[str, ...]:
        try:
            return self._definition.keys(event)
        except InvalidKey:
            return ()


def _check_gateways(process: type[ProcessManager], answers: Outcomes) -> None:
    for command, handler in commands_named(process).items():
        if command not in answers.commands:
            raise WiringError(
                f"{handler.site}: {process.__name__}.{handler.name} sends {command.__name__}, which no gateway takes",
                "give explore the gateway or aggregate that takes it, by gateways=, aggregates= or wiring=",
            )


def _rules(
    process: type[ProcessManager], invariants: Iterable[Invariant], wiring: Wiring | None
) -> tuple[Invariant, ...]:
    rules = tuple(invariants)
    for rule in rules:
        if not issubclass(process, rule.process):
            raise WiringError(
                f"the invariant {rule.name} ({rule.site}) is of {rule.process.__name__}, not of {process.__name__}",
                "give invariants of the process that is explored",
            )
    wired = () if wiring is None else wiring.invariants
    return tuple(dict.fromkeys((*rules, *(rule for rule in wired if issubclass(process, rule.process)))))


def _is_handled(definition: Definition, event: type[Event]) -> bool:
    """Whether a process has a handler for an event, and does not only see it."""
    reaction = definition.reactions.get(event)
    return reaction is not None and (reaction.start or reaction.on or reaction.fold) is not None


def _by_name(events: Iterable[type[Event]]) -> list[type[Event]]:
    return sorted(events, key=lambda event: stored_of(event).name)


def _report(
    definition: Definition,
    arriving: _Arriving,
    answers: Outcomes,
    judge: Judge,
    tally: Tally,
    lens: Lens,
    bounds: Bounds,
) -> Exploration:
    unexplored = list(dict.fromkeys((*arriving.examples.unexplored, *answers.unexplored)))
    unexplored += [
        f"{name}: it never comes, no example of it names flow {arriving.key}" for name in arriving.without_key
    ]
    unexplored.append(f"events from outside: each kind at most {bounds.arrivals_max} times (arrivals_max)")
    if any(isinstance(trigger, tuple) for trigger in definition.reactions):
        unexplored.append("CommandGivenUp.attempts: only 1")
    if any(handler.wants_envelope for handler in definition.cls.__handlers__):
        unexplored.append("envelopes: one time of admission, and one id for equal events")
    notes = [
        f"{', '.join(sorted(names))}: {said}"
        for names, said in (
            (judge.by_hand, "given up, it sets the flow aside for a person, since there is no handler for that"),
            (judge.by_refusal, "refused, it sets the flow aside for a person, since there is no handler for that"),
            (judge.by_policy, "it sets the flow aside, as the class says"),
            (judge.left_armed, "this deadline is disarmed by the end of the flow"),
        )
        if names
    ]
    if lens.whole:
        notes.append("an invariant looks at whole turns, so no two ways to one state could be taken as one")
    return Exploration(
        definition.cls.__name__,
        arriving.key,
        judge.faults.in_order(),
        tally.turns,
        tally.states,
        tally.waiting if tally.stopped else 0,
        tally.ends,
        tally.stopped,
        tuple(unexplored),
        tuple(notes),
    )


def _silent(tally: Tally) -> None:
    """Nobody wants to hear of it."""
