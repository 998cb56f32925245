# The testing kit, as type checkers read it; `__init__.py` opens it lazily.

from procession.testing.contract import JournalContract as JournalContract
from procession.testing.exploring.explorer import explore as explore
from procession.testing.pure import pure_turns as pure_turns
from procession.testing.scenario import given as given
from procession.testing.shadow_replay import shadow as shadow

__all__ = ["JournalContract", "explore", "given", "pure_turns", "shadow"]
