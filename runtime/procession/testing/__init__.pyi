# The testing kit, as type checkers read it; `__init__.py` opens it lazily.

from procession.testing.contract import JournalContract as JournalContract
from procession.testing.scenario import given as given

__all__ = ["JournalContract", "given"]
