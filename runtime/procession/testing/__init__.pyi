# The testing kit, as type checkers read it; `__init__.py` opens it lazily.

from procession.testing.contract import JournalContract as JournalContract
from procession.testing.exploring.explorer import explore as explore
from procession.testing.faults import FaultyJournal as FaultyJournal
from procession.testing.projected import project as project
from procession.testing.pure import pure_turns as pure_turns
from procession.testing.scenario import given as given
from procession.testing.script import SILENCE as SILENCE
from procession.testing.script import delay as delay
from procession.testing.script import raises as raises
from procession.testing.shadow_replay import shadow as shadow
from procession.testing.simulation.fault import ALL as ALL
from procession.testing.simulation.fault import Fault as Fault
from procession.testing.simulation.runs import simulate as simulate
from procession.testing.world import World as World

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
