"""Seeds are clean, and each is the same run again: in this process, in another, under another hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.order_fulfilment import wire_testing as wire_orders
from procession import Settings
from procession.testing import simulate
from procession.testing.simulation.runs import Simulation
from tests.simulation.systems import banked, batched, lent, ordered, orders, provisioned
from tests.simulation.torture import tortured

ROOT = Path(__file__).parents[2]
SEEDS = 2
"""Of each system, run in other processes too."""


def breaches_of(simulation: Simulation, seeds: range) -> dict[int, list[tuple[str, str]]]:
    judged = {seed: simulation.judge(simulation.run(simulation.plan(seed))) for seed in seeds}
    return {seed: breaches for seed, breaches in judged.items() if breaches}


def test_some_seeds_of_the_order_flow_are_clean() -> None:
    report = simulate(wire_orders(Settings()), load=orders, seeds=range(20))
    assert report.seeds == 20
    assert report.lives > 60  # it crashed and started, again and again
    assert report.attempts > report.commands > 0


def test_some_seeds_of_flows_that_do_whatever_they_are_told_are_clean() -> None:
    assert breaches_of(tortured(), range(20)) == {}


@pytest.mark.parametrize("system", [batched, provisioned, lent, banked])
def test_some_seeds_of_the_other_systems_are_clean(system: Callable[[], Simulation]) -> None:
    assert breaches_of(system(), range(6)) == {}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_seeds_of_the_order_flow_are_clean() -> None:
    assert simulate(wire_orders(Settings()), load=orders, seeds=range(1000)).seeds == 1000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_seeds_of_flows_that_do_whatever_they_are_told_are_clean() -> None:
    assert breaches_of(tortured(), range(1000)) == {}


@pytest.mark.parametrize("system", [ordered, tortured])
def test_a_seed_is_the_same_run_again_whatever_ran_before(system: Callable[[], Simulation]) -> None:
    first, second = system(), system()
    alone = second.run(second.plan(2)).digest()
    digests = [first.run(first.plan(seed)).digest() for seed in range(3)]
    assert digests[2] == alone
    assert len(set(digests)) == 3


@pytest.mark.slow
def test_a_seed_is_the_same_run_in_every_process_and_under_every_hash_seed() -> None:
    here = [system.run(system.plan(seed)).digest() for system in (ordered(), tortured()) for seed in range(SEEDS)]
    others = [_begun_under(hash_seed) for hash_seed in ("1", "2")]
    assert [other.communicate()[0].split() for other in others] == [here, here]


def _begun_under(hash_seed: str) -> subprocess.Popen[str]:
    """A process that prints the digests of the same seeds."""
    program = (
        "from tests.simulation.systems import ordered; from tests.simulation.torture import tortured\n"
        f"print(*(s.run(s.plan(seed)).digest() for s in (ordered(), tortured()) for seed in range({SEEDS})))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
