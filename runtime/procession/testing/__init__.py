"""What users test their flows and journals with, as we do.

`given(Process, ...).when(event).then(command)` tests a flow with nothing running; `explore(Process, ...)` tries every
order of what may happen to it; `World` is the whole runtime in memory, in virtual time; `simulate` is the same by the
thousand, with everything going wrong. `project(Projector, ...)` asks what a projection makes of events.
`shadow(Process, ...)` runs a history again in other processes, and `pure_turns()` holds the turns of a runtime to
purity; `JournalContract` is the suite that every journal passes, and `FaultyJournal` one whose commits fail when a test
says so. Strategies for hypothesis are in `procession.testing.strategies`.
"""

import importlib

_HOMES = {
    "ALL": "procession.testing.simulation.fault",
    "Fault": "procession.testing.simulation.fault",
    "FaultyJournal": "procession.testing.faults",
    "JournalContract": "procession.testing.contract",
    "SILENCE": "procession.testing.script",
    "World": "procession.testing.world",
    "delay": "procession.testing.script",
    "explore": "procession.testing.exploring.explorer",
    "given": "procession.testing.scenario",
    "project": "procession.testing.projected",
    "pure_turns": "procession.testing.pure",
    "raises": "procession.testing.script",
    "shadow": "procession.testing.shadow_replay",
    "simulate": "procession.testing.simulation.runs",
}
"""Where each public name lives. Names are imported when first used: pytest imports the plugin at each start."""


def __getattr__(name: str) -> object:
    """A public name, imported from its home.

    Raises:
        AttributeError: there is no such name.
    """
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


__all__ = [
    "ALL",
    "SILENCE",
    "Fault",
    "FaultyJournal",
    "JournalContract",
    "World",
    "delay",
    "explore",
    "given",
    "project",
    "pure_turns",
    "raises",
    "shadow",
    "simulate",
]
