"""A swarm of seeds has been everywhere it must have been, and says where it has not."""

from __future__ import annotations

import pytest

from procession.testing.simulation.fault import Fault
from procession.testing.simulation.runs import Simulation
from tests.engine.tally import Audit, Desk, Tally
from tests.simulation.marks import RARE
from tests.simulation.swarm import SYSTEMS, Swarm
from tests.simulation.torture import torture


@pytest.mark.searches
def test_a_swarm_in_which_little_goes_wrong_is_said_to_have_missed_the_rest() -> None:
    tame = Simulation(
        load=torture,
        processes=[Tally, Audit],
        gateways=[Desk],
        may_wait=[Tally, Audit],
        faults={Fault.SMALL_BOUNDS, Fault.SLOW_JOURNAL},
    )
    swarm = Swarm()
    swarm.run(tame, "tame", range(4), again_every=2)
    assert swarm.breaches == []
    assert swarm.again == 2
    assert swarm.marks.crashes == 0
    assert {"fault small bounds", "Timers.refill"} <= swarm.marks.hit.keys()
    assert {"fault crash", "fault commit kept", "command cancelled", "careful start"} <= {*swarm.marks.missed}


@pytest.mark.searches
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_swarm_has_hit_every_mark_that_is_not_rare() -> None:
    swarm = Swarm()
    for name, system in SYSTEMS.items():
        swarm.run(system(), name, SEEDS[name], again_every=20)
    assert swarm.breaches == [], swarm
    assert {*swarm.marks.missed} <= RARE, swarm


SEEDS = {name: range(300 if name == "tortured" else 40) for name in SYSTEMS}
