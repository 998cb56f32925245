"""Every code that a check reports: the ten laws, and the faults of definitions."""

from __future__ import annotations

import attrs


@attrs.frozen
class Rule:
    """What a code stands for."""

    code: str
    title: str
    checked: str
    """What the check looks at."""


_RULES = (
    Rule(
        "LAW01",
        "Events are immutable facts, named in the past tense",
        "fields that can change; names that are not in the past tense; handlers that change an event",
    ),
    Rule(
        "LAW02",
        "A failure event returns the previous state",
        "folds of failure events; reactions that return a state, or change it on a failure event",
    ),
    Rule(
        "LAW03",
        "All data is on the event",
        "parameters that a handler can't get; clock, chance, environment, hash order, and what outlives the turn",
    ),
    Rule(
        "LAW04",
        "Work is a side effect, done in gateways only",
        "async handlers; files, network, programs, threads, imports, output and gateways reached from pure code",
    ),
    Rule(
        "LAW05",
        "Projections stem from events only",
        "projectors that keep something beside their store, or whose handlers take more than an event and that store",
    ),
    Rule(
        "LAW06",
        "One flow for each process manager and key, with a state of its own",
        "missing keys, events without the key, state that can change, state that flows share",
    ),
    Rule(
        "LAW07",
        "Process managers never read projections",
        "the runtime, a flow's handle, the journal and the engine reached from pure code",
    ),
    Rule(
        "LAW08",
        "Event schemas are immutable",
        "stored names and versions; two shapes under one name and version; classes and `schemas.json` that differ",
    ),
    Rule(
        "LAW09",
        "Projectors share nothing",
        "two projectors with one store; stores, projections and files beside its own that a projector reaches for",
    ),
    Rule(
        "LAW10",
        "Internal state is never tested",
        "tests and invariants that build a state, call a handler, or reach into the testing kit or the engine",
    ),
    Rule("DEF01", "A class can't work as written", "whatever is refused when a class is defined or wired"),
    Rule("DEF02", "Orphan event", "events that are answered, recorded, armed or registered, and that nobody handles"),
    Rule(
        "DEF03",
        "Command without a receiver",
        "commands that a handler names, and no gateway takes and no aggregate decides",
    ),
    Rule("DEF04", "Flow that can't end", "processes without `@ends` that never yield `end(...)`"),
    Rule(
        "DEF05",
        "Unreachable handler",
        "handlers of `CommandGivenUp[X]` or `CommandRefused[X]` in a process that never names X elsewhere",
    ),
    Rule("DEF06", "Cancelled timer that is never armed", "`cancel(X)` in a process that arms timers, but none of X"),
    Rule("DEF07", "Allowance that allows nothing", "`@allows(...)` where the check finds no such breach"),
    Rule("DEF08", "Two receivers", "a command that two gateways or aggregates take"),
    Rule("DEF09", "One name twice", "two processes, aggregates, gateways or commands with one stored name"),
)
RULES: dict[str, Rule] = {rule.code: rule for rule in _RULES}
