"""What users test their flows and journals with, as we do.

`given(Process, ...).when(event).then(command)` tests a flow with nothing running; `World` is the whole runtime in
memory, in virtual time; `simulate` is the same by the thousand, with everything going wrong; `JournalContract` is the
suite that every journal passes.
"""

from procession.testing.contract import JournalContract
from procession.testing.scenario import given
from procession.testing.script import SILENCE, delay, raises
from procession.testing.simulate import simulate
from procession.testing.simulation.fault import ALL, Fault
from procession.testing.world import World

__all__ = ["ALL", "SILENCE", "Fault", "JournalContract", "World", "delay", "given", "raises", "simulate"]
