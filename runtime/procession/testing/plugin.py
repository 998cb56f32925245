"""What pytest loads by itself where procession is installed: options, and fixtures that hand them over.

    def test_no_order_is_lost(procession_seeds: range) -> None:
        simulate(wire_testing(Settings()), load=[OrderPlaced("421", "kettle", 4200)], seeds=procession_seeds)

Parameters of tests that are events or commands are named after their class. It imports nothing else of the kit, nor
trio, nor hypothesis: a project that has procession installed for another reason pays nothing for it.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite(
    "procession.testing.contract", "procession.testing.contract_reading", "procession.testing.contract_writing"
)
SEEDS = 50
"""Seeds of a simulation, where nobody asks for more."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("procession", "flows under simulation")
    group.addoption(
        "--procession-seeds",
        type=seeds_of,
        default=str(SEEDS),
        metavar="N|FIRST-LAST",
        help=f"the seeds of each simulation: so many, or those from one to another (default: {SEEDS})",
    )


def pytest_make_parametrize_id(val: object) -> str | None:
    """`test_undoes[PaymentDeclined]`, where it would be `test_undoes[event0]`."""
    return type(val).__name__ if "__procession__" in vars(type(val)) else None


@pytest.fixture
def procession_seeds(request: pytest.FixtureRequest) -> range:
    """The seeds that a simulation runs, as the command line says: `--procession-seeds 1000`, or `17-17` for one."""
    seeds: range = request.config.getoption("--procession-seeds")
    return seeds


@pytest.fixture
def pure_turns() -> Iterator[None]:
    """The turns of every runtime that the test opens are held to purity: `usefixtures("pure_turns")`."""
    held = importlib.import_module("procession.testing.pure").pure_turns  # here, so that others do not pay for it
    with held():
        yield


def seeds_of(text: str) -> range:
    """`100` is the seeds 0 to 99; `17-17` is the seed 17 alone.

    Raises:
        ArgumentTypeError: it is neither.
    """
    named = re.fullmatch(r"(?:([0-9]{1,18})-)?([0-9]{1,18})", text)
    found = range(0)
    if named is not None:
        first, last = named.groups()
        found = range(int(last)) if first is None else range(int(first), int(last) + 1)
    if not found:
        msg = f"{text!r} names no seeds; write a number of them from 1 on, or FIRST-LAST"
        raise argparse.ArgumentTypeError(msg)
    return found
