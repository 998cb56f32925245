"""The reference flows under simulation, as they ship, with all gateways by their contracts; a bank that decides; and
the flows that real daemons are killed with, one of whose gateways keeps their order.
"""

from __future__ import annotations

import random

from flows import batch_settlement, expense_approval, loan_application, order_fulfilment, user_provisioning
from flows.batch_settlement import BatchReceived
from flows.expense_approval import ApproveExpense, ExpenseFiled
from flows.loan_application import (
    AApproved,
    ACancelled,
    ADeclined,
    ASubmitted,
    LoanApplication,
    OAccepted,
    OCancelled,
    OSent,
    OSentBack,
)
from flows.order_fulfilment import OrderPlaced
from flows.user_provisioning import ProvisioningRequested
from procession import Command, Event, Settings
from procession.testing.simulation.fault import ALL, Fault
from procession.testing.simulation.runs import Simulation
from tests.crash import story
from tests.engine.bank import (
    Account,
    Breaker,
    BreakRequested,
    Close,
    Deposit,
    Transfer,
    TransferRequested,
    Withdraw,
)
from tests.human.asking import asked


def orders(chance: random.Random) -> list[Event]:
    """One to five orders."""
    return [OrderPlaced(str(number), "book", 4200) for number in range(chance.randint(1, 5))]


def ordered() -> Simulation:
    return Simulation(order_fulfilment.wire_testing(Settings()), load=orders)


def batches(chance: random.Random) -> list[Event]:
    """Batches of a few items, an empty one among them."""
    return [
        BatchReceived(str(number), tuple((str(item), 100) for item in range(chance.randint(0, 6))))
        for number in range(chance.randint(1, 3))
    ]


def batched() -> Simulation:
    return Simulation(batch_settlement.wire_testing(Settings()), load=batches)


def users(chance: random.Random) -> list[Event]:
    """Users who need accounts in some systems, or in all."""
    systems = ("badge", "mail", "payroll")
    return [
        ProvisioningRequested(str(number), tuple(chance.sample(systems, chance.randint(0, 3))))
        for number in range(chance.randint(1, 3))
    ]


def provisioned() -> Simulation:
    return Simulation(user_provisioning.wire_testing(Settings()), load=users)


def banking(chance: random.Random) -> list[Command | Event]:
    """Transfers from few accounts, with too little money in some, and questions that no account can decide."""
    asked: list[Command | Event] = [
        TransferRequested(f"t{number}", chance.choice("ab"), "target", 300) for number in range(chance.randint(2, 9))
    ]
    asked += [BreakRequested(f"b{number}", chance.choice("ab")) for number in range(chance.randint(0, 2))]
    asked += [Deposit(chance.choice("ab"), chance.choice((1, 300, 900))) for _ in range(chance.randint(2, 8))]
    asked += [Withdraw(chance.choice("ab"), 300) for _ in range(chance.randint(0, 2))]
    chance.shuffle(asked)
    return [*asked, Close("target")]


def banked() -> Simulation:
    return Simulation(load=banking, processes=[Transfer, Breaker], aggregates=[Account])


def expenses(chance: random.Random) -> list[Event]:
    """Expenses that are put to people."""
    return [ExpenseFiled(str(number), "ann", 42_000, "a train") for number in range(chance.randint(1, 4))]


def put() -> Simulation:
    """Nobody answers. An operator who ends a task's own flow by force means it: nobody is told then."""
    wiring = expense_approval.wire_testing(Settings())
    return Simulation(wiring, load=expenses, outcomes={ApproveExpense: [asked]}, faults=ALL - {Fault.OPERATOR})


def stories(chance: random.Random) -> list[Event]:
    """Orders whose items may come before they do, and batches whose parts are settled in order."""
    orders = [str(number) for number in range(chance.randint(0, 2))]
    items = [story.ItemAdded(order, item, 100) for order in orders for item in range(story.ITEMS)]
    opened = [story.BatchOpened(str(number)) for number in range(chance.randint(1, 3))]
    events: list[Event] = [*map(story.OrderPlaced, orders), *items, *opened]
    chance.shuffle(events)
    return events


def told() -> Simulation:
    return Simulation(load=stories, processes=[story.Order, story.Batch], gateways=[story.Shop, story.Bank])


def loans(chance: random.Random) -> list[Event]:
    """Applications with offers, answered and not, decided at last."""
    events: list[Event] = []
    for case in "xy":
        middle = chance.choices((OSent(case), OSentBack(case), OAccepted(case), OCancelled(case)), k=4)
        end = chance.choice((AApproved(case), ADeclined(case), ACancelled(case)))
        events += [ASubmitted(case, "today", "5000"), *middle, *([end] if chance.random() < _DECIDED_SHARE else [])]
    return events


def lent() -> Simulation:
    """An application that nobody decides waits for ever, after its letters were written."""
    return Simulation(loan_application.wire_testing(Settings()), load=loans, may_wait=[LoanApplication])


_DECIDED_SHARE = 0.7
