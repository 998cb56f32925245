"""What users test their flows and journals with, as we do.

`given(Process, ...).when(event).then(command)` tests a flow with nothing running; `shadow(Process, ...)` runs a history
again in other processes, and `pure_turns()` holds the turns of a runtime to purity; `JournalContract` is the suite that
every journal passes.
"""

from procession.testing.contract import JournalContract
from procession.testing.pure import pure_turns
from procession.testing.scenario import given
from procession.testing.shadow import shadow

__all__ = ["JournalContract", "given", "pure_turns", "shadow"]
