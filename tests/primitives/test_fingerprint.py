"""The fingerprint of a process changes with all that folding depends on, and with nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest

from procession import ProcessManager
from procession.primitives.definition import compile_definition
from procession.primitives.fingerprint import fingerprint

SOURCE = """
import attrs, datetime, enum
from procession import Event, ProcessManager, folds, on, starts

RATE = 2
WINDOW = datetime.timedelta(minutes=30)
NAMES = frozenset({"a", "b", "c"})

class Placed(Event, name="test.placed"):
    order: str
    amount: int = 0

class Seen(Event, name="test.seen"):
    order: str

class Level(enum.Enum):
    LOW = 1

LOWEST = Level.LOW

@attrs.frozen
class Money:
    cents: int

    def doubled(self):
        return Money(self.cents * 2)

def helper(amount, *, plus=1):
    return deeper(amount) + plus

def deeper(amount, unit=object()):
    return amount * RATE

class Order(ProcessManager, name="order", key="order"):
    total: int = 0
    late: bool = False

    @folds
    def placed(self, event: Placed) -> "Order":
        parts = [helper(part) for part in (event.amount,) if WINDOW and LOWEST and event.order not in NAMES]
        return self._added(sum(parts) + Money(1).doubled().cents + self.fee(1) + self.rounded(2) + self.base)

    def _added(self, amount):
        return self.evolve(total=self.total + amount)

    @staticmethod
    def fee(amount):
        return amount + 5

    @classmethod
    def rounded(cls, amount):
        return amount + 6

    @property
    def base(self):
        return 7

    @starts
    def start(self, event: Placed) -> None:
        "a reaction"

    @on
    def seen(self, event: Seen) -> None: ...
"""


def fingerprint_of(source: str) -> str:
    """Of the process in a module with this source; all versions have one name, as those of one file would."""
    module = types.ModuleType("orders")
    sys.modules["orders"] = module
    try:
        exec(compile(source, "orders.py", "exec"), module.__dict__)
        order: type[ProcessManager] = module.__dict__["Order"]
        return fingerprint(compile_definition(order))
    finally:
        del sys.modules["orders"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("total: int = 0", "total: float = 0"),
        ("late: bool = False", "late: bool = False; more: int = 0"),
        ("late: bool = False", "late: bool = True"),
        ("amount: int = 0", "amount: int = 0; more: int = 0"),
        ("sum(parts)", "max(parts)"),
        ("sum(parts) + Money", "sum(parts) + 3 + Money"),
        ("self.total + amount", "self.total - amount"),
        ("amount * RATE", "amount / RATE"),
        ("RATE = 2", "RATE = 3"),
        ("plus=1", "plus=2"),
        ("minutes=30", "minutes=31"),
        ('{"a", "b", "c"}', '{"a", "b"}'),
        ("LOW = 1", "LOW = 2"),
        ("self.cents * 2", "self.cents * 3"),
        ("amount + 5", "amount + 8"),
        ("amount + 6", "amount + 8"),
        ("return 7", "return 8"),
    ],
)
def test_what_folding_depends_on_changes_it(before: str, after: str) -> None:
    assert before in SOURCE
    assert fingerprint_of(SOURCE.replace(before, after, 1)) != fingerprint_of(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"a reaction"', "print(event)"),
        ("class Seen(Event", "class Unused(Event, name='test.unused'): ...\nclass Seen(Event"),
        ("@attrs.frozen", "\n\n# a comment\n@attrs.frozen"),
    ],
)
def test_what_folding_does_not_depend_on_leaves_it(before: str, after: str) -> None:
    assert before in SOURCE
    assert fingerprint_of(SOURCE.replace(before, after, 1)) == fingerprint_of(SOURCE)


def test_it_is_the_same_under_every_hash_seed() -> None:
    program = (
        "import sys\n"
        "from procession.primitives.definition import compile_definition\n"
        "from procession.primitives.fingerprint import fingerprint\n"
        f"{SOURCE}\n"
        "print(fingerprint(compile_definition(Order)))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in range(3)
    }
    assert len(found) == 1
