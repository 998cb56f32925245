"""What users test their flows and journals with, as we do.

`given(Process, ...).when(event).then(command)` tests a flow with nothing running; `explore(Process, ...)` tries every
order of what may happen to it; `JournalContract` is the suite that every journal passes.
"""

from procession.testing.contract import JournalContract
from procession.testing.exploring.explorer import explore
from procession.testing.scenario import given

__all__ = ["JournalContract", "explore", "given"]
