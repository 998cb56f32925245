"""The plan of one run: what is published when, and what goes wrong. Drawn from a seed; shrinking takes things out."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence

import attrs

from procession.primitives.command import Command
from procession.primitives.event import Event
from procession.primitives.outside import Outside
from procession.settings import Settings
from procession.testing.simulation.fault import AT_COMMITS, AT_TIMES, OF_GATEWAYS, Fault, numbers

SOURCE = "simulated"
Loaded = Event | Outside | Command
Load = Sequence[Loaded] | Callable[[random.Random], Sequence[Loaded]]

_COMMIT_FAULTS_MAX = 6
_READ_FAULTS, _READ_MAX = 3, 120
_TIME_FAULTS_MAX = 4
_BATCH_MAX = 4
_HORIZONS_S = (2.0, 60.0, 3_000.0)
"""The trouble ends by then: before any deadline, or after those of half an hour."""
_JUMPS_S = (-4_000.0, -90.0, -0.5, 0.5, 90.0, 2_000.0)


@attrs.frozen
class Publish:
    """Events that one sender publishes together; it publishes again until it hears that they are durable."""

    at_s: float
    events: tuple[Outside, ...]


@attrs.frozen
class Sending:
    """A command that one sender has decided; it sends again until it is answered."""

    at_s: float
    command: Command
    id: str


@attrs.frozen
class AtCommit:
    """A fault of the commit of this number, counted over all lives."""

    number: int
    fault: Fault
    reopens_failing: int = 0
    waits: bool = False
    """It is put off to the first commit that leaves an event to be handled later: a crash hurts most there."""


@attrs.frozen
class AtTime:
    """A fault at a moment."""

    at_s: float
    fault: Fault
    amount: float
    """Of a clock's jump, the seconds; of an operator, what is done and to which flow."""


@attrs.frozen
class Plan:
    """Everything that decides a run, beside the code."""

    seed: int
    publishes: tuple[Publish, ...]
    sendings: tuple[Sending, ...] = ()
    at_commits: tuple[AtCommit, ...] = ()
    at_reads: frozenset[int] = frozenset()
    """Reads that fail, counted over all lives."""
    at_times: tuple[AtTime, ...] = ()
    constant: frozenset[Fault] = frozenset()
    """What holds until the trouble ends: how gateways, journal and bounds are."""
    horizon_s: float = _HORIZONS_S[0]
    """When the trouble ends."""
    ends_by_crash: bool = False

    @property
    def size(self) -> int:
        """How much there is to read in it."""
        listed = len(self.at_commits) + len(self.at_reads) + len(self.at_times) + len(self.constant)
        return (
            sum(1 + len(publish.events) for publish in self.publishes)
            + len(self.sendings)
            + listed
            + self.ends_by_crash
        )


def draw(seed: int, load: Load, faults: Collection[Fault]) -> Plan:
    """The plan of a seed. Each kind of trouble comes in some of the seeds only, so that it also comes alone."""
    chance = numbers("plan", seed)
    wanted = [fault for fault in Fault if fault in faults and chance.random() < _SHARES.get(fault, _SHARE)]
    horizon_s = chance.choice(_HORIZONS_S)
    if Fault.CLOCK_JUMPS in wanted:
        horizon_s = min(horizon_s, _HORIZONS_S[1])  # a clock that may jump is looked at every second
    loaded = _loaded(load, seed)
    told = [one for one in loaded if not isinstance(one, Command)]
    events = [_outside(number, event) for number, event in enumerate(told)]
    constant = {Fault.SLOW_JOURNAL, Fault.OTHER_CODE, Fault.SMALL_BOUNDS, *OF_GATEWAYS}
    return Plan(
        seed,
        tuple(_publishes(chance, events, again=Fault.DUPLICATES in wanted)),
        tuple(_sendings(seed, [one for one in loaded if isinstance(one, Command)])),
        tuple(_at_commits(chance, wanted)),
        frozenset(chance.randint(1, _READ_MAX) for _ in range(_READ_FAULTS if Fault.READS_FAIL in wanted else 0)),
        tuple(_at_times(chance, [fault for fault in AT_TIMES if fault in wanted], horizon_s)),
        frozenset(fault for fault in wanted if fault in constant),
        horizon_s,
        Fault.CRASH in faults and chance.random() < _SHARE,
    )


def _loaded(load: Load, seed: int) -> Sequence[Loaded]:
    return load(numbers("load", seed)) if callable(load) else load


def _outside(number: int, event: Event | Outside) -> Outside:
    """Under an id in any case: who publishes without one can't publish again after an unknown outcome."""
    if isinstance(event, Outside):
        return event if event.id is not None else attrs.evolve(event, id=str(number), source=SOURCE)
    return Outside(event, str(number), SOURCE)


def _sendings(seed: int, commands: list[Command]) -> Iterator[Sending]:
    """Each by a sender of its own, the first at once."""
    chance = numbers("sendings", seed)
    at_s = 0.0
    for number, command in enumerate(commands):
        yield Sending(at_s, command, f"command {number}")
        at_s += chance.choice((0.0, 0.0, 0.001, 0.3, 2.0))


def _publishes(chance: random.Random, events: list[Outside], *, again: bool) -> list[Publish]:
    """In order, one by one or several together, in bursts and apart."""
    found: list[Publish] = []
    at_s = 0.0
    left = list(events)
    while left:
        batch, left = left[: (size := chance.randint(1, _BATCH_MAX))], left[size:]
        found.append(Publish(at_s, tuple(batch)))
        at_s += chance.choice((0.0, 0.0, 0.001, 0.3, 2.0))
    if again:
        for publish in list(found):
            if chance.random() < _SHARE:
                mixed = [*publish.events, *chance.sample(events, min(len(events), chance.randint(0, 2)))]
                later_s = publish.at_s + chance.choice((0.0, 0.001, 0.5, 5.0))
                found.append(Publish(later_s, tuple(dict.fromkeys(mixed))))
    return found


def _at_commits(chance: random.Random, wanted: list[Fault]) -> list[AtCommit]:
    kinds = [fault for fault in AT_COMMITS if fault in wanted]
    found: list[AtCommit] = []
    number = 0
    for _ in range(chance.randint(1, _COMMIT_FAULTS_MAX) if kinds else 0):
        number += chance.choice((1, 1, 2, 3, 5, 8))
        fails = Fault.REOPEN_FAILS in wanted and chance.random() < _SHARE
        kind = chance.choice(kinds)
        waits = kind is Fault.CRASH_AFTER_COMMIT and chance.random() < _SHARE
        found.append(AtCommit(number, kind, chance.choice((1, 2, 40)) if fails else 0, waits))
    return found


def _at_times(chance: random.Random, kinds: list[Fault], horizon_s: float) -> list[AtTime]:
    found: list[AtTime] = []
    for _ in range(chance.randint(1, _TIME_FAULTS_MAX) if kinds else 0):
        fault = chance.choice(kinds)
        at_s = chance.choice((0.0, 0.001, 0.01, 0.3, 1.0, chance.uniform(0, horizon_s)))
        amount = chance.choice(_JUMPS_S) if fault is Fault.CLOCK_JUMPS else chance.random()
        found.append(AtTime(min(at_s, horizon_s), fault, amount))
    return sorted(found, key=lambda one: one.at_s)


_SHARE = 0.5
_SHARES = {
    Fault.COMMIT_REJECTED: 0.05,
    Fault.RESTART: 0.3,
    Fault.CLOCK_JUMPS: 0.25,
    Fault.OPERATOR: 0.25,
    Fault.READS_FAIL: 0.25,
}
"""Of the seeds that have a kind of trouble: what runs things one by one, or takes flows out, hides other troubles."""


def settings_of(plan: Plan, life: int, settings: Settings) -> Settings:
    """The settings of one life: bounds as low as they go, another choice in each life, or as they were given."""
    careful = numbers("careful", plan.seed).random() < _SHARES[Fault.COMMIT_REJECTED]
    chosen = attrs.evolve(
        settings,
        journal=attrs.evolve(settings.journal, careful_after=2 if careful else _NEVER),
        shutdown=attrs.evolve(settings.shutdown, grace_s=min(settings.shutdown.grace_s, 1)),
        supervision=attrs.evolve(
            settings.supervision, restarts_max=max(settings.supervision.restarts_max, 2 * _READ_FAULTS)
        ),
    )
    if Fault.SMALL_BOUNDS not in plan.constant:
        return chosen
    chance = numbers("bounds", plan.seed, life)
    return attrs.evolve(
        chosen,
        flows=attrs.evolve(
            chosen.flows,
            awake_max=chance.choice((1, 2, 4)),
            cached_max=chance.choice((1, 2, 8)),
            mailbox_max=chance.choice((1, 2, 256)),
            snapshot_every_steps=chance.choice((1, 2, 3)),
            load_slice_steps=chance.choice((1, 3, 256)),
        ),
        timers=attrs.evolve(chosen.timers, loaded_max=chance.choice((1, 2, 2_000))),
        gateways=attrs.evolve(chosen.gateways, commands_loaded_max=chance.choice((1, 2, 2_000))),
        intake=attrs.evolve(chosen.intake, events_max=chance.choice((1, 3, 10_000))),
        aggregates=attrs.evolve(
            chosen.aggregates,
            cached_max=chance.choice((1, 2, 3_072)),
            commands_loaded_max=chance.choice((1, 2, 2_000)),
            snapshot_every_events=chance.choice((1, 2, 200)),
        ),
    )


_NEVER = 1_000_000
