"""What users test their flows and journals with, as we do.

`given(Process, ...).when(event).then(command)` tests a flow with nothing running; `JournalContract` is the suite that
every journal passes.
"""

from procession.testing.contract import JournalContract
from procession.testing.scenario import given

__all__ = ["JournalContract", "given"]
